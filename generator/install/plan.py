"""Plan an installation or uninstallation: sites and the home directory in, changes out.

The comparison is the one of `gen site`, with the home directory as the output directory.
"""

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from generator import formatting, paths, resources
from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.compiler.result import Compilation
from generator.errors import GenError, os_errors_named
from generator.install import config_owner, managed_blocks, milatools, record, replaced_entries
from generator.install.machine_config import machine_config, messages_of
from generator.install.mode import Mode
from generator.install.replaced_entries import ReplacedEntry
from generator.install.snapshot import Snapshot, snapshot
from generator.loading.inputs import File
from generator.schema.names import SLUG
from generator.ssh.config_files import ConfigFile, Files, read_configuration
from generator.workspace import lock, reader
from generator.workspace.lock import Lock, RecordedInputs, Written
from generator.workspace.plan import Action, Actual, Change, plan

# Stands for a missing ssh config. ssh refuses a config that other users can write to.
_NO_FILE = Actual(b"", 0o600)


@dataclass(frozen=True)
class SiteFiles:
    """The files of a site that are installed on this machine, and their origin."""

    compilation: Compilation
    artifacts: list[Artifact]
    inputs: RecordedInputs
    spec: bytes
    """Content of the spec, which the record keeps a copy of."""

    @property
    def name(self) -> str:
        """Name of the site."""
        return self.compilation.site

    @property
    def conf(self) -> bytes:
        """Content of the site's ssh configuration."""
        for artifact in self.artifacts:
            if artifact.path == paths.installed_ssh_config(self.name):
                return artifact.content
        # The emitter of the ssh configuration yields one for every site.
        raise AssertionError(f"{self.name} has no ssh configuration")


@dataclass(frozen=True)
class HomePlan:
    """Changes to a home directory, in the order in which they are carried out.

    A run may be killed at any point: the intents are true before, during and after the changes to
    the files, so the next run can go on from them.
    """

    intents: list[Change]
    """Records that are written first."""
    files: list[Change]
    records: list[Change]
    """Records that are written or deleted last."""
    remaining: frozenset[str]
    """The sites that are installed afterwards."""
    config: bytes
    """The ssh config afterwards."""
    inputs: Snapshot
    """The files that the plan was made from."""
    confs: Mapping[str, bytes] = field(default_factory=dict)
    """After an installation: the ssh configuration of every site, by name."""
    replaced: Mapping[str, tuple[ReplacedEntry, ...]] = field(default_factory=dict)
    """By site: the entries of the ssh config with lines that become comments."""
    manual_reason: str | None = None
    """Why the user has to change the ssh config themselves, if so."""

    @property
    def changes(self) -> list[Change]:
        """The changes that the user should know of; a lost newline at the end is just repaired."""
        changes: list[Change] = []
        for change in self.files:
            is_repair = (
                change.artifact is not None
                and change.actual is not None
                and change.actual.content + b"\n" == change.artifact.content
            )
            if change.action is not Action.KEEP and not is_repair:
                changes.append(change)
        return changes


