"""Real servers accept the user with the generated config: by key, by certificate, by agent."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import PROGRAMS, TEST_USER, Result, Rig, SshServer, logged_in, mount_over, site
from terminal import Terminal

pytestmark = pytest.mark.system

# The fields are valid, and nothing answers there: the tests issue the certificates.
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


def pins(rig: Rig) -> dict[str, object]:
    return {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}


def certificate_server(rig: Rig) -> SshServer:
    """Start a server that accepts certificates of one authority, and no plain key."""
    # AuthorizedKeysFile none, because a key that the server knows would be enough.
    authority = f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub"
    return rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none")


def login_with_certificate(
    rig: Rig, server: SshServer, authority: str, principal: str, validity: str
) -> Result:
    """Log in to a site of certificates, with a certificate beside the key, where step writes it."""
    key = rig.certify("ed25519-ada", authority, "-n", principal, "-V", validity)
    return rig.login(rig.compile(site(server, pins(rig), auth=STEP), key=key))


def permission_denied(result: Result) -> bool:
    return result.returncode == 255 and "Permission denied (publickey)" in result.stderr


def test_a_certificate_is_accepted_by_a_server_that_accepts_no_plain_key(rig: Rig) -> None:
    server = certificate_server(rig)
    result = login_with_certificate(rig, server, "ecdsa-users", TEST_USER.pw_name, "+1h")
    assert logged_in(result)
    assert "ED25519-CERT" in server.logins()[0]
    assert "ID ed25519-ada-id" in server.logins()[0]


@pytest.mark.parametrize(
    ("authority", "principal", "validity"),
    [
        pytest.param("ecdsa-other", TEST_USER.pw_name, "+1h", id="another authority"),
        pytest.param("ecdsa-users", TEST_USER.pw_name, "-2h:-1h", id="expired"),
        pytest.param("ecdsa-users", "somebody", "+1h", id="another user"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    rig: Rig, authority: str, principal: str, validity: str
) -> None:
    server = certificate_server(rig)
    assert permission_denied(login_with_certificate(rig, server, authority, principal, validity))


def test_the_key_without_a_certificate_is_refused_by_a_site_of_certificates(rig: Rig) -> None:
    config = rig.compile(site(certificate_server(rig), pins(rig), auth=STEP))
    assert permission_denied(rig.login(config))


def test_an_agent_full_of_other_keys_does_not_use_up_the_attempts(rig: Rig) -> None:
    # A server counts each key that ssh offers; IdentitiesOnly keeps ssh from offering others.
    # One attempt, so that a single foreign key before the right one fails.
    server = rig.serve("login", ["ed25519"], "MaxAuthTries 1")
    agent = rig.agent("ed25519-other", "ecdsa", "ed25519-old")
    config = rig.compile(site(server, pins(rig)))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    # The control: without IdentitiesOnly ssh offers the keys of the agent first.
    every_key = rig.login(config, "rig", "-o", "IdentitiesOnly=no", SSH_AUTH_SOCK=agent)
    assert "Too many authentication failures" in every_key.stderr


@pytest.mark.parametrize("adds", [True, False], ids=["the site says so", "the site does not"])
def test_ssh_adds_the_key_to_the_agent_at_first_use_if_the_site_says_so(
    rig: Rig, adds: bool
) -> None:
    server = rig.serve("login", ["ed25519"])
    agent = rig.agent()
    auth = {"method": "publickey", "add_keys_to_agent": adds}
    config = rig.compile(site(server, pins(rig), auth=auth))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    keys = subprocess.run(
        ["ssh-add", "-l"], capture_output=True, text=True, env={"SSH_AUTH_SOCK": agent}, check=False
    )
    assert (rig.fingerprint("ed25519-ada") in keys.stdout) is adds


def test_a_public_key_whose_private_key_is_in_the_agent_is_used_and_stays(rig: Rig) -> None:
    # On a token, or in a password manager.
    server = rig.serve("login", ["ed25519"], MAX_TRIES)
    key = public_key(rig, "ed25519-ada").with_suffix("")
    before = key.with_suffix(".pub").read_bytes()
    config = rig.compile(site(server, pins(rig)), key=key)
    assert permission_denied(rig.login(config))
    agent = rig.agent(*OTHER_KEYS, "ed25519-ada")
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    assert not key.exists()
    assert key.with_suffix(".pub").read_bytes() == before


# As many as sshd takes by default are not enough for the last one.
OTHER_KEYS = tuple(f"ed25519-{number}" for number in range(7))
MAX_TRIES = "MaxAuthTries 6"
AGENT = {"method": "agent"}


def agent_site(rig: Rig, server: SshServer, auth: dict[str, object], key: Path) -> Path:
    """Compile a site whose users log in with a credential of the agent."""
    return rig.compile(site(server, pins(rig), auth=AGENT | auth), key=key)


def public_key(rig: Rig, name: str) -> Path:
    """Return a copy of a public key without its private key."""
    return Path(shutil.copy(f"{rig.key(name)}.pub", rig.directory / f"{name}.pub"))


def test_a_site_with_the_method_agent_uses_the_key_in_the_agent(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"])
    config = agent_site(rig, server, {}, public_key(rig, "ed25519-ada"))
    assert permission_denied(rig.login(config))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=rig.agent("ed25519-ada")))


@pytest.mark.parametrize("known_by", ["profile", "spec"])
def test_a_key_of_the_agent_that_is_known_is_offered_alone(rig: Rig, known_by: str) -> None:
    server = rig.serve("login", ["ed25519"], MAX_TRIES)
    agent = rig.agent(*OTHER_KEYS, "ed25519-ada")
    key = public_key(rig, "ed25519-ada")
    if known_by == "profile":
        config = agent_site(rig, server, {}, key)
    else:
        host = {"host": "localhost", "port": server.port, "auth": AGENT | {"key": str(key)}}
        config = rig.compile(site(server, pins(rig), hosts={"rig": host}))
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))


def test_a_key_of_the_agent_that_is_not_known_is_found_among_few_keys(rig: Rig) -> None:
    server = rig.serve("login", ["ed25519"], MAX_TRIES)
    # The key of the profile is that of the site, and not of a host with another method.
    host = {"host": "localhost", "port": server.port, "auth": AGENT}
    config = rig.compile(site(server, pins(rig), hosts={"rig": host}))
    agent = rig.agent(*OTHER_KEYS[:5], "ed25519-ada")
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))


def test_a_certificate_of_the_agent_is_offered_alone(rig: Rig) -> None:
    authority = f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub"
    server = rig.serve("login", ["ed25519"], authority, "AuthorizedKeysFile none", MAX_TRIES)
    certified = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name)
    agent = rig.agent(*OTHER_KEYS)
    add = ["ssh-add", "-q", str(certified)]
    subprocess.run(add, env={"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": agent}, check=True)
    # Some gateways make the key anew for each certificate, so that no file could name it.
    key = rig.key("ed25519-other")
    config = agent_site(rig, server, {"certificate": True}, key)
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))
    config = agent_site(rig, server, {"certificate": False}, key)
    assert permission_denied(rig.login(config, SSH_AUTH_SOCK=agent))


@pytest.mark.parametrize(
    ("methods", "question"),
    [
        pytest.param("publickey,keyboard-interactive", "assword:", id="a question too"),
        pytest.param("publickey", None, id="the key alone"),
    ],
)
def test_a_second_method_that_a_site_of_keys_adds_later_is_asked_for(
    rig: Rig, methods: str, question: str | None
) -> None:
    # The first value of a keyword counts, and the rig forbids questions below.
    options = (f"AuthenticationMethods {methods}", "KbdInteractiveAuthentication yes", "UsePAM yes")
    server = rig.serve("login", ["ed25519"], *options)
    config = rig.compile(site(server, pins(rig)), key=rig.key("ed25519-ada"))
    ssh = [*mount_over(TEST_USER.pw_dir, rig.home), "ssh", "-F", str(config), "rig", "echo in"]
    terminal = Terminal(*ssh, environment={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    if question:
        terminal.expect(question)
        terminal.interrupt()
        return
    assert terminal.end() == 0
    assert terminal.shown.split() == ["in"]
