"""The signed index of a directory of specs that is published.

Everything in it comes from a stranger until the signature is checked, and from the publisher then.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from generator import codec
from generator.errors import GenError
from generator.formatting import printable
from generator.loading.sources import PublishedSpec, revocation_fault, version_fault
from generator.schema.names import SLUG
from generator.ssh.keys import is_key_alone

FILE = "gen-source.json"
SIGNATURE_FILE = f"{FILE}.sig"
MOST_SPECS = 500
# Many kilobytes would be a way to hide something; a file of this size holds 500 specs.
LARGEST = 256 * 1024


@dataclass(frozen=True)
class Handover:
    """The signature of a trusted key over a new key, which is trusted from then on."""

    key: str
    """The new public key: `TYPE BASE64`."""
    signature: str
    """Of a key that was trusted before, over `statement`."""


@dataclass(frozen=True)
class PublishedIndex:
    """The content of a source at one time."""

    name: str
    """Name of the source."""
    version: int
    """Grows with each signing. An older index than the one in use is refused."""
    expires: str
    """The last day (`YYYY-MM-DD`): without an end, an attacker could replay it for ever."""
    specs: Mapping[str, PublishedSpec]
    """By the name of the site. Its file is `SITE.yaml` beside the index."""
    handovers: tuple[Handover, ...] = ()
    """In the order of time."""
    revoked: tuple[str, ...] = field(default=())
    """Fingerprints of keys that may sign no more."""

    @property
    def last_day(self) -> date:
        """The last day on which the index is accepted."""
        return date.fromisoformat(self.expires)


def parse(content: bytes, name: str) -> PublishedIndex:
    """Return the index in a file; refuse one with a value that `gen source sign` never writes."""
    if len(content) > LARGEST:
        raise GenError(f"{name}: is larger than {LARGEST // 1024} KiB")
    index = codec.load(PublishedIndex, content, name)
    # The types are right; the values may still be a publisher's, or an attacker's, own.
    fault = _fault(index)
    if fault:
        raise GenError(f"{name}: {printable(fault, 200)}")
    return index


def spec_file(site: str) -> str:
    """Return the name of a site's file beside the index."""
    return f"{site}.yaml"


def statement(source: str, key: str) -> bytes:
    """Return the text that a trusted key signs to hand over to a new key."""
    # With the name of the source: a key may sign for several, and a handover is for one.
    return f"source {source}\nkey {key}\n".encode()


def _fault(index: PublishedIndex) -> str | None:
    if not re.fullmatch(SLUG, index.name):
        return "name: is not lowercase letters, digits and single hyphens"
    # An empty index would remove every site of its users at once.
    if not index.specs:
        return "specs: has no spec"
    if len(index.specs) > MOST_SPECS:
        return f"specs: has {len(index.specs)} specs; {MOST_SPECS} are the most"
    fault = version_fault(index.version, index.expires, index.specs)
    if fault:
        return fault
    # Their signatures are checked later, with the keys that are trusted until then.
    for handover in index.handovers:
        if not is_key_alone(handover.key):
            return f"handovers: {handover.key[:100]!a} is not a public key"
    return revocation_fault(index.revoked)