def home_directory() -> Path:
    """Return the home directory, which must belong to the user.

    Under sudo, root would write files that the owner of the home directory cannot read.
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise GenError("$HOME: is not set, so gen does not know where to install") from None
    # A relative HOME would mean the current directory, which may be anybody's checkout, and Python
    # takes an empty one for the root directory.
    value = os.environ.get("HOME", str(home))
    if not Path(value).is_absolute():
        raise GenError(
            f"HOME={formatting.printable(value)}: is not an absolute path; "
            "set it to your home directory"
        )
    with os_errors_named(home):
        owner = home.stat().st_uid
    if owner != os.geteuid():
        raise GenError(
            f"{home}: this home directory belongs to another user; run gen as its owner, "
            "without sudo"
        )
    return home


def site_files(
    home: Path, compilation: Compilation, spec: File, inputs: RecordedInputs
) -> SiteFiles:
    """Return the files of a site for this machine, with a copy of a spec that gen does not ship."""
    other_system = "launchd"
    if sys.platform == "darwin":
        other_system = "systemd"
    artifacts: list[Artifact] = []
    for artifact in compilation.artifacts:
        if artifact.install_to and artifact.path.parts[0] != other_system:
            artifacts.append(replace(artifact, path=artifact.install_to))
    copy = paths.installed_spec(compilation.site)
    # A spec of the catalogue is found by its name anyway.
    if not _ships_with_gen(spec) and not _is_users_own(home, compilation.site, copy, spec):
        artifacts.append(Artifact(copy, spec.content, 0o644))
    site = SiteFiles(compilation, artifacts, inputs, spec.content)
    config = machine_config(home, site.name, site.conf)
    if config:
        artifacts.append(Artifact(paths.installed_machine_config(site.name), config, 0o600))
    return site


def machine_messages(sites: Iterable[SiteFiles]) -> list[str]:
    """Return what differs on this machine from the files of some sites, each message once."""
    messages: dict[str, None] = {}
    for site in sites:
        for artifact in site.artifacts:
            if artifact.path == paths.installed_machine_config(site.name):
                messages |= dict.fromkeys(messages_of(artifact.content))
    return list(messages)


def _ships_with_gen(spec: File) -> bool:
    return spec.path.resolve().is_relative_to(resources.CATALOGUE.resolve())


def _is_users_own(home: Path, site: str, copy: PurePosixPath, spec: File) -> bool:
    """Return whether the user put the spec there: it is not gen's to delete at uninstall."""
    site_lock = record.installed(home).get(site)
    if site_lock and copy in site_lock.files:
        return False
    present = _read(home, [copy]).get(copy)
    return present is not None and present.content == spec.content


def installation(
    home: Path, sites: Sequence[SiteFiles], mode: Mode | None, *, take_over: bool = False
) -> HomePlan:
    """Return the plan that installs some sites beside those that are installed.

    With `take_over`, the sites replace entries of the user's and of `mila init`.
    """
    inputs = _snapshot(home, sites)
    locks = record.installed(home)
    files: list[Change] = []
    intents: list[Change] = []
    records: list[Change] = []
    for site in sites:
        changes = _site_changes(home, site, locks.get(site.name))
        files += changes
        intents.append(_record(home, site, map(_during_change, changes)))
        intents.append(put(home, paths.installed_spec_copy(site.name), site.spec))
        records.append(_record(home, site, site.artifacts))
    confs = _confs(home, locks)
    # The installed sites stay in the config, with the new content of those that are updated.
    for site in sites:
        confs[site.name] = site.conf
    present = _read(home, [paths.SSH_CONFIG]).get(paths.SSH_CONFIG, _NO_FILE)
    content = present.content
    if mode is None:
        mode = managed_blocks.mode_of(content, str(home / paths.SSH_CONFIG)) or Mode.INCLUDE
    replaced: dict[str, tuple[ReplacedEntry, ...]] = {}
    if take_over:
        for site in sites:
            if site.name == milatools.SITE:
                content = milatools.take_over(content)
            replaced[site.name] = replaced_entries.replaced_entries(content, site.conf)
            content = replaced_entries.take_over(content, replaced[site.name], site.name)
    with_machine_config = _sites_with_machine_config(locks, sites)
    content = _arranged(home, content, confs, mode, with_machine_config)
    change = _config_change(present, content, _edited(home, present, locks, confs))
    manual_reason = _manual_reason(home, change)
    if not manual_reason:
        files.append(change)
    return HomePlan(
        intents=intents,
        files=files,
        records=records,
        remaining=frozenset(confs),
        config=content,
        inputs=inputs,
        confs=confs,
        replaced=replaced,
        manual_reason=manual_reason,
    )


