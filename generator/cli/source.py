"""`gen source`: add, update, list and remove published specs, and sign one's own."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from generator import codec, paths
from generator.cli.output import agreed, data, on_terminal, say, width
from generator.cli.table import table
from generator.errors import GenError, near
from generator.files import read_regular
from generator.formatting import count, listed
from generator.install import record
from generator.install.plan import home_directory
from generator.loading import catalogue, sources
from generator.loading.sources import AddedSource, SourcedSpec, SourceStore
from generator.report.finding import Finding, Report
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.revisions.changes import SpecFile, overriding_changes, spec_changes, spec_file
from generator.sources import adoption, offer, publish
from generator.sources import origin as origins
from generator.sources.offer import Offer
from generator.ssh.keys import fingerprint
from generator.workspace import writer


@dataclass(frozen=True)
class Trust:
    """The answers of the user, given in advance, to the questions about a new source."""

    signer: str | None
    """Fingerprint of the publisher's key."""
    yes: bool


def run_add(
    origin: str, trust: Trust, bundle: Path | None, *, here: bool, as_json: bool, today: date
) -> int:
    """Add a source after the user agreed to its signer and its sites."""
    origins.parse(origin)  # refuses a password, which must not be printed
    store = _store(here=here)
    say(f"Fetching {origin} …")
    # Nothing of a new source is here, so every spec is fetched.
    fetched = offer.fetched(origin, None, lambda _: None, today, bundle)
    _refuse_known(store, fetched, origin)
    signer = fingerprint(fetched.signer)
    if trust.signer and trust.signer != signer:
        raise GenError(f"{origin}: is signed by {signer}, and not by {trust.signer}")
    say(f"\nSource   {fetched.name}, version {fetched.source.version}, from {origin}")
    say(f"Signer   {signer}  ({fetched.signer.split()[0]})")
    say(f"Expires  {fetched.source.expires}")
    say(f"Sites    {', '.join(fetched.contents)}\n")
    _show(_new_findings(fetched, today))
    # The first signer cannot be checked against anything but the user's own knowledge.
    if not trust.signer:
        say("\nCompare the signer with the fingerprint that the centre publishes elsewhere.")
        if trust.yes or not on_terminal():
            raise GenError(
                f"a new source needs the fingerprint of its publisher: add --signer {signer}"
                " after you have compared it"
            )
    question = f"Use these specs of {fetched.name}?"
    if not trust.yes and not agreed(question, has_dry_run=False):
        say("Nothing was added.")
        return 1
    _take_into_use(store, fetched)
    if as_json:
        data(codec.report({"source": fetched.name, "sites": sorted(fetched.contents)}))
        return 0
    first = next(iter(fetched.contents))
    say(f"Added {fetched.name}. Next: gen show {first}, or gen install {first}")
    return 0


def run_update(
    name: str | None, bundle: Path | None, *, here: bool, yes: bool, as_json: bool, today: date
) -> int:
    """Fetch the sources again, and use their new versions after the user agreed to the changes."""
    store = _store(here=here)
    names = list(store.record.sources)
    if name is not None:
        _named(store, name)
        names = [name]
    if not names:
        raise GenError("there is no source yet; add one with gen source add SOURCE")
    updated: dict[str, int] = {}
    for source_name in names:
        version = _update(store, source_name, bundle, yes=yes, today=today)
        if version is not None:
            updated[source_name] = version
    if as_json:
        data(codec.report({"updated": updated}))
    return 0


