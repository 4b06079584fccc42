"""Read an OpenSSH certificate from its own bytes.

The format is in OpenSSH's PROTOCOL.certkeys. Its times are seconds since 1970; `ssh-keygen -L`
prints them in local time, in which one hour of autumn stands for two.
"""

import base64
from dataclasses import dataclass

from generator.ssh.keys import CERTIFICATE_SUFFIX, WireReader, blob_fingerprint

NEVER = 253_402_300_799
"""The end of the year 9999, for a certificate without an end.

It is the last date that shells and calendars understand.
"""
_NOT_A_CERTIFICATE = "is not a certificate"
# The number of strings that make up the public key of each type; they follow the nonce.
_KEY_STRINGS = {
    "ssh-rsa": 2,
    "ssh-dss": 4,
    "ssh-ed25519": 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ssh-ed25519": 2,
    "sk-ecdsa-sha2-nistp256": 3,
}
_USER_CERTIFICATE = 1


@dataclass(frozen=True)
class Certificate:
    """The content of a certificate. Times are seconds since 1970."""

    public_key: bytes
    """The key that it certifies, in the wire form of RFC 4253."""
    for_user: bool
    """Whether it certifies a user, and not a host."""
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    authority: str
    """Fingerprint of the CA's key, as `ssh-keygen -l` prints it."""

    @property
    def end(self) -> int:
        """The second at which it expires; NEVER for a certificate without an end."""
        return min(self.valid_before, NEVER)

    def is_valid(self, now: int) -> bool:
        """Return whether it is valid at a time."""
        return self.valid_after <= now < self.valid_before

    def due(self, skew: int, clamped: bool = True) -> int:
        """Return the second from which gen renews it: so many seconds before it expires.

        Clamped, half of its lifetime passes first. Otherwise a certificate with a lifetime shorter
        than the skew would be renewed at every check.
        """
        if self.end == NEVER:
            return NEVER
        lifetime = max(self.valid_before - self.valid_after, 0)
        if clamped:
            skew = min(skew, lifetime // 2)
        return max(self.valid_before - skew, 0)


def parse_certificate(content: bytes) -> Certificate:
    """Return the certificate in the content of a `KEY-cert.pub`.

    Raises:
        ValueError: the content is not a certificate, or is cut short.
    """
    words = content.split(b"\n", 1)[0].split()
    if len(words) < 2:
        raise ValueError(_NOT_A_CERTIFICATE)
    try:
        blob = base64.b64decode(words[1], validate=True)
        name = words[0].decode()
    except ValueError:  # binascii.Error or UnicodeDecodeError
        raise ValueError(_NOT_A_CERTIFICATE) from None
    return _parse_blob(WireReader(blob), name)


def _parse_blob(reader: WireReader, name: str) -> Certificate:
    kind = reader.string().decode(errors="replace")
    key_type = kind.removesuffix(CERTIFICATE_SUFFIX)
    if kind != name or key_type == kind or key_type not in _KEY_STRINGS:
        raise ValueError(_NOT_A_CERTIFICATE)
    reader.string()  # the nonce
    key_strings = [reader.string() for _ in range(_KEY_STRINGS[key_type])]
    reader.number(8)  # the serial number
    use = reader.number(4)
    key_id = reader.string().decode(errors="replace")
    principals = _principals(reader.string())
    valid_after = reader.number(8)
    valid_before = reader.number(8)
    for _ in range(3):  # critical options, extensions, reserved
        reader.string()
    authority = blob_fingerprint(reader.string())
    reader.string()  # the signature
    return Certificate(
        _key_blob(key_type, key_strings),
        use == _USER_CERTIFICATE,
        key_id,
        principals,
        valid_after,
        valid_before,
        authority,
    )


def _principals(content: bytes) -> tuple[str, ...]:
    reader = WireReader(content)
    principals = []
    while reader.unread:
        principals.append(reader.string().decode(errors="replace"))
    return tuple(principals)


def _key_blob(key_type: str, strings: list[bytes]) -> bytes:
    # The type of a security key ends in the domain of OpenSSH; in that of its certificate the
    # suffix replaces it.
    if key_type.startswith("sk-"):
        key_type += "@openssh.com"
    parts = [key_type.encode(), *strings]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
