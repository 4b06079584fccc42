"""Public keys of OpenSSH: a line `TYPE BASE64`, its wire form (the blob) and its fingerprint."""

import base64
import binascii
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

Algorithm = Literal["ed25519", "ecdsa", "rsa"]

ALGORITHMS: Mapping[str, Algorithm] = {
    "ssh-ed25519": "ed25519",
    "ecdsa-sha2-nistp256": "ecdsa",
    "ecdsa-sha2-nistp384": "ecdsa",
    "ecdsa-sha2-nistp521": "ecdsa",
    "ssh-rsa": "rsa",
}
"""The type of a key that a host may have, and its algorithm as ssh-keygen's `-t` calls it."""

# The signature algorithms of each key; SHA-1 is left out, as in ssh since 8.8 (ssh_config(5),
# HostKeyAlgorithms).
SIGNATURES: Mapping[Algorithm, tuple[str, ...]] = {
    "ed25519": ("ssh-ed25519",),
    "ecdsa": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    "rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
"""What distinguishes the type of a certificate from that of its key."""
SHORTEST_RSA = 2048
"""Bits: NIST has allowed no shorter key since 2014 (SP 800-131A), and Mila's page names none."""
_FINGERPRINT_PREFIX = "SHA256:"


def algorithm(line: str) -> Algorithm:
    """Return the algorithm of a host's public key line."""
    return ALGORITHMS[line.partition(" ")[0]]


def key_blob(line: str | bytes) -> bytes:
    """Return the blob of a public key line (RFC 4253, section 6.6); a comment behind it is ignored.

    Raises:
        ValueError: the line is not a public key, or the key is of another type than the line says.
    """
    text = line.decode(errors="replace") if isinstance(line, bytes) else line
    # Only the first line: ssh reads no more of a .pub file.
    words = text.partition("\n")[0].split()
    if len(words) < 2:
        raise ValueError("is not a public key")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except ValueError:  # binascii.Error, or a character that is not ASCII
        blob = b""
    # Python before 3.13 accepts padding too many; ssh never does.
    if not blob or base64.b64encode(blob).decode() != words[1]:
        raise ValueError("holds a key that is not base64")
    reader = WireReader(blob)
    try:
        kind = reader.string()
    except ValueError:
        kind = b""
    if kind != words[0].encode() or not reader.unread:
        raise ValueError(f"does not have a key of the type {words[0]}")
    return blob


def fingerprint(line: str | bytes) -> str:
    """Return the fingerprint of a public key line as `ssh-keygen -l` prints it.

    Raises:
        ValueError: the line is not a public key.
    """
    return blob_fingerprint(key_blob(line))


def is_key_alone(text: str) -> bool:
    """Return whether a text is a public key (`TYPE BASE64`), and nothing else.

    In a file of keys, more lines would be more keys, and words in front would be options.
    """
    try:
        key_blob(text)
    except ValueError:
        return False
    return re.fullmatch(r"[!-~]+ [!-~]+", text) is not None


def blob_fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a key in its wire form."""
    digest = base64.b64encode(sha256(blob).digest()).decode()
    return _FINGERPRINT_PREFIX + digest.rstrip("=")


def rsa_bits(line: str | bytes) -> int | None:
    """Return the size of an RSA public key in bits; ``None`` for a key of another type.

    Raises:
        ValueError: the line is not a public key.
    """
    reader = WireReader(key_blob(line))
    if reader.string() != b"ssh-rsa":
        return None
    reader.string()  # the exponent comes before the modulus (RFC 4253, section 6.6)
    return int.from_bytes(reader.string(), "big").bit_length()


def fingerprint_digest(text: str) -> bytes:
    """Return the 32 bytes that a fingerprint `SHA256:…` stands for.

    Raises:
        ValueError: the text does not decode to 32 bytes.
    """
    # ssh-keygen prints base64 without its padding.
    encoded = text.removeprefix(_FINGERPRINT_PREFIX)
    try:
        digest = base64.b64decode(encoded + "=", validate=True)
    except binascii.Error:
        digest = b""
    # Several texts decode to the same bytes; only the one that ssh-keygen prints is accepted.
    is_canonical = base64.b64encode(digest).rstrip(b"=").decode() == encoded
    if len(digest) != 32 or not is_canonical:
        raise ValueError("does not decode to the 32 bytes of a SHA-256")
    return digest


class WireReader:
    """Reads numbers and strings from the wire form of RFC 4251, section 5."""

    def __init__(self, content: bytes) -> None:
        self.unread = content

    def take(self, length: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: fewer are left.
        """
        if length > len(self.unread):
            raise ValueError("is cut short")
        taken, self.unread = self.unread[:length], self.unread[length:]
        return taken

    def number(self, length: int) -> int:
        """Return the number in the next bytes."""
        return int.from_bytes(self.take(length), "big")

    def string(self) -> bytes:
        """Return the next string, which its length precedes."""
        return self.take(self.number(4))