def uninstallation(home: Path, sites: Sequence[str]) -> HomePlan:
    """Return the plan that removes some sites."""
    inputs = _snapshot(home, [])
    locks = record.installed(home)
    _refuse_unknown(home, sites, locks)
    files: list[Change] = []
    for site in sites:
        # A site that was only renewed has no files beside those of its renewals.
        if site in locks:
            files += _changes(home, [], locks[site].files)
        # systemd and `gen refresh` wrote these since.
        for path in (*paths.systemd_traces(site), *paths.renewal_files(site)):
            if os.path.lexists(home / path):
                files.append(Change(path, Action.DELETE))
    remaining = frozenset(locks) - set(sites)
    present = _read(home, [paths.SSH_CONFIG]).get(paths.SSH_CONFIG, _NO_FILE)
    content = present.content
    mode = managed_blocks.mode_of(content, str(home / paths.SSH_CONFIG))
    manual_reason = None
    if mode:
        confs = _confs(home, remaining)
        content = _arranged(home, content, confs, mode, _sites_with_machine_config(locks, []))
        content = replaced_entries.give_back(content, sites)
        change = _config_change(present, content, _edited(home, present, locks, {}))
        # An empty config that the user had before stays.
        if not content and record.home_record(home).config_created:
            change = change._replace(action=Action.DELETE, artifact=None)
        manual_reason = _manual_reason(home, change)
        if not manual_reason:
            # First, so that ssh never reads an Include of files that are gone.
            files.insert(0, change)
    records: list[Change] = []
    for site in sites:
        # The lock goes last: as long as it is there, the site counts as installed.
        for path in (paths.installed_spec_copy(site), paths.installed_lock(site)):
            records.append(Change(path, Action.DELETE))
    return HomePlan(
        intents=[],
        files=files,
        records=records,
        remaining=remaining,
        config=content,
        inputs=inputs,
        manual_reason=manual_reason,
    )


def installed_conf(home: Path, site: str) -> bytes | None:
    """Return the ssh configuration of a site as gen installed it, ``None`` if it is edited."""
    site_lock = record.installed(home).get(site)
    path = paths.installed_ssh_config(site)
    file = _read(home, [path]).get(path)
    if site_lock is None or file is None or path not in site_lock.files:
        return None
    if not record.is_as_written(file.content, site_lock.files[path]):
        return None
    return file.content


def present_conf(home: Path, site: str) -> bytes:
    """Return the ssh configuration of a site as it is, edited or not; empty if it is missing."""
    return _confs(home, [site]).get(site, b"")


def put(home: Path, path: PurePosixPath, content: bytes) -> Change:
    """Return the change that writes a record, whatever is there."""
    present = _read(home, [path]).get(path)
    action = Action.UPDATE if present else Action.CREATE
    return Change(path, action, present, Artifact(path, content, 0o600))


def _snapshot(home: Path, sites: Sequence[SiteFiles]) -> Snapshot:
    """Return the state of every file that a plan for these sites reads."""
    names = {site.name for site in sites} | set(record.installed(home))
    inputs = {paths.SSH_CONFIG, paths.INSTALL_RECORDS}
    if not sites:
        # It decides whether an uninstallation deletes the ssh config. An installation writes it.
        inputs.add(paths.INSTALL_RECORD)
    for name in names:
        inputs.update((paths.installed_lock(name), paths.installed_spec_copy(name)))
        inputs.update(paths.installed_files(name))
    files = set(map(home.joinpath, inputs))
    # Files that the user's config includes decide whether an entry of theirs would change.
    files.update(_ssh_config_files(home))
    return snapshot(files)


def _ssh_config_files(home: Path) -> Iterator[Path]:
    pending: list[ConfigFile] = list(read_configuration(Files(home)).files)
    while pending:
        source = pending.pop()
        yield home / source.name.removeprefix("~/")
        for included in source.included.values():
            pending += included


def _refuse_unknown(home: Path, sites: Iterable[str], locks: Mapping[str, Lock]) -> None:
    installed = "no site is"
    if locks:
        installed = f"installed: {', '.join(locks)}"
    problems: list[str] = []
    for site in sites:
        if site not in locks and not _was_renewed(home, site):
            problems.append(f"{site}: is not installed; {installed}")
    if problems:
        raise GenError("\n".join(problems))


def _was_renewed(home: Path, site: str) -> bool:
    """Return whether gen has renewed the certificate of a site here, or has tried to."""
    return re.fullmatch(SLUG, site) is not None and any(
        os.path.lexists(home / path) for path in paths.renewal_files(site)
    )


def _site_changes(home: Path, site: SiteFiles, site_lock: Lock | None) -> list[Change]:
    return _changes(home, site.artifacts, site_lock.files if site_lock else {})


