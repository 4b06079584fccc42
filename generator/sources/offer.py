"""A version of a source that was fetched: checked, and not yet in use.

The order of the checks: first the signature over the index, then what the index says, then the
specs that it names. Nothing is written here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

from generator.errors import GenError
from generator.formatting import count
from generator.loading.sources import AddedSource
from generator.revisions.changes import SpecFile, spec_file
from generator.sources import MOST_DAYS, origin, published_index, signature
from generator.sources.fetch import Download, KeyLists, opened
from generator.sources.key_lists import with_listed_keys
from generator.sources.published_index import PublishedIndex
from generator.ssh.keys import fingerprint


@dataclass(frozen=True)
class Offer:
    """A version of a source, with all its specs."""

    name: str
    source: AddedSource
    """The source as it will be recorded."""
    signer: str
    """Public key that signed the index, as `TYPE BASE64`."""
    contents: Mapping[str, bytes]
    """The files of the specs, by the names of their sites; with the keys of their lists."""
    specs: Mapping[str, SpecFile]


def fetched(
    text: str,
    recorded: AddedSource | None,
    known: Callable[[str], bytes | None],
    today: date,
    bundle: Path | None = None,
) -> Offer:
    """Fetch the version that a source offers today, and check it.

    `text` is the origin. `recorded` is the version in use, whose keys alone are trusted; of a new
    source, any signer is returned for the user to judge. `known` returns the content with a digest
    if it is here already.
    """
    with opened(origin.parse(text), bundle) as download:
        index_bytes = download.read(published_index.FILE)
        signature_bytes = download.read(published_index.SIGNATURE_FILE)
        signer = signature.signer(signature_bytes, published_index.SIGNATURE_FILE)
        index = published_index.parse(index_bytes, published_index.FILE)
        # The index is parsed before its signature is checked, since it holds the handovers; each of
        # these has a signature of its own.
        keys = trusted_keys(index, recorded.keys if recorded else (signer,))
        revoked = _revoked(index, recorded)
        _check_signer(signer, keys, revoked)
        if not signature.verified(
            index_bytes, signature_bytes, signature.INDEX_NAMESPACE, [signer]
        ):
            raise GenError(
                f"{text}: the signature is not over this index; if the source is being published"
                " right now, try again in a minute"
            )
        _check_age(text, index, recorded, today)
        contents = _contents(download, index, known)
    specs = _spec_files(contents)
    with_lists = _add_listed_keys(contents, specs, KeyLists(bundle))
    source = AddedSource(
        origin=origin.canonical(text),
        version=index.version,
        expires=index.expires,
        keys=tuple(key for key in keys if fingerprint(key) not in revoked),
        revoked=revoked,
        specs=index.specs,
        with_lists=with_lists,
    )
    return Offer(index.name, source, signer, contents, specs)


def trusted_keys(index: PublishedIndex, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys that may sign: those in use, and those that they handed over to."""
    # In their order: each new key may have handed over to the next one.
    for handover in index.handovers:
        if handover.key in keys:
            continue
        content = published_index.statement(index.name, handover.key)
        old_signature = handover.signature.encode()
        if signature.verified(content, old_signature, signature.HANDOVER_NAMESPACE, keys):
            keys = (*keys, handover.key)
    return keys


def _revoked(index: PublishedIndex, recorded: AddedSource | None) -> tuple[str, ...]:
    # A key that was revoked once stays so: an index could leave it out again.
    earlier = recorded.revoked if recorded else ()
    return tuple(dict.fromkeys((*earlier, *index.revoked)))


def _check_signer(signer: str, keys: Sequence[str], revoked: Sequence[str]) -> None:
    value = fingerprint(signer)
    if value in revoked:
        raise GenError(f"the index is signed by {value}, a key that was revoked")
    if signer not in keys:
        expected = " or ".join(fingerprint(key) for key in keys)
        raise GenError(
            f"the index is signed by {value}, and this source has been signed by {expected};"
            " ask the publisher. To trust the new key, remove the source and add it again"
        )


def _check_age(text: str, index: PublishedIndex, recorded: AddedSource | None, today: date) -> None:
    if index.last_day < today:
        raise GenError(
            f"{text}: its index expired on {index.expires}, so it may be an old copy; ask the"
            " publisher to sign it again"
        )
    # A day more, for a publisher who is east of here.
    if index.last_day > today + timedelta(days=MOST_DAYS + 1):
        raise GenError(
            f"{text}: its index ends on {index.expires}, in more than {MOST_DAYS} days: gen source"
            " sign makes none; is this machine's clock right?"
        )
    if recorded is None:
        return
    if index.version < recorded.version:
        raise GenError(
            f"{text}: offers version {index.version}, older than version {recorded.version} in use;"
            " an attacker may have put an old copy there"
        )
    # Two indexes of one version: one of them is not what the publisher meant.
    same_version = index.version == recorded.version
    for name, spec in index.specs.items():
        earlier = recorded.specs.get(name)
        if earlier is None:
            if same_version:
                raise GenError(f"{text}: {name} is new under an unchanged version")
            continue
        if spec.version < earlier.version:
            raise GenError(
                f"{text}: {name} has version {spec.version}, older than version"
                f" {earlier.version} in use"
            )
        unchanged = spec.version == earlier.version or same_version
        if unchanged and spec.sha256 != earlier.sha256:
            raise GenError(f"{text}: {name} changed under an unchanged version")


def _contents(
    download: Download, index: PublishedIndex, known: Callable[[str], bytes | None]
) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for name, spec in index.specs.items():
        file_name = published_index.spec_file(name)
        content = known(spec.sha256) or download.read(file_name)
        if sha256(content).hexdigest() != spec.sha256:
            raise GenError(
                f"{file_name}: is not the file that the index names; if the source is being"
                " published right now, try again in a minute"
            )
        contents[name] = content
    return contents


def _spec_files(contents: Mapping[str, bytes]) -> dict[str, SpecFile]:
    """Return the specs; refuse the source with every fault of each."""
    specs: dict[str, SpecFile] = {}
    faults: list[str] = []
    for name, content in contents.items():
        file_name = published_index.spec_file(name)
        try:
            specs[name] = spec_file(file_name, content)
        except GenError as error:
            faults.append(str(error))
            continue
        if specs[name].site.site != name:
            faults.append(f"{file_name}: site: must be {name}, the name of the file")
    if faults:
        number = count(len(faults), "spec")
        raise GenError("\n".join([*faults, f"the source has {number} that this gen refuses"]))
    return specs


def _add_listed_keys(
    contents: dict[str, bytes], specs: dict[str, SpecFile], lists: KeyLists
) -> dict[str, str]:
    """Add the keys of known_hosts lists to the specs that name one; return their new digests."""
    digests: dict[str, str] = {}
    for name, spec in specs.items():
        content = with_listed_keys(spec, contents[name], lists.read)
        if content != contents[name]:
            contents[name] = content
            # The keys are checked like those of a spec, its revoked ones among them.
            specs[name] = spec_file(spec.path, content)
            digests[name] = sha256(content).hexdigest()
    return digests
