"""`gen refresh` fails with one line, and the previous certificate still opens the site."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from identity_provider import Answer, Fault, IdentityProvider
from sshd import logged_in
from step_ca import CREDENTIALS, PREFIX, STATE, Authority, Member, authority, clock, membership
from waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.long]


@pytest.fixture(scope="module")
def certified(
    started_provider: IdentityProvider,
    started_ca: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Member]:
    """A user with a certificate, the same one for all tests; take `member`."""
    folder = tmp_path_factory.mktemp("certified")
    with membership(folder, started_provider, started_ca) as member:
        member.settle()
        member.renewed()
        assert logged_in(member.login())
        yield member


@pytest.fixture
def member(
    provider: IdentityProvider, ca: Authority, request: pytest.FixtureRequest
) -> Iterator[Member]:
    """A user whose certificate opens the site before each test, and must do so after it."""
    member: Member = request.getfixturevalue("certified")
    member.settle()
    provider.requests.clear()
    before = member.certificate.read_bytes()
    yield member
    assert member.certificate.read_bytes() == before
    assert logged_in(member.login())
    assert member.temporary() == []
    assert member.spilled() == []
    (member.home / STATE / "rig.json").unlink(missing_ok=True)


def recorded(member: Member) -> str:
    """Return the message of the last run, which `gen status` shows."""
    state = json.loads((member.home / STATE / "rig.json").read_text())
    assert state["result"] == "failed"
    return str(state["message"])


def fault(status: int, body: bytes = b"", **headers: str) -> Fault:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(Answer(status, body, names))


@pytest.mark.parametrize(
    ("wrong", "message", "requests"),
    [
        pytest.param(fault(401), "refuses the app password …", 1, id="401"),
        pytest.param(fault(403), "refuses the app password …", 1, id="403"),
        pytest.param(
            fault(404),
            "answers 404 instead of a token; check auth.oidc.token_url in the spec",
            1,
            id="404",
        ),
        pytest.param(
            # A redirect would carry the app password to another server.
            fault(302, Location="https://localhost:1/"),
            "answers 302 instead of a token",
            1,
            id="302",
        ),
        pytest.param(
            fault(429, Retry_After="3600"),
            "answers 429; the provider asked gen not to come back before ",
            1,
            id="429, a long wait",
        ),
        # Four attempts: 5xx may pass. The others are the same again, and a locked account helps no
        # one.
        pytest.param(fault(500), "answers 500; the next run tries again", 4, id="500"),
        pytest.param(
            fault(200, b"<html>"),
            "a web page answers in place of the server (200)",
            1,
            id="a web page",
        ),
        pytest.param(fault(200, b"[]"), "answers 200 without a JSON object", 1, id="another JSON"),
        pytest.param(fault(200, b"\xff\xfe"), "answers 200 without a JSON object", 1, id="bytes"),
        pytest.param(
            fault(200, b'{"id_token": "x"}'),
            "its answer has no access_token; check auth.oidc.token_field in the spec",
            1,
            id="no token field",
        ),
        pytest.param(
            fault(200, b'{"access_token": null}'),
            "its answer has no access_token; check auth.oidc.token_field in the spec",
            1,
            id="no token in it",
        ),
        pytest.param(
            fault(200, b'{"access_token": "no JWT"}'),
            "is not one word of ASCII, as a password or token is",
            1,
            id="words",
        ),
        pytest.param(
            fault(200, b'{"access_token": "x.y.z"}'),
            "step failed: ",
            1,
            id="a token that step does not take",
        ),
        pytest.param(
            fault(200, b"{}", Content_Length="5", Connection="close"),
            "the next run tries again",
            4,
            id="an answer cut short",
        ),
    ],
)
def test_a_bad_answer_of_the_provider_is_reported(
    wrong: Fault, message: str, requests: int, member: Member
) -> None:
    # With an API token, gen would replace a wrong app password.
    without_api_token(member)
    member.provider.fault = wrong
    line = member.refused("--force")
    assert message in line
    assert line.startswith("rig: ")
    assert recorded(member) in line
    assert member.provider.count() == requests


def without_api_token(member: Member) -> None:
    path = member.home / CREDENTIALS
    remaining = [line for line in path.read_text().splitlines() if "_API_TOKEN" not in line]
    path.write_text("\n".join([*remaining, ""]))


def test_a_retry_after_is_respected_by_the_next_run(member: Member) -> None:
    member.provider.fault = fault(429, Retry_After="3600")
    member.refused("--force")
    assert member.provider.count() == 1
    member.certificate.rename(hidden := member.home / "hidden")
    member.provider.fault = None
    assert "asked gen not to come back before" in member.refused()
    assert member.provider.count() == 1
    hidden.rename(member.certificate)


@pytest.mark.parametrize(
    "passing",
    [
        pytest.param(fault(429, Retry_After="1"), id="429, a short wait"),
        pytest.param(fault(500), id="500"),
        pytest.param(fault(503), id="503"),
        pytest.param(Fault(delay=3), id="slow"),
    ],
)
def test_a_fault_of_the_provider_that_passes_is_retried(passing: Fault, member: Member) -> None:
    passing.times = 1
    member.provider.fault = passing
    with kept(member):
        assert "renewed" in member.renewed("--force").stderr
    assert member.provider.count() == (1 if passing.delay else 2)


def test_a_provider_that_is_down_is_reported(member: Member) -> None:
    with member.provider.down():
        assert "connection refused" in member.refused("--force")


def test_a_provider_whose_tls_certificate_is_not_trusted_is_reported(member: Member) -> None:
    line = member.refused("--force", GEN_CA_BUNDLE=str(member.ca.user_key.with_name("ca-root.crt")))
    assert "its TLS certificate is not trusted" in line
    assert "--ca-bundle FILE" in line
    assert member.provider.count() == 0


def test_plain_http_is_refused_except_on_the_loopback(member: Member) -> None:
    line = member.refused(
        "--force", **{f"{PREFIX}_OIDC_TOKEN_URL": "http://auth.example.org/token/"}
    )
    assert "http:// only on the loopback" in line


# A certificate whose bytes were changed in the middle: the signature does not fit any more.
FORGED = "(cd ~/.ssh; head -c 400 id_rig-cert.pub; printf evil; tail -c +405 id_rig-cert.pub)"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        pytest.param("echo no way >&2; exit 3", "step failed: no way", id="fails"),
        pytest.param("exit 3", "step failed: status 3", id="fails without a word"),
        pytest.param("kill -KILL $$", "step failed: ", id="is killed"),
        pytest.param(
            "exit 0",
            "step returned no valid certificate; the old certificate stays",
            id="writes nothing",
        ),
        pytest.param(
            'echo x > "${4%.pub}-cert.pub"',
            "step returned no valid certificate",
            id="writes garbage",
        ),
        pytest.param(
            'head -c 300000 /dev/zero > "${4%.pub}-cert.pub"',
            "step returned no valid certificate",
            id="writes zeros",
        ),
        pytest.param(
            ": > ${4%.pub}-cert.pub",
            "step returned no valid certificate",
            id="writes an empty file",
        ),
        pytest.param(
            'cp "$4" "${4%.pub}-cert.pub"',
            "step returned no valid certificate",
            id="writes the key",
        ),
        pytest.param(
            'head -c 700 ~/.ssh/id_rig-cert.pub > "${4%.pub}-cert.pub"',
            "step returned no valid certificate",
            id="writes a half one",
        ),
        pytest.param(
            f'{FORGED} > "${{4%.pub}}-cert.pub"',
            "step returned no valid certificate",
            id="writes a forged one",
        ),
    ],
)
def test_a_step_that_fails_or_returns_no_certificate_is_reported(
    step: str, message: str, member: Member, instead: Callable[[str], None]
) -> None:
    instead(step)
    assert message in member.refused("--force")


def test_a_step_that_hangs_is_stopped_before_it_delays_a_connection_for_long(
    member: Member, instead: Callable[[str], None]
) -> None:
    instead("echo $$ > ~/hangs; exec sleep 300")
    begun = time.monotonic()
    result = member.refresh("--on-connect", "--force")
    assert time.monotonic() - begun < 15
    # The certificate is valid, so the connection works.
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    wait_until(lambda: not member.renewing())
    assert not Path("/proc", (member.home / "hangs").read_text().strip()).exists()
    assert "the CA did not answer in time" in recorded(member)


@pytest.fixture
def instead(member: Member) -> Iterator[Callable[[str], None]]:
    """Run a script in place of a signature by the real step."""
    program = member.home / ".local/bin/step"

    def write(script: str) -> None:
        real = shutil.which("step")
        program.write_text(f'#!/bin/sh\n[ "$2" = certificate ] || exec {real} "$@"\n{script}\n')
        program.chmod(0o755)

    yield write
    program.unlink()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            ("-n", "grace", "-V", "+1h"), "does not let root log in", id="for another user"
        ),
        pytest.param(("-V", "+1h"), "names no user (principal)", id="for no user"),
        pytest.param(
            ("-n", "root", "-V", "-2h:-1h"),
            "not valid at this machine's time",
            id="that has ended",
        ),
        pytest.param(
            ("-n", "root", "-V", "+1d:+2d"),
            "not valid at this machine's time",
            id="of tomorrow",
        ),
        pytest.param(
            ("-h", "-n", "root", "-V", "+1h"), "is for a host, and not for a user", id="of a host"
        ),
        pytest.param(
            ("-n", "root", "-V", "+1h"), "which is not a key of the CA", id="of another CA"
        ),
    ],
)
def test_a_worse_certificate_is_refused(
    options: tuple[str, ...], message: str, member: Member, instead: Callable[[str], None]
) -> None:
    signer = member.rig.key("ecdsa-other")
    if "not a key of the CA" not in message:
        signer = member.ca.user_key.with_suffix("")
    instead(f'exec ssh-keygen -q -s {signer} -I test {" ".join(options)} "$4"')
    assert message in member.refused("--force")


def test_a_certificate_for_another_key_is_refused(
    member: Member, instead: Callable[[str], None]
) -> None:
    another_key = f"{member.rig.key('ed25519-other')}.pub"
    signer = member.ca.user_key.with_suffix("")
    instead(f'cp {another_key} "$4"; exec ssh-keygen -q -s {signer} -I test -n root -V +1h "$4"')
    assert "is for another key" in member.refused("--force")


def test_without_step_the_message_says_where_to_get_it(member: Member) -> None:
    folder = member.home / "few"
    programs = ("ssh-keygen", "ssh")
    setup = f"mkdir -p {folder}"
    for name in programs:
        setup += f'; ln -sf "$(command -v {name})" {folder}'
    line = member.refused("--force", setup=setup, PATH=f"{folder}:/usr/bin:/bin")
    assert "step is not on PATH; install it: https://" in line


def test_a_ca_that_does_not_list_its_keys_is_reported(member: Member) -> None:
    program, real = member.home / ".local/bin/step", shutil.which("step")
    program.write_text(f'#!/bin/sh\n[ "$2" = config ] && exit 1\nexec {real} "$@"\n')
    program.chmod(0o755)
    with kept(member):
        member.certificate.unlink()
        # Without the list gen cannot tell a certificate of the CA from one of another.
        message = member.refresh("--force").stderr
    program.unlink()
    assert "the CA did not list its keys" in message


def full(directory: str) -> str:
    """Return shell code that mounts a full disk over a directory and keeps its files."""
    steps = (
        "mount -t tmpfs none /mnt",
        f"cp -a {directory} /mnt/kept",
        f"mount -t tmpfs -o size=64k,mode=700 none {directory}",
        f"cp -a /mnt/kept/. {directory}",
        f"head -c 1m /dev/zero > {directory}/full 2>/dev/null",
    )
    return "; ".join(steps)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        pytest.param(
            # A tmpfs of 64 KiB that is filled: a disk quota looks the same to gen.
            full("~/.ssh"),
            "no space left on device",
            id="a full disk below the certificate",
        ),
        pytest.param(
            full("~/.local/state/gen"), "no space left on device", id="a full disk below the state"
        ),
        pytest.param(
            "mount --bind ~ ~; mount -o remount,bind,ro ~",
            "read-only file system",
            id="a read-only home",
        ),
        pytest.param(
            "mount --bind ~/.ssh ~/.ssh; mount -o remount,bind,ro ~/.ssh",
            "read-only file system",
            id="a read-only ~/.ssh",
        ),
    ],
)
def test_a_disk_that_cannot_be_written_is_reported(
    setup: str, message: str, member: Member
) -> None:
    assert message in member.refused("--force", setup=setup).lower()


@pytest.mark.parametrize("offset", ["-3d", "+3d"], ids=["back", "ahead"])
def test_a_clock_that_is_days_wrong_is_reported(
    offset: str, member: Member, need: Callable[..., None]
) -> None:
    # The new certificate is not valid by such a clock. The old one stays, and the server accepts
    # it.
    need("faketime")
    assert "set its clock" in member.refused("--force", **clock(offset))


def test_a_clock_by_which_tls_has_expired_is_doubted(
    member: Member, need: Callable[..., None]
) -> None:
    need("faketime")
    assert "is this machine's clock right?" in member.refused("--force", **clock("+900d"))


# Clocks without NTP are off by some seconds; the certificate starts then a little in the future.
@pytest.mark.parametrize("offset", ["-20", "+20"], ids=["behind", "ahead"])
def test_a_clock_that_is_twenty_seconds_wrong_is_tolerated(
    offset: str, member: Member, need: Callable[..., None]
) -> None:
    need("faketime")
    with kept(member):
        member.renewed("--force", **clock(offset))


@contextmanager
def kept(member: Member) -> Iterator[None]:
    """Put back the certificate that was there before the block."""
    before = member.certificate.read_bytes()
    yield
    member.certificate.write_bytes(before)


def test_gen_requests_no_more_certificates_in_a_day_than_the_site_issues(member: Member) -> None:
    member.settle(max_per_day=1)
    with kept(member):
        member.renewed("--force")
        signed = member.ca.log.read_text().count("path=/ssh/sign")
        assert "its limit; the next one is possible at " in member.refused("--force")
        assert member.ca.log.read_text().count("path=/ssh/sign") == signed


def test_a_credentials_file_that_other_users_may_read_is_refused(member: Member) -> None:
    (member.home / CREDENTIALS).chmod(0o644)
    assert "other users may read it (mode 644); run chmod 600" in member.refused("--force")
    (member.home / CREDENTIALS).chmod(0o600)


def test_a_ca_that_is_down_is_reported_and_nothing_is_rotated(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    with authority(tmp_path, provider) as ca:
        pass
    with membership(tmp_path / "person", provider, ca) as member:
        member.settle()
        with authority(tmp_path, provider):
            member.renewed()
        assert "connection refused" in member.refused("--force")
        assert "connection refused" in member.refused("--rotate-app-password")
        assert sorted(provider.held) == ["first-api", "first-app_password"]
        assert logged_in(member.login())


def test_a_ca_that_could_not_reach_the_provider_at_its_start_is_reported(
    provider: IdentityProvider, tmp_path: Path
) -> None:
    # step-ca has switched its provisioner off, for good: dagster-slurm's issue 122.
    with ExitStack() as stack:
        with provider.down():
            ca = stack.enter_context(authority(tmp_path, provider))
        member = stack.enter_context(membership(tmp_path / "person", provider, ca))
        member.settle()
        assert "only the site can fix that" in member.refused()