def _changes(
    home: Path, artifacts: list[Artifact], written: Mapping[PurePosixPath, Written]
) -> list[Change]:
    files = {artifact.path for artifact in artifacts} | set(written)
    changes: list[Change] = []
    for change in plan(artifacts, _read(home, files), written):
        entry = written.get(change.path)
        if change.actual and entry and record.is_as_written(change.actual.content, entry):
            change = change._replace(conflict=None)
        changes.append(change)
    return changes


def _read(home: Path, files: Iterable[PurePosixPath]) -> dict[PurePosixPath, Actual]:
    # In a home directory links may lead out of it: dotfiles are often kept elsewhere.
    return reader.actual(home, files, fenced=False)


def _record(home: Path, site: SiteFiles, artifacts: Iterable[Artifact]) -> Change:
    return put(
        home, paths.installed_lock(site.name), lock.encode(site.name, artifacts, site.inputs)
    )


def _during_change(change: Change) -> Artifact:
    """Return the file that is there until a change is carried out, or the one that it creates."""
    if change.artifact and (change.actual is None or change.action is not Action.UPDATE):
        return change.artifact
    present = change.actual or Actual(b"", 0)
    return Artifact(change.path, present.content, present.mode)


def _confs(home: Path, sites: Iterable[str]) -> dict[str, bytes]:
    """Return the installed ssh configuration of some sites, by site."""
    confs: dict[str, bytes] = {}
    for site in sites:
        path = paths.installed_ssh_config(site)
        conf = _read(home, [path]).get(path)
        if conf:
            confs[site] = conf.content
    return confs


def _sites_with_machine_config(
    locks: Mapping[str, Lock], sites: Iterable[SiteFiles]
) -> frozenset[str]:
    """Return the sites that have a file for this machine once some of them are installed."""
    files = {name: set(site_lock.files) for name, site_lock in locks.items()}
    for site in sites:
        files[site.name] = {artifact.path for artifact in site.artifacts}
    return frozenset(
        name for name, written in files.items() if paths.installed_machine_config(name) in written
    )


def _arranged(
    home: Path,
    content: bytes,
    confs: Mapping[str, bytes],
    mode: Mode,
    with_machine_config: Collection[str],
) -> bytes:
    """Return the ssh config with these sites in it, and no other."""
    bodies: dict[str, bytes] = {}
    for site, conf in confs.items():
        if mode is Mode.INCLUDE:
            bodies[""] = managed_blocks.INCLUDE
        else:
            bodies[site] = managed_blocks.inline_body(conf)
            if site in with_machine_config:
                bodies[site] = managed_blocks.machine_include(site) + bodies[site]
    return managed_blocks.arranged(content, str(home / paths.SSH_CONFIG), bodies)


def _config_change(present: Actual, content: bytes, conflict: str | None) -> Change:
    artifact = Artifact(paths.SSH_CONFIG, content, present.mode)
    if present is _NO_FILE:
        return Change(paths.SSH_CONFIG, Action.CREATE, None, artifact)
    if present.content == content:
        return Change(paths.SSH_CONFIG, Action.KEEP, present, artifact)
    return Change(paths.SSH_CONFIG, Action.UPDATE, present, artifact, conflict)


def _manual_reason(home: Path, change: Change) -> str | None:
    if change.action is Action.KEEP:
        return None
    return config_owner.reason_not_to_write(home, home / paths.SSH_CONFIG)


def _edited(
    home: Path, present: Actual, locks: Mapping[str, Lock], confs: Mapping[str, bytes]
) -> str | None:
    """Return which block of gen in the ssh config the user edited.

    A run that was killed may have left a block of the new content, so that is known too.
    """
    digests_by_site: dict[str, set[str]] = {}
    for site, conf_digest in _recorded_confs(locks):
        digests_by_site[site] = {conf_digest}
    for site, conf in confs.items():
        digests_by_site.setdefault(site, set()).add(digest(conf))
    return managed_blocks.edited(present.content, str(home / paths.SSH_CONFIG), digests_by_site)


def _recorded_confs(locks: Mapping[str, Lock]) -> Iterator[tuple[str, str]]:
    for site, site_lock in locks.items():
        written = site_lock.files.get(paths.installed_ssh_config(site))
        if written:
            yield site, written.sha256
