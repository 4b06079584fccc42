"""The changes of the sources that a repository uses: `.gen/sources.lock`.

Whoever signs a source decides where logins of its sites go, so nearly all of it is trust. The
changes of the specs themselves are reported as those of other specs are.
"""

from collections.abc import Iterator, Mapping

from generator.loading.sources import AddedSource
from generator.report.finding import Finding
from generator.revisions.changes import file_finding
from generator.schema.meta import Weight
from generator.ssh.keys import fingerprint


def source_changes(
    path: str, base: Mapping[str, AddedSource], head: Mapping[str, AddedSource]
) -> Iterator[Finding]:
    """Yield the changes between the records of two revisions; `path` is that of the record."""
    for name in sorted({*base, *head}):
        if name not in head:
            yield _finding(Weight.ACCESS, path, name, f"the source {name} was removed")
        elif name not in base:
            message = f"the source {name} is new, from {head[name].origin}"
            yield _finding(Weight.TRUST, path, name, message, _signers(head[name]))
        else:
            yield from _changed(path, name, base[name], head[name])


def _signers(source: AddedSource) -> tuple[str, ...]:
    return tuple(f"signed by {fingerprint(key)}" for key in source.keys)


def _changed(path: str, name: str, base: AddedSource, head: AddedSource) -> Iterator[Finding]:
    if base.origin != head.origin:
        message = f"the source {name}: {base.origin} → {head.origin}"
        yield _finding(Weight.TRUST, path, name, message)
    before = {fingerprint(key) for key in base.keys}
    after = {fingerprint(key) for key in head.keys}
    for key in sorted(after - before):
        yield _finding(Weight.TRUST, path, name, f"{key} may sign the source {name} from now on")
    for key in sorted(before - after):
        yield _finding(Weight.TRUST, path, name, f"{key} may not sign the source {name} any more")
    for key in sorted({*base.revoked} - {*head.revoked}):
        yield _finding(Weight.TRUST, path, name, f"{key} is no longer revoked for {name}")
    if head.version < base.version:
        message = f"the source {name}: version {base.version} → {head.version}, an older one"
        yield _finding(Weight.TRUST, path, name, message)
    elif head.version > base.version:
        message = f"the source {name}: version {base.version} → {head.version}"
        yield _finding(Weight.TUNING, path, name, message)
    for site, spec in head.specs.items():
        earlier = base.specs.get(site)
        is_same_version = earlier and earlier.version == spec.version
        if is_same_version and base.digest(site) != head.digest(site):
            message = f"{site} of the source {name} changed under an unchanged version"
            yield _finding(Weight.TRUST, path, name, message)


def replaced_spec(path: str, name: str) -> Finding:
    """Return that a spec of a source is not the file whose digest is recorded."""
    message = f"is not the spec that the source {name} published"
    return _finding(Weight.TRUST, path, name, message)


def _finding(
    weight: Weight, path: str, name: str, message: str, details: tuple[str, ...] = ()
) -> Finding:
    key = f"sources.{name}"
    return file_finding(weight, path, message, site=name, key=key, details=details)