def _update(
    store: SourceStore, name: str, bundle: Path | None, *, yes: bool, today: date
) -> int | None:
    """Update a source; return the new version, ``None`` if it stays as it is."""
    recorded = store.record.sources[name]
    say(f"{name}: fetching {recorded.origin} …")

    def known(digest: str) -> bytes | None:
        return adoption.known_content(store, name, digest)

    fetched = offer.fetched(recorded.origin, recorded, known, today, bundle)
    if fetched.name != name:
        raise GenError(
            f"{recorded.origin}: now publishes under another name, {fetched.name};"
            f" remove the old one first: gen source remove {name}"
        )
    # Every value of a version is in the record: equal records are the same version.
    if fetched.source == recorded:
        say(f"{name}: version {recorded.version} is the newest")
        return None
    _refuse_taken_sites(store, fetched)
    say(f"{name}: version {recorded.version} → {fetched.source.version}")
    for line in _key_changes(recorded, fetched.source):
        say(f"{name}: {line}")
    _show(_changed_findings(store, fetched, today))
    question = f"Use version {fetched.source.version} of {name}?"
    if not yes and not agreed(question, has_dry_run=False):
        say("Nothing was changed.")
        return None
    # Before the new version is in use: the record has the digests of the old one.
    changed = _changed_sites(recorded, fetched.source)
    _take_into_use(store, fetched)
    say(f"{name}: version {fetched.source.version} is in use")
    if store.is_users:
        _install_again(changed)
    else:
        say("Next: gen site --all, then commit .gen")
    return fetched.source.version


def run_list(*, as_json: bool, today: date) -> int:
    """Print a line for each source."""
    entries: list[tuple[SourceStore, str, AddedSource]] = []
    for store in sources.stores():
        for name, source in store.record.sources.items():
            entries.append((store, name, source))
    if as_json:
        listing = []
        for store, name, source in entries:
            listing.append(
                {
                    "name": name,
                    "version": source.version,
                    "expires": source.expires,
                    "sites": sorted(source.specs),
                    "origin": source.origin,
                    "store": str(store.directory),
                    "keys": [fingerprint(key) for key in source.keys],
                }
            )
        data(codec.report({"sources": listing}))
        return 0
    rows = []
    for store, name, source in entries:
        expires = source.expires
        if source.last_day < today:
            expires += " (expired)"
        user = "you" if store.is_users else "this repository"
        sites = listed(sorted(source.specs))
        rows.append((name, str(source.version), expires, user, sites, source.origin))
    if not rows:
        say("No source yet. Add one with: gen source add SOURCE")
        return 0
    data(table(("source", "version", "expires", "for", "sites", "from"), rows, width()))
    return 0


def run_remove(name: str, *, here: bool, yes: bool, as_json: bool) -> int:
    """Remove a source."""
    store = _store(here=here)
    source = _named(store, name)
    installed = _installed_sites(source.specs)
    # An installation has its own copy of the spec, so these sites keep working.
    if installed:
        say(f"Installed from {name}, and staying as they are: {', '.join(installed)}")
    question = f"Remove {name} with {count(len(source.specs), 'spec')}?"
    if not yes and not agreed(question, has_dry_run=False):
        say("Nothing was removed.")
        return 1
    with _locked(store):
        adoption.remove(SourceStore(store.directory), name)
    if as_json:
        data(codec.report({"removed": name}))
        return 0
    say(f"Removed {name}.")
    return 0


def run_sign(signing: publish.Signing, *, as_json: bool, today: date) -> int:
    """Write and sign the index of a directory of specs."""
    index, signer = publish.sign(signing, today)
    if as_json:
        values = {"source": index.name, "version": index.version, "expires": index.expires}
        data(codec.report({**values, "signer": fingerprint(signer), "specs": index.specs}))
        return 0
    number = count(len(index.specs), "spec")
    say(f"Signed {index.name}, version {index.version}: {number}, until {index.expires}")
    for name, spec in index.specs.items():
        say(f"  {name}, version {spec.version}")
    say(
        f"Signer {fingerprint(signer)}: publish it on a page of its own, for your users to compare."
    )
    say(f"Next: put {signing.directory} on a web server or into git; then anybody can run:")
    say("  gen source add https://…")
    return 0


def _store(*, here: bool) -> SourceStore:
    """Return the store of this repository, or that of the user."""
    if here:
        return SourceStore(Path(paths.OUTPUT_STATE))
    return SourceStore(home_directory() / paths.USER_SOURCES)


def _named(store: SourceStore, name: str) -> AddedSource:
    if name not in store.record.sources:
        added = store.record.sources
        location = "" if store.is_users else " here"
        hint = near(name, added, "run gen source list")
        raise GenError(f"{name}: no such source{location}{hint}")
    return store.record.sources[name]


