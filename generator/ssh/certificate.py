"""An OpenSSH certificate, from its own bytes: its times are seconds since 1970, so that no time zone can mislead.

The format is that of OpenSSH's PROTOCOL.certkeys; `ssh-keygen -L` prints the same in local time.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

NEVER = 253_402_300_799  # the end of the year 9999: what shells and calendars still understand
_SUFFIX = "-cert-v01@openssh.com"
# How many strings the public key of a type is made of, behind the nonce.
_PARTS = {
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
_USER = 1


@dataclass(frozen=True)
class Certificate:
    """What a certificate says, and for which key. Times are seconds since 1970."""

    public_key: bytes
    """The key it is for, in the wire form of RFC 4253."""
    for_user: bool
    """Whether it is a user's, and not a host's."""
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    authority: str
    """Fingerprint of the CA's key, as `ssh-keygen -l` prints it."""

    @property
    def end(self) -> int:
        """The second from which it is not valid any more; of one without an end, the last that is spoken of."""
        return min(self.valid_before, NEVER)

    def lasts(self, now: int) -> bool:
        """Tell whether it is valid at a time."""
        return self.valid_after <= now < self.valid_before

    def due(self, skew: int, clamped: bool = True) -> int:
        """Return the second from which it is to be renewed.

        Clamped, half of its lifetime passes first whatever the skew: else one that is shorter would be renewed at
        every look.
        """
        if self.end == NEVER:
            return NEVER
        lifetime = max(self.valid_before - self.valid_after, 0)
        return max(self.valid_before - (min(skew, lifetime // 2) if clamped else skew), 0)


def decoded(content: bytes) -> Certificate:
    """Return the certificate in a `KEY-cert.pub`.

    Raises:
        ValueError: it is none, or is cut short.
    """
    words = content.split(b"\n", 1)[0].split()
    if len(words) < 2:
        raise ValueError("is no certificate")
    try:
        reader = _Reader(base64.b64decode(words[1], validate=True))
        return _certificate(reader, words[0].decode())
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("is no certificate") from None


def key_blob(content: bytes) -> bytes:
    """Return the wire form of the key in a `KEY.pub`.

    Raises:
        ValueError: it is no public key.
    """
    words = content.split(b"\n", 1)[0].split()
    try:
        blob = base64.b64decode(words[1], validate=True)
        if _Reader(blob).string() == words[0]:
            return blob
    except (IndexError, binascii.Error):
        pass
    raise ValueError("is no public key")


def fingerprint(blob: bytes) -> str:
    """Return a key's fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(sha256(blob).digest()).rstrip(b"=").decode()


def _certificate(reader: "_Reader", name: str) -> Certificate:
    kind = reader.string().decode()
    plain = kind.removesuffix(_SUFFIX)
    if kind != name or plain == kind or plain not in _PARTS:
        raise ValueError("is no certificate")
    reader.string()  # the nonce
    parts = [reader.string() for _ in range(_PARTS[plain])]
    reader.number(8)  # the serial
    use = reader.number(4)
    key_id = reader.string().decode(errors="replace")
    names = _Reader(reader.string())
    principals = []
    while names.rest:
        principals.append(names.string().decode(errors="replace"))
    valid_after, valid_before = reader.number(8), reader.number(8)
    for _ in range(3):  # critical options, extensions, reserved
        reader.string()
    authority = fingerprint(reader.string())
    reader.string()  # the signature
    own = f"{plain}@openssh.com" if plain.startswith("sk-") else plain
    key = b"".join(len(part).to_bytes(4, "big") + part for part in [own.encode(), *parts])
    return Certificate(
        key, use == _USER, key_id, tuple(principals), valid_after, valid_before, authority
    )


class _Reader:
    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def take(self, length: int) -> bytes:
        if length > len(self.rest):
            raise ValueError("is cut short")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def string(self) -> bytes:
        return self.take(self.number(4))
