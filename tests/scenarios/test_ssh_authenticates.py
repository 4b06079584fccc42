"""Real servers let the person in with what gen made: by key, by certificate, and past a full agent."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import PROGRAMS, TEST_USER, Result, Rig, SshServer, logged_in, site

pytestmark = pytest.mark.system

STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "test",
}


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


def pinned(rig: Rig) -> dict[str, object]:
    return {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}


def asks_for_certificates(rig: Rig) -> SshServer:
    """Start a server that takes certificates of one authority, and no plain key."""
    authority = f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub"
    return rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none")


def with_certificate(rig: Rig, server: SshServer, authority: str, *options: str) -> Result:
    """Log in to a site of certificates as step leaves them: beside the key."""
    key = rig.certify("ed25519-ada", authority, *options)
    return rig.login(rig.compile(site(server, pinned(rig), auth=STEP), key=key))


def permission_denied(result: Result) -> bool:
    return result.returncode == 255 and "Permission denied (publickey)" in result.stderr


def test_a_certificate_opens_a_site_that_takes_no_plain_key(rig: Rig) -> None:
    server = asks_for_certificates(rig)
    result = with_certificate(rig, server, "ecdsa-users", "-n", TEST_USER.pw_name, "-V", "+1h")
    assert logged_in(result)
    assert "ED25519-CERT" in server.logins()[0]
    assert "ID ed25519-ada-id" in server.logins()[0]


@pytest.mark.parametrize(
    ("authority", "options"),
    [
        pytest.param("ecdsa-other", ("-n", TEST_USER.pw_name, "-V", "+1h"), id="another authority"),
        pytest.param("ecdsa-users", ("-n", TEST_USER.pw_name, "-V", "-2h:-1h"), id="expired"),
        pytest.param("ecdsa-users", ("-n", "somebody", "-V", "+1h"), id="for somebody else"),
    ],
)
def test_a_certificate_that_is_not_good_leaves_the_person_outside(
    rig: Rig, authority: str, options: tuple[str, ...]
) -> None:
    assert permission_denied(with_certificate(rig, asks_for_certificates(rig), authority, *options))


def test_the_key_alone_does_not_do_for_a_site_of_certificates(rig: Rig) -> None:
    assert permission_denied(
        rig.login(rig.compile(site(asks_for_certificates(rig), pinned(rig), auth=STEP)))
    )


def test_an_agent_full_of_other_keys_does_not_use_up_the_tries(rig: Rig) -> None:
    """A server counts each key that is offered; IdentitiesOnly keeps those of other sites out."""
    server = rig.serve("login", ["ed25519"], "MaxAuthTries 1")
    agent = rig.agent("ed25519-other", "ecdsa", "ed25519-old")
    config = rig.compile(site(server, pinned(rig)))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    without = rig.login(config, "rig", "-o", "IdentitiesOnly=no", SSH_AUTH_SOCK=agent)
    assert "Too many authentication failures" in without.stderr


@pytest.mark.parametrize("wanted", [True, False], ids=["where the site says so", "and else not"])
def test_the_key_goes_into_the_agent_at_first_use(rig: Rig, wanted: bool) -> None:
    server = rig.serve("login", ["ed25519"])
    agent = rig.agent()
    auth = {"method": "publickey", "add_keys_to_agent": wanted}
    config = rig.compile(site(server, pinned(rig), auth=auth))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    held = subprocess.run(
        ["ssh-add", "-l"], capture_output=True, text=True, env={"SSH_AUTH_SOCK": agent}, check=False
    )
    assert (rig.fingerprint("ed25519-ada") in held.stdout) is wanted


def test_a_site_of_agent_keys_takes_the_one_in_the_agent(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = rig.compile(site(server, pinned(rig), auth={"method": "agent"}))
    assert permission_denied(rig.login(config))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=rig.agent("ed25519-ada")))
