"""A home folder as it is and as it is to be: sites → changes, by the same comparison as in an output folder."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from generator import paths, resources
from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.compiler.result import Compilation
from generator.errors import GenError, os_errors_named
from generator.install import config_owner, foreign_blocks, record
from generator.install import managed_blocks as config
from generator.install.mode import Mode
from generator.loading.inputs import File
from generator.workspace import lock, reader
from generator.workspace.lock import Lock, RecordedInputs
from generator.workspace.plan import Action, Actual, Change, plan


@dataclass(frozen=True)
class Placed:
    """A site, the files of it that are installed on this machine, and what they were made from."""

    made: Compilation
    artifacts: list[Artifact]
    inputs: RecordedInputs

    @property
    def conf(self) -> bytes:
        """Its ssh configuration."""
        return next(
            item.content
            for item in self.artifacts
            if item.path == paths.installed_ssh_config(self.made.site)
        )


@dataclass(frozen=True)
class Move:
    """What is to happen in a home folder, in this order.

    A run may be ended anywhere: the next one goes on from what the intents hold.
    """

    intents: list[Change]
    """Records that hold before, within and after the change of the files."""
    files: list[Change]
    records: list[Change]
    left: frozenset[str]
    """The sites that are installed afterwards."""
    config: bytes
    """The ssh config that is wanted."""
    by_hand: str | None = None
    """Why the ssh config is left to the person, where it is."""

    @property
    def changed(self) -> list[Change]:
        """The files that do not stay as they are."""
        return [change for change in self.files if change.action is not Action.KEEP]


def folder() -> Path:
    """Return the home folder.

    Raises:
        GenError: there is none, or it is somebody else's: root would leave files that their owner cannot read.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise GenError("$HOME: there is no home folder to install into") from None
    with os_errors_named(home):
        owner = home.stat().st_uid
    if owner != os.geteuid():
        raise GenError(
            f"{home}: this home folder belongs to somebody else; run gen as its owner, without sudo"
        )
    return home


def placed(home: Path, made: Compilation, spec: File, inputs: RecordedInputs) -> Placed:
    """Return what of a site is installed on this machine; a spec that does not ship with gen comes along.

    One that a person put there themselves stays theirs: it is no part of what is taken out again.
    """
    copy = paths.installed_spec(made.site)
    was = record.installed(home).get(made.site)
    found = None if was and copy in was.files else _actual(home, [copy]).get(copy)
    foreign = "systemd" if sys.platform == "darwin" else "launchd"
    artifacts = [
        replace(artifact, path=artifact.install_to)
        for artifact in made.artifacts
        if artifact.install_to and artifact.path.parts[0] != foreign
    ]
    ships = spec.path.resolve().is_relative_to(resources.CATALOGUE.resolve())
    if not ships and (found is None or found.content != spec.content):
        artifacts.append(Artifact(copy, spec.content, 0o644))
    return Placed(made, artifacts, inputs)


def installing(
    home: Path, sites: Sequence[Placed], mode: Mode | None, *, take_over: bool = False
) -> Move:
    """Return what installing some sites, beside those that are there, changes; `take_over` has ours replace others.

    Raises:
        GenError: a file or record cannot be read, or the markers in the ssh config are not in pairs.
    """
    was = record.installed(home)
    files, intents, records = list[Change](), list[Change](), list[Change]()
    for site in sites:
        name = site.made.site
        written = was[name].files if name in was else {}
        changes = plan(
            site.artifacts,
            _actual(home, {*(item.path for item in site.artifacts), *written}),
            written,
        )
        files += changes
        intents.append(_record(home, name, map(_until_done, changes), site.inputs))
        records.append(_record(home, name, site.artifacts, site.inputs))
    found = _actual(home, [paths.SSH_CONFIG]).get(paths.SSH_CONFIG)
    content = found.content if found else b""
    confs = _confs(home, was) | {site.made.site: site.conf for site in sites}
    mode = mode or config.mode(content, str(home / paths.SSH_CONFIG)) or Mode.INCLUDE
    content = _arranged(
        home, foreign_blocks.take_over(content) if take_over else content, confs, mode
    )
    change = _changed(found, content, _edited(home, found, was, confs))
    by_hand = (
        config_owner.of(home, home / paths.SSH_CONFIG) if change.action is not Action.KEEP else None
    )
    files += [] if by_hand else [change]
    return Move(intents, files, records, frozenset(confs), content, by_hand)


