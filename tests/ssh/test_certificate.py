"""What a certificate says is read from its bytes: the same wherever the clock on the wall stands."""

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

from generator.ssh.certificate import NEVER, Certificate, decoded, fingerprint, key_blob

HOUR = 3600
ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Pacific/Kiritimati"]


def keygen(*words: str | Path, **environment: str) -> str:
    done = subprocess.run(
        ["ssh-keygen", *words],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
    )
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA's key."""
    folder = tmp_path_factory.mktemp("keys")
    keygen("-q", "-t", "ed25519", "-N", "", "-f", folder / "ca")
    return folder


Issue = Callable[..., bytes]


@pytest.fixture(scope="module")
def issue(folder: Path) -> Issue:
    """Have the real ssh-keygen make a certificate."""

    def run(
        *options: str, kind: str = "ed25519", principals: str | None = "ada", zone: str = "UTC"
    ) -> bytes:
        key = folder / f"key-{kind}"
        if not key.exists():
            keygen("-q", "-t", kind, "-N", "", "-f", key)
        named = ["-n", principals] if principals else []
        keygen("-q", "-s", folder / "ca", "-I", "the id", *named, *options, f"{key}.pub", TZ=zone)
        return Path(f"{key}-cert.pub").read_bytes()

    return run


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Let this process believe that it is in a time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_part_of_a_certificate_is_read(folder: Path, issue: Issue, kind: str) -> None:
    found = decoded(
        issue("-V", "20260101000000Z:20260101160000Z", kind=kind, principals="ada,ada@example.org")
    )
    assert found == Certificate(
        public_key=key_blob((folder / f"key-{kind}.pub").read_bytes()),
        for_user=True,
        key_id="the id",
        principals=("ada", "ada@example.org"),
        valid_after=1767225600,
        valid_before=1767225600 + 16 * HOUR,
        authority=keygen("-l", "-f", folder / "ca.pub").split()[1],
    )


def string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        pytest.param("sk-ssh-ed25519", [b"k" * 32, b"ssh:"], id="ed25519-sk"),
        pytest.param("sk-ecdsa-sha2-nistp256", [b"nistp256", b"p" * 65, b"ssh:"], id="ecdsa-sk"),
        pytest.param("ecdsa-sha2-nistp521", [b"nistp521", b"p" * 133], id="nistp521"),
    ],
)
def test_the_key_of_a_security_key_is_the_one_of_its_public_half(
    kind: str, parts: list[bytes]
) -> None:
    """Put together by the rules of PROTOCOL.certkeys: no test machine has such a device."""
    name = f"{kind}-cert-v01@openssh.com"
    head = [name.encode(), b"nonce", *parts]
    numbers = (7).to_bytes(8, "big") + (1).to_bytes(4, "big")
    times = (1000).to_bytes(8, "big") + (2000).to_bytes(8, "big")
    tail = [b"", b"", b"", b"the CA's key", b"its signature"]
    blob = b"".join(map(string, head)) + numbers + string(b"id") + string(string(b"ada")) + times
    found = decoded(
        f"{name} ".encode() + base64.b64encode(blob + b"".join(map(string, tail))) + b" comment\n"
    )
    own = f"{kind}@openssh.com" if kind.startswith("sk-") else kind
    assert found.public_key == b"".join(map(string, [own.encode(), *parts]))
    assert (found.valid_after, found.valid_before, found.authority) == (
        1000,
        2000,
        fingerprint(b"the CA's key"),
    )


def test_a_certificate_without_principals_or_for_a_host_says_so(issue: Issue) -> None:
    assert decoded(issue(principals=None)).principals == ()
    assert not decoded(issue("-h")).for_user


def test_a_certificate_without_an_end_is_never_due(issue: Issue) -> None:
    found = decoded(issue())  # Valid: forever
    assert (found.valid_after, found.valid_before) == (0, 2**64 - 1)
    assert found.due(1800) == NEVER
    assert found.lasts(0) and found.lasts(NEVER)


@pytest.mark.parametrize("in_zone", ZONES, indirect=True)
@pytest.mark.parametrize(
    ("start", "end", "first"),
    [
        pytest.param("20260328230000Z", "20260329010000Z", 1774738800, id="spring in Vienna"),
        pytest.param("20261024233000Z", "20261025020000Z", 1792884600, id="autumn in Vienna"),
        pytest.param("20261101043000Z", "20261101073000Z", 1793507400, id="autumn in New York"),
    ],
)
def test_decisions_do_not_depend_on_the_zone(
    issue: Issue, in_zone: str, start: str, end: str, first: int
) -> None:
    """`ssh-keygen -L` prints local times, of which an hour in autumn stands for two."""
    found = decoded(issue("-V", f"{start}:{end}", zone=in_zone))
    assert found.valid_after == first
    assert found.due(1800) == found.valid_before - 1800
    assert not found.lasts(found.valid_before) and found.lasts(found.valid_before - 1)


@pytest.mark.parametrize(
    ("lifetime", "skew", "clamped", "due"),
    [
        pytest.param(16 * HOUR, 1800, True, 16 * HOUR - 1800, id="the skew before its end"),
        pytest.param(1200, 1800, True, 600, id="one shorter than the skew: half of it passes"),
        pytest.param(60, 15, True, 45, id="a minute"),
        pytest.param(1200, 1800, False, -600, id="for each connection: always"),
        pytest.param(0, 1800, True, 0, id="one that never was valid"),
    ],
)
def test_when_it_is_due(lifetime: int, skew: int, clamped: bool, due: int) -> None:
    start = 100_000
    found = Certificate(b"", True, "", ("ada",), start, start + lifetime, "")
    assert found.due(skew, clamped) - start == due


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
def test_what_is_no_certificate_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"is no certificate|is cut short"):
        decoded(content)


def test_a_plain_public_key_is_no_certificate(folder: Path) -> None:
    with pytest.raises(ValueError, match="is no certificate"):
        decoded((folder / "ca.pub").read_bytes())


@given(st.data())
def test_damage_is_a_value_error_or_a_certificate_and_nothing_else(
    issue: Issue, data: st.DataObject
) -> None:
    content = bytearray(issue("-V", "+1h"))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(ValueError):
        assert isinstance(decoded(cut), Certificate)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_a_value_error(content: bytes) -> None:
    for read in (decoded, key_blob):
        with pytest.raises(ValueError, match="is "):
            read(content)