def _refuse_known(store: SourceStore, fetched: Offer, origin: str) -> None:
    if fetched.name in store.record.sources:
        earlier_origin = store.record.sources[fetched.name].origin
        raise GenError(
            f"{origin}: is named {fetched.name}, as the source that you have from {earlier_origin};"
            f" run gen source update {fetched.name}, or remove that one first"
        )
    _refuse_taken_sites(store, fetched)


def _refuse_taken_sites(store: SourceStore, fetched: Offer) -> None:
    """Refuse a site that another source has: which one counts would depend on their order."""
    for name, source in store.record.sources.items():
        if name == fetched.name:
            continue
        taken = sorted({*source.specs} & {*fetched.contents})
        if taken:
            raise GenError(
                f"{fetched.name}: has {listed(taken)}, which the source {name} has too;"
                f" keep one of them: gen source remove {name}"
            )


def _new_findings(fetched: Offer, today: date) -> list[Finding]:
    """Return the trust that new specs ask for, or their differences from those of the same name."""
    findings: list[Finding] = []
    shipped = catalogue.shipped()
    for name, spec in fetched.specs.items():
        # A user of the catalogue's site wants to know the differences, and not all of it again.
        if name in shipped:
            shipped_spec = spec_file(f"{name}.yaml", read_regular(shipped[name]))
            changes = overriding_changes(shipped_spec, spec)
            findings += changes
            if not changes:
                say(f"{name}: says the same as the spec that ships with gen")
        else:
            findings += spec_changes({}, {name: spec}, today)
    return findings


def _changed_findings(store: SourceStore, fetched: Offer, today: date) -> list[Finding]:
    base: dict[str, SpecFile] = {}
    for name in store.record.sources[fetched.name].specs:
        content = store.content(SourcedSpec(fetched.name, name))
        base[name] = spec_file(f"{name}.yaml", content)
    return spec_changes(base, fetched.specs, today)


def _show(findings: Iterable[Finding]) -> None:
    report = Report("review", 0, tuple(findings))
    if report.findings:
        say(rendered(report, Format.TEXT))
    else:
        say("No change in meaning.")


def _key_changes(recorded: AddedSource, fetched: AddedSource) -> list[str]:
    """Return a line for each key that may sign from now on, or no more."""
    before = set(map(fingerprint, recorded.keys))
    after = set(map(fingerprint, fetched.keys))
    lines: list[str] = []
    for key in sorted(after - before):
        lines.append(f"trust: {key} may sign from now on")
    for key in sorted(before - after):
        lines.append(f"trust: {key} may not sign any more")
    return lines


def _changed_sites(recorded: AddedSource, fetched: AddedSource) -> list[str]:
    changed: list[str] = []
    for name, spec in fetched.specs.items():
        if name in recorded.specs and recorded.specs[name].sha256 != spec.sha256:
            changed.append(name)
    return changed


def _installed_sites(names: Iterable[str]) -> list[str]:
    installed = record.installed(home_directory())
    return [name for name in names if name in installed]


def _install_again(names: Iterable[str]) -> None:
    """Install the installed ones of these sites again; the user has agreed to their changes."""
    installed = _installed_sites(names)
    if not installed:
        return
    # Here, because most updates install nothing, and both import pydantic's models.
    from generator.cli.install import Consent, run
    from generator.loading.inputs import Choice

    say(f"\nInstalling again: {', '.join(installed)}")
    choices = [Choice(name) for name in installed]
    run(choices, None, Consent(yes=True, force=False), dry_run=False, as_json=False)


def _take_into_use(store: SourceStore, fetched: Offer) -> None:
    with _locked(store):
        # Read again: another gen may have changed the record while the user read the changes.
        current = SourceStore(store.directory)
        if current.record.sources.get(fetched.name) != store.record.sources.get(fetched.name):
            raise sources.changed_meanwhile(fetched.name)
        adoption.take_into_use(current, fetched)


def _locked(store: SourceStore) -> AbstractContextManager[None]:
    """Let one gen at a time change a store."""
    return writer.locked(store.directory / paths.SOURCES_BUSY)