def uninstalling(home: Path, sites: Sequence[str]) -> Move:
    """Return what taking some sites out changes.

    Raises:
        GenError: a site is not installed, a file or record cannot be read, or the markers are not in pairs.
    """
    was, shared = record.installed(home), record.shared(home)
    if unknown := [site for site in sites if site not in was]:
        there = f"; installed: {', '.join(was)}" if was else "; nothing is"
        raise GenError("\n".join(f"{site}: is not installed{there}" for site in unknown))
    files = list[Change]()
    for site in sites:
        files += plan([], _actual(home, was[site].files), was[site].files)
        made_meanwhile = [*paths.systemd_traces(site), *paths.renewal_files(site)]
        files += [
            Change(path, Action.DELETE) for path in made_meanwhile if os.path.lexists(home / path)
        ]
    found = _actual(home, [paths.SSH_CONFIG]).get(paths.SSH_CONFIG)
    content, by_hand = found.content if found else b"", None
    if found and (mode := config.mode(content, str(home / paths.SSH_CONFIG))):
        confs = {site: conf for site, conf in _confs(home, was).items() if site not in sites}
        content = _arranged(home, content, confs, mode)
        content = foreign_blocks.give_back(content) if "mila" in sites else content
        change = _changed(found, content, _edited(home, found, was, {}))
        gone = not content and shared.created
        change = replace(change, action=Action.DELETE, artifact=None) if gone else change
        by_hand = (
            config_owner.of(home, home / paths.SSH_CONFIG)
            if change.action is not Action.KEEP
            else None
        )
        files = files if by_hand else [change, *files]
    records = [Change(paths.installed_lock(site), Action.DELETE) for site in sites]
    return Move([], files, records, frozenset(was) - set(sites), content, by_hand)


def _actual(home: Path, files: Iterable[PurePosixPath]) -> dict[PurePosixPath, Actual]:
    return reader.actual(home, files, fenced=False)


def _record(home: Path, site: str, artifacts: Iterable[Artifact], inputs: RecordedInputs) -> Change:
    return put(home, paths.installed_lock(site), lock.encode(site, artifacts, inputs))


def put(home: Path, path: PurePosixPath, content: bytes) -> Change:
    """Return the change that puts a record in its place, whatever is there by then."""
    found = _actual(home, [path]).get(path)
    return Change(
        path, Action.UPDATE if found else Action.CREATE, found, Artifact(path, content, 0o600)
    )


def _until_done(change: Change) -> Artifact:
    """Return what a file is until it is replaced or removed, or else what it becomes."""
    if change.artifact and (change.actual is None or change.action is not Action.UPDATE):
        return change.artifact
    found = change.actual or Actual(b"", 0)
    return Artifact(change.path, found.content, found.mode)


def _confs(home: Path, sites: Iterable[str]) -> dict[str, bytes]:
    """Return the ssh configuration of the sites that are installed, by their names."""
    sites_by_path = {paths.installed_ssh_config(site): site for site in sites}
    files = _actual(home, sites_by_path)
    return {sites_by_path[path]: file.content for path, file in files.items()}


def _arranged(home: Path, content: bytes, confs: Mapping[str, bytes], mode: Mode) -> bytes:
    """Return the ssh config with these sites in it, and no other."""
    wanted = {site: config.inline(conf) for site, conf in confs.items()}
    if mode is Mode.INCLUDE:
        wanted = {"": config.INCLUDE} if confs else {}
    return config.arranged(content, str(home / paths.SSH_CONFIG), wanted)


def _changed(found: Actual | None, content: bytes, conflict: str | None) -> Change:
    artifact = Artifact(paths.SSH_CONFIG, content, found.mode if found else 0o600)
    if found is None:
        return Change(paths.SSH_CONFIG, Action.CREATE, None, artifact)
    if found.content == content:
        return Change(paths.SSH_CONFIG, Action.KEEP, found, artifact)
    return Change(paths.SSH_CONFIG, Action.UPDATE, found, artifact, conflict)


def _edited(
    home: Path, found: Actual | None, was: Mapping[str, Lock], new: Mapping[str, bytes]
) -> str | None:
    """Say where somebody edited our part of the ssh config; a run that was ended may have left the new text there."""
    known = {
        site: {lock.files[paths.installed_ssh_config(site)].sha256}
        for site, lock in was.items()
        if paths.installed_ssh_config(site) in lock.files
    }
    for site, conf in new.items():
        known.setdefault(site, set()).add(digest(conf))
    return config.edited(found.content, str(home / paths.SSH_CONFIG), known) if found else None
