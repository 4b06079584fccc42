"""Take a version of a source into use, and remove a source."""

from collections.abc import Mapping
from contextlib import suppress

from generator import codec, paths
from generator.compiler.artifact import Artifact
from generator.loading.sources import AddedSource, Record, SourcedSpec, SourceStore
from generator.sources.offer import Offer
from generator.workspace import writer
from generator.workspace.plan import Action, Change

_MODE = 0o644


def take_into_use(store: SourceStore, offer: Offer) -> None:
    """Write the specs of a version, then the record; then delete the versions that are unused.

    A run that is killed before the record is written has changed nothing that gen reads.
    """
    changes = []
    for name, content in offer.contents.items():
        path = paths.sourced_spec(offer.name, offer.source.version, name)
        artifact = Artifact(path, content, _MODE)
        # CREATE also replaces the leftovers of a killed run, which are not the work of a user.
        changes.append(Change(path, Action.CREATE, artifact=artifact))
    sources = {**store.record.sources, offer.name: offer.source}
    _write(store, changes, sources)
    _delete_unused(store, sources)


def remove(store: SourceStore, name: str) -> None:
    """Remove a source from the record, then delete its specs."""
    sources = dict(store.record.sources)
    del sources[name]
    _write(store, [], sources)
    _delete_unused(store, sources)


def known_content(store: SourceStore, name: str, digest: str) -> bytes | None:
    """Return a spec of a source with a digest, if the version in use has it."""
    source = store.record.sources.get(name)
    if source is None:
        return None
    for site, spec in source.specs.items():
        # One with the keys of a list is not the file that was published.
        if spec.sha256 == digest and site not in source.with_lists:
            return store.content(SourcedSpec(name, site))
    return None


def _write(store: SourceStore, changes: list[Change], sources: Mapping[str, AddedSource]) -> None:
    content = codec.dump(Record(sources)) if sources else None
    if store.is_users:
        writer.make_private_directories([store.directory])
    writer.apply(store.directory, changes, paths.SOURCES_LOCK, content)


def _delete_unused(store: SourceStore, sources: Mapping[str, AddedSource]) -> None:
    """Delete the versions that the record does not name; a link is left, and its target."""
    top = store.directory.resolve() / paths.SOURCES
    in_use = {f"{name}/{source.version}" for name, source in sources.items()}
    for directory in top.glob("*/*"):
        version = f"{directory.parent.name}/{directory.name}"
        # In a repository anybody may have put a link here.
        is_ours = directory.name.isdecimal() and directory.resolve() == directory
        if is_ours and version not in in_use:
            writer.remove_directory(directory)
    for directory in [*top.glob("*"), top]:
        with suppress(OSError):
            directory.rmdir()  # only an empty one
