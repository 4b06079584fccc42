"""Publish a directory of specs: write its index, and sign it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path

from generator import codec, files
from generator.errors import GenError, os_errors_named
from generator.loading import inputs
from generator.loading.sources import PublishedSpec
from generator.revisions.spec_check import check_file
from generator.sources import published_index, signature
from generator.sources.offer import trusted_keys
from generator.sources.published_index import Handover, PublishedIndex
from generator.ssh.keys import fingerprint
from generator.workspace import writer

_MODE = 0o644


@dataclass(frozen=True)
class Signing:
    """The choices of a publisher."""

    directory: Path
    key: Path
    """Private key, or public key of which an agent has the private one."""
    name: str | None
    """Name of the source; ``None`` for the name in the last index."""
    last_day: date
    next_key: Path | None = None
    """Public key that may sign from now on, beside the present one."""
    revoked: Sequence[Path] = ()
    """Public keys that may sign no more."""


def sign(signing: Signing, today: date) -> tuple[PublishedIndex, str]:
    """Write the index of a directory of specs and its signature; return the index and the signer.

    A spec that changed since the last index gets the next version by itself.
    """
    previous = _previous(signing.directory)
    name = signing.name or (previous.name if previous else None)
    if name is None:
        raise GenError(
            f"{signing.directory}: has no index yet; name the source: --name NAME, as in --name asc"
        )
    specs = _specs(signing.directory, previous.specs if previous else {}, today)
    # Users who skip versions need every handover since the version that they have.
    handovers = previous.handovers if previous else ()
    if signing.next_key:
        handovers = (*handovers, _handover(name, signing.key, _public_key(signing.next_key)))
    revoked = previous.revoked if previous else ()
    revoked = (*revoked, *(fingerprint(_public_key(path)) for path in signing.revoked))
    index = PublishedIndex(
        name=name,
        version=previous.version + 1 if previous else 1,
        expires=signing.last_day.isoformat(),
        specs=specs,
        handovers=handovers,
        revoked=tuple(dict.fromkeys(revoked)),
    )
    content = codec.dump(index)
    # Refuses a name or a number of specs that no reader would take.
    published_index.parse(content, published_index.FILE)
    # Before the first write: ssh-keygen may ask for a passphrase, and the user may give up.
    index_signature = signature.sign(content, signing.key, signature.INDEX_NAMESPACE)
    signer = signature.signer(index_signature, str(signing.key))
    if previous:
        _check_successor(signing.directory, previous, signer)
    if fingerprint(signer) in index.revoked:
        raise GenError(f"{signing.key}: was revoked by this source; sign with another key")
    _write(signing.directory / published_index.FILE, content)
    _write(signing.directory / published_index.SIGNATURE_FILE, index_signature)
    return index, signer


def _check_successor(directory: Path, previous: PublishedIndex, signer: str) -> None:
    """Refuse to go on from an index that was tampered with, or that another key signed.

    A job may have fetched it from a web server, and its versions and handovers are signed again.
    """
    path = directory / published_index.SIGNATURE_FILE
    if not files.is_regular(path):
        return
    last_signature = inputs.file(path).content
    last_signer = signature.signer(last_signature, str(path))
    content = inputs.file(directory / published_index.FILE).content
    namespace = signature.INDEX_NAMESPACE
    if not signature.verified(content, last_signature, namespace, [last_signer]):
        raise GenError(f"{path}: is not over the index beside it; restore both as published")
    if signer not in trusted_keys(previous, (last_signer,)):
        raise GenError(
            f"{path}: is by {fingerprint(last_signer)}; hand over to the new key first, with the"
            f" old one: gen source sign {directory} --key OLD --next-key NEW.pub. Without the old"
            " key, delete both files and start again: users have to remove the source and add it"
        )


def _previous(directory: Path) -> PublishedIndex | None:
    path = directory / published_index.FILE
    if not files.is_regular(path):
        return None
    return published_index.parse(inputs.file(path).content, str(path))


def _specs(
    directory: Path, previous: Mapping[str, PublishedSpec], today: date
) -> dict[str, PublishedSpec]:
    if not directory.is_dir():
        raise GenError(f"{directory}: is not a directory")
    specs: dict[str, PublishedSpec] = {}
    faults: list[str] = []
    for path in sorted(directory.glob("*.yaml")):
        file = inputs.file(path)
        faults += map(str, check_file(file, strict=False, today=today).faults)
        digest = sha256(file.content).hexdigest()
        earlier = previous.get(path.stem)
        version = 1
        if earlier:
            version = earlier.version if earlier.sha256 == digest else earlier.version + 1
        specs[path.stem] = PublishedSpec(digest, version)
    if faults:
        raise GenError("\n".join(faults))
    if not specs:
        raise GenError(f"{directory}: has no spec (SITE.yaml); write one with gen new-site SITE")
    return specs


def _handover(name: str, key: Path, next_key: str) -> Handover:
    content = published_index.statement(name, next_key)
    handover_signature = signature.sign(content, key, signature.HANDOVER_NAMESPACE)
    return Handover(next_key, handover_signature.decode())


def _public_key(path: Path) -> str:
    """Return `TYPE BASE64` of a public key file."""
    with os_errors_named(path):
        line = files.read_regular(path, files.KEY_LIMIT)
    try:
        fingerprint(line)
    except ValueError as error:
        raise GenError(f"{path}: {error}; name the .pub file of a key") from None
    return " ".join(line.decode().split()[:2])


def _write(path: Path, content: bytes) -> None:
    with os_errors_named(path):
        writer.write_file(path, content, _MODE)
