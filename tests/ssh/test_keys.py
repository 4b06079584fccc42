"""Public keys: their blobs and fingerprints agree with ssh-keygen, and anything else is refused."""

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.ssh import keys


@pytest.fixture(scope="module", params=["ed25519", "ecdsa", "rsa"])
def public_key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate a key pair, and return the path of the public key."""
    path: Path = tmp_path_factory.mktemp("keys") / request.param
    command = ["ssh-keygen", "-q", "-t", request.param, "-N", "", "-C", "a comment", "-f", path]
    subprocess.run(command, check=True, timeout=60)
    return path.with_name(f"{path.name}.pub")


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(public_key: Path) -> None:
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", public_key],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    fingerprint = listed.stdout.split()[1]
    assert keys.fingerprint(public_key.read_text()) == fingerprint
    assert keys.fingerprint(public_key.read_bytes()) == fingerprint
    blob = keys.key_blob(public_key.read_text())
    assert keys.fingerprint_digest(fingerprint) == keys.fingerprint_digest(
        keys.blob_fingerprint(blob)
    )


def test_the_algorithm_is_the_one_that_the_key_was_generated_with(public_key: Path) -> None:
    assert keys.algorithm(public_key.read_text()) == public_key.stem


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("", "is not a public key", id="nothing"),
        pytest.param("ssh-ed25519", "is not a public key", id="type alone"),
        pytest.param("ssh-ed25519 A=A", "holds a key that is not base64", id="not base64"),
        pytest.param("ssh-ed25519 \xff", "holds a key that is not base64", id="not ASCII"),
        pytest.param(
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAAA==",
            "does not have a key of the type ssh-rsa",
            id="another type",
        ),
        pytest.param(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "does not have a key of the type ssh-ed25519",
            id="type without a key",
        ),
        pytest.param(
            "ssh-ed25519 AAAA",
            "does not have a key of the type ssh-ed25519",
            id="cut short",
        ),
    ],
)
def test_a_line_that_is_not_a_public_key_is_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        keys.key_blob(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_a_value_error(content: bytes) -> None:
    # A type may have any character, a line break of Unicode too.
    messages = (
        "is not a public key|holds a key that is not base64|does not have a key of the type .+"
    )
    with pytest.raises(ValueError, match=rf"(?s)^(?:{messages})$"):
        keys.key_blob(content)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("SHA256:AAAA", id="too short"),
        pytest.param("SHA256:" + base64.b64encode(bytes(32)).decode(), id="padded"),
        pytest.param("SHA256:" + "A" * 42 + "B", id="bits that no byte has"),
        pytest.param("SHA256:" + "*" * 43, id="not base64"),
    ],
)
def test_a_text_that_is_not_a_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^does not decode to the 32 bytes of a SHA-256$"):
        keys.fingerprint_digest(text)
