"""A certificate is read from its bytes, so the time zone of this machine changes nothing."""

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.ssh.certificate import NEVER, Certificate, parse_certificate
from generator.ssh.keys import blob_fingerprint, key_blob

HOUR = 3600
ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Pacific/Kiritimati"]


def keygen(*arguments: str | Path, **environment: str) -> str:
    """Run ssh-keygen, and return its output."""
    process = subprocess.run(
        ["ssh-keygen", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return process.stdout


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the key of a CA."""
    directory = tmp_path_factory.mktemp("keys")
    keygen("-q", "-t", "ed25519", "-N", "", "-f", directory / "ca")
    return directory


Issue = Callable[..., bytes]


@pytest.fixture(scope="module")
def issue(directory: Path) -> Issue:
    """Return a function with which the real ssh-keygen issues a certificate."""

    def run(
        *options: str, kind: str = "ed25519", principals: str | None = "ada", zone: str = "UTC"
    ) -> bytes:
        key = directory / f"key-{kind}"
        if not key.exists():
            keygen("-q", "-t", kind, "-N", "", "-f", key)
        # ssh-keygen is the judge: it writes what OpenSSH reads.
        arguments = ["-q", "-s", str(directory / "ca"), "-I", "the id", *options]
        if principals:
            arguments += ["-n", principals]
        keygen(*arguments, f"{key}.pub", TZ=zone)
        return Path(f"{key}-cert.pub").read_bytes()

    return run


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Set the time zone of this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_part_of_a_certificate_is_read(directory: Path, issue: Issue, kind: str) -> None:
    certificate = parse_certificate(
        issue("-V", "20260101000000Z:20260101160000Z", kind=kind, principals="ada,ada@example.org")
    )
    assert certificate == Certificate(
        public_key=key_blob((directory / f"key-{kind}.pub").read_bytes()),
        for_user=True,
        key_id="the id",
        principals=("ada", "ada@example.org"),
        # 2026-01-01T00:00:00Z, by `date --utc +%s`.
        valid_after=1767225600,
        valid_before=1767225600 + 16 * HOUR,
        authority=keygen("-l", "-f", directory / "ca.pub").split()[1],
    )


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@pytest.mark.parametrize(
    ("kind", "key_type", "parts"),
    [
        pytest.param(
            # The application (`ssh:`) is part of the public key, so it has to be in the blob too.
            "sk-ssh-ed25519",
            "sk-ssh-ed25519@openssh.com",
            [b"k" * 32, b"ssh:"],
            id="ed25519-sk",
        ),
        pytest.param(
            "sk-ecdsa-sha2-nistp256",
            "sk-ecdsa-sha2-nistp256@openssh.com",
            [b"nistp256", b"p" * 65, b"ssh:"],
            id="ecdsa-sk",
        ),
        pytest.param(
            "ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", [b"nistp521", b"p" * 133], id="nistp521"
        ),
    ],
)
def test_the_certificate_of_a_security_key_holds_its_public_key(
    kind: str, key_type: str, parts: list[bytes]
) -> None:
    # Build the certificate by PROTOCOL.certkeys, since no test machine has such a device.
    name = f"{kind}-cert-v01@openssh.com"
    head = [name.encode(), b"nonce", *parts]
    numbers = (7).to_bytes(8, "big") + (1).to_bytes(4, "big")
    times = (1000).to_bytes(8, "big") + (2000).to_bytes(8, "big")
    tail = [b"", b"", b"", b"the CA's key", b"its signature"]
    blob = b"".join(map(string, head)) + numbers + string(b"id") + string(string(b"ada")) + times
    certificate = parse_certificate(
        f"{name} ".encode() + base64.b64encode(blob + b"".join(map(string, tail))) + b" comment\n"
    )
    assert certificate.public_key == b"".join(map(string, [key_type.encode(), *parts]))
    assert (certificate.valid_after, certificate.valid_before, certificate.authority) == (
        1000,
        2000,
        blob_fingerprint(b"the CA's key"),
    )


def test_a_certificate_without_principals_and_one_for_a_host_are_read(issue: Issue) -> None:
    assert parse_certificate(issue(principals=None)).principals == ()
    assert not parse_certificate(issue("-h")).for_user


def test_a_certificate_without_an_end_is_never_due(issue: Issue) -> None:
    certificate = parse_certificate(issue())  # Valid: forever
    # PROTOCOL.certkeys: the largest number of 64 bits stands for no end.
    assert (certificate.valid_after, certificate.valid_before) == (0, 2**64 - 1)
    assert certificate.due(1800) == NEVER
    assert certificate.is_valid(0)
    assert certificate.is_valid(NEVER)


@pytest.mark.parametrize("in_zone", ZONES, indirect=True)
@pytest.mark.parametrize(
    ("start", "end", "first"),
    [
        pytest.param("20260328230000Z", "20260329010000Z", 1774738800, id="spring in Vienna"),
        # The clock shows 02:00 to 03:00 twice that night.
        pytest.param("20261024233000Z", "20261025020000Z", 1792884600, id="autumn in Vienna"),
        pytest.param("20261101043000Z", "20261101073000Z", 1793507400, id="autumn in New York"),
    ],
)
def test_decisions_do_not_depend_on_the_zone(
    issue: Issue, in_zone: str, start: str, end: str, first: int
) -> None:
    # `ssh-keygen -L` prints local times, of which an hour in autumn stands for two.
    certificate = parse_certificate(issue("-V", f"{start}:{end}", zone=in_zone))
    assert certificate.valid_after == first
    assert certificate.due(1800) == certificate.valid_before - 1800
    assert certificate.is_valid(certificate.valid_before - 1)
    assert not certificate.is_valid(certificate.valid_before)


@pytest.mark.parametrize(
    ("lifetime", "skew", "clamped", "due"),
    [
        pytest.param(16 * HOUR, 1800, True, 16 * HOUR - 1800, id="skew before its end"),
        # Otherwise a short certificate would be due all the time, and renewed at each check.
        pytest.param(1200, 1800, True, 600, id="lifetime shorter than the skew: half of it passes"),
        pytest.param(60, 15, True, 45, id="lifetime of a minute"),
        # ssh waits for this check, so a certificate that is about to end must not pass it.
        pytest.param(1200, 1800, False, -600, id="not clamped, for each connection: always"),
        pytest.param(0, 1800, True, 0, id="never valid"),
    ],
)
def test_a_certificate_is_due_before_it_expires(
    lifetime: int, skew: int, clamped: bool, due: int
) -> None:
    start = 100_000
    certificate = Certificate(b"", True, "", ("ada",), start, start + lifetime, "")
    assert certificate.due(skew, clamped) - start == due


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="a word"),
        pytest.param(b"ssh-ed25519 AAAA", id="not even a key"),
        pytest.param(b"\xff\xfe \xff", id="bytes"),
        pytest.param(b"ssh-ed25519-cert-v01@openssh.com \n", id="the type alone"),
        pytest.param(b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", id="a private key"),
    ],
)
def test_content_that_is_not_a_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is (?:not a certificate|cut short)$"):
        parse_certificate(content)


def test_a_public_key_is_not_a_certificate(directory: Path) -> None:
    with pytest.raises(ValueError, match=r"^is not a certificate$"):
        parse_certificate((directory / "ca.pub").read_bytes())


@given(st.data())
def test_damage_leads_to_a_value_error_or_a_certificate(issue: Issue, data: st.DataObject) -> None:
    # The file is the user's, and may be cut or damaged by a full disk.
    content = bytearray(issue("-V", "+1h"))
    for offset in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[offset] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(ValueError):
        assert isinstance(parse_certificate(cut), Certificate)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        parse_certificate(content)
