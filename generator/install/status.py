"""Compare the files in the home directory with the install record, for `gen status`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from generator import formatting, paths
from generator.clock import now
from generator.compiler.digests import digest, key_digests
from generator.errors import GenError
from generator.files import read_regular
from generator.install import record
from generator.install.connections import connections, site_connections
from generator.install.machine_config import messages_of
from generator.install.managed_blocks import INCLUDED, is_as_written, managed_blocks
from generator.install.plan import present_conf
from generator.install.services import unit_paths
from generator.install.shadowing import shadows
from generator.loading import sources
from generator.loading.index import summary
from generator.loading.inputs import Choice, File, Inputs, read_as_installed
from generator.resources import CATALOGUE
from generator.ssh.config_files import Files
from generator.ssh.config_lines import Line, lines
from generator.workspace import reader
from generator.workspace.lock import Lock, has_path

_MAX_KEYS = 5
# The last part of a key's lifetime, in which gen status asks to submit it again.
_LAST_PART = 10


@dataclass(frozen=True)
class InstalledDrift:
    """An installed file that differs from the record."""

    path: str
    cause: str
    """`missing`, `edited` or `mode`."""


@dataclass(frozen=True)
class PublicKey:
    """A public key that its site accepts for some time after the user submits it."""

    path: str
    lifetime: str
    """That time, as the spec has it: `180d`."""
    earliest_end: int
    """Second since 1970 until which the site accepts the key if it was submitted on the day when
    it was made. gen cannot know a later day."""
    ends_soon: bool

    @property
    def message(self) -> str:
        """The line for `gen status`."""
        message = (
            f"public key: accepted for {self.lifetime}, so until"
            f" {formatting.clock(self.earliest_end)[:10]} at the earliest"
        )
        if self.ends_soon:
            message += f"\n  submit it again, or another: {self.path}.pub"
        return message


@dataclass(frozen=True)
class InstalledSite:
    """A site in the home directory."""

    site: str
    files: int
    drift: tuple[InstalledDrift, ...]
    stale: bool
    """The spec changed since the installation."""
    changed_keys: tuple[str, ...]
    """Keys of the spec whose values changed."""
    read_by_ssh: bool
    """ssh reads the site, through the Include or the site's own Host blocks in the ssh config."""
    config_problem: str | None
    """Why ssh does not read the site, or which block of gen in the ssh config was edited."""
    site_status: str
    """`active`, `retiring` or `retired`, as the present spec says."""

    revoked_keys: tuple[str, ...] = ()
    """The keys that ssh refuses at the site because they are revoked, each with the reason."""
    public_keys: tuple[PublicKey, ...] = ()
    """The keys of the site that it accepts for some time only."""
    missing_commands: tuple[str, ...] = ()
    """The commands that the timer and ssh do not find, each with the fix."""
    shared_connections: tuple[int, ...] = ()
    """The seconds since 1970 in which the shared connections that are open began."""
    machine: tuple[str, ...] = ()
    """What differs on this machine from the site's files, such as where shared connections are."""
    origin: str = ""
    """Where the spec is from: `catalogue:NAME`, `source:SOURCE/NAME`, or its path."""
    overrides: tuple[str, ...] = ()
    """The lines of the user's ssh configuration that override the site, each with the fix."""

    @property
    def is_current(self) -> bool:
        """Whether every file is as installed, from the present spec, and works."""
        is_changed = self.drift or self.stale or self.config_problem
        return not is_changed and not self.missing_commands


def installed_sites(home: Path, chosen: str | None = None) -> dict[str, InstalledSite]:
    """Return the installed sites of a home directory by name, or the chosen one alone."""
    config = reader.actual(home, [paths.SSH_CONFIG], fenced=False).get(paths.SSH_CONFIG)
    content = config.content if config else b""
    locks = record.installed(home)
    opened = connections(home) if locks else []
    sites: dict[str, InstalledSite] = {}
    for site, site_lock in locks.items():
        # Each site costs some runs of ssh.
        if chosen not in (None, site):
            continue
        of_site = site_connections(opened, present_conf(home, site))
        since = [connection.since for connection in of_site if connection.process]
        installed_site = _installed_site(home, site_lock, content)
        sites[site] = replace(installed_site, shared_connections=tuple(since))
    return sites


def _installed_site(home: Path, site_lock: Lock, config: bytes) -> InstalledSite:
    newer_spec = _newer_spec(home, site_lock)
    unread = _reason_not_read(site_lock.site, config)
    changed_keys: tuple[str, ...] = ()
    if newer_spec:
        changed_keys = tuple(_changed_keys(site_lock, newer_spec))
    return InstalledSite(
        site=site_lock.site,
        files=len(site_lock.files),
        drift=tuple(_drift(home, site_lock)),
        stale=newer_spec is not None,
        changed_keys=changed_keys,
        read_by_ssh=unread is None,
        config_problem=unread or _edited_block(site_lock, config),
        revoked_keys=tuple(_comments(home, site_lock, paths.REVOKED)),
        public_keys=tuple(_public_keys(home, site_lock)),
        missing_commands=tuple(_missing_commands(home, site_lock)),
        machine=_machine_messages(home, site_lock),
        # Nothing overrides a site that ssh does not read.
        overrides=_overrides(home, site_lock.site) if unread is None else (),
        site_status=_site_status(home, site_lock),
        origin=record.origin(home, site_lock.inputs.spec),
    )


def _comments(home: Path, site_lock: Lock, beginning: str) -> Iterator[str]:
    """Yield the comments of a site's ssh configuration with a beginning, without it."""
    path = paths.installed_ssh_config(site_lock.site)
    file = reader.actual(home, [path], fenced=False).get(path)
    start = f"# {beginning}"
    for line in (file.content if file else b"").decode(errors="replace").splitlines():
        if line.startswith(start):
            yield formatting.printable(line.removeprefix(start))


def _public_keys(home: Path, site_lock: Lock) -> Iterator[PublicKey]:
    """Yield the keys with an end; one that was not made yet has none."""
    for comment in _comments(home, site_lock, paths.PUBLIC_KEY_ENDS):
        # Imported only here, because it imports pydantic.
        from generator.schema.text_types import seconds

        lifetime, _, key = comment.partition(": ")
        try:
            made = int(Path(f"{key}.pub").expanduser().stat().st_mtime)
            length = seconds(lifetime)
        except (OSError, RuntimeError, ValueError, KeyError):  # the user may have edited the file
            continue
        end = made + length
        yield PublicKey(key, lifetime, end, now() > end - length // _LAST_PART)


def _missing_commands(home: Path, site_lock: Lock) -> Iterator[str]:
    """Yield the commands that the timer of a site does not find; a site without one needs none."""
    units = (paths.installed_service_unit(site_lock.site), *unit_paths(site_lock.site))
    if site_lock.files.keys().isdisjoint(units):
        return
    # Imported only here, because both import pydantic.
    from generator.compiler.build import account
    from generator.install.commands import missing_commands
    from generator.install.installed_account import installed_choice

    choice = installed_choice(Choice(site_lock.site, None, None, {}, ()))
    try:
        site_account, _ = account(read_as_installed(choice))
    except GenError:
        return  # the renewal status of the site has the error
    for command in missing_commands(home, site_account):
        yield command.message


def _machine_messages(home: Path, site_lock: Lock) -> tuple[str, ...]:
    path = paths.installed_machine_config(site_lock.site)
    file = reader.actual(home, [path], fenced=False).get(path)
    if file is None or path not in site_lock.files:
        return ()
    return tuple(map(formatting.printable, messages_of(file.content)))


def _overrides(home: Path, site: str) -> tuple[str, ...]:
    """Return the findings of `gen install` about lines that override a site's file.

    They are no faults: the user may want them, and gen installs the site in spite of them.
    """
    conf = present_conf(home, site)
    try:
        return tuple(formatting.printable(shadow.message) for shadow in shadows(Files(home), conf))
    except GenError as error:
        # ssh is missing, or refuses the configuration: the rest of the status is known.
        return (f"unknown whether other lines override it: {str(error).splitlines()[0]}",)


def _reason_not_read(site: str, config: bytes) -> str | None:
    """Return why ssh does not read a site, ``None`` if it does.

    A line below a Host or Match line is for those hosts alone (ssh_config(5)), so gen's Include
    has to be above the first of them. The Host blocks of --mode inline may be anywhere.
    """
    # The marker of the site's own block, see managed_blocks.
    if f"# >>> gen {site}:".encode() in config:
        return None
    name = f"~/{paths.SSH_CONFIG}"
    restriction: Line | None = None
    for line in lines(config):
        if line.keyword in ("host", "match"):
            # Both restrict nothing: a line below them is for every host again.
            restriction = None if line.arguments in (("*",), ("all",)) else line
        elif line.keyword == "include" and INCLUDED in line.arguments:
            if restriction is None:
                return None
            return (
                f"{name}:{line.number}: ssh does not read it: gen's block is below "
                f"{restriction.written} {restriction.value} (line {restriction.number}); "
                "move the block above that line"
            )
    return f"ssh does not read it: {name} lacks our lines; gen install {site}"


def _edited_block(site_lock: Lock, config: bytes) -> str | None:
    """Return which block of gen, or which marker, in the ssh config is not as gen wrote it."""
    name = f"~/{paths.SSH_CONFIG}"
    path = paths.installed_ssh_config(site_lock.site)
    try:
        blocks = managed_blocks(config, name)
    except GenError as error:
        # One problem fits into a line of the status; gen install prints all.
        return str(error).splitlines()[0]
    written = site_lock.files[path].sha256 if path in site_lock.files else ""
    for block in blocks:
        if block.site in ("", site_lock.site) and not is_as_written(block, [written]):
            return (
                f"{name}:{block.line}: this block of gen was edited; "
                f"gen install {site_lock.site} --force"
            )
    return None


def _drift(home: Path, site_lock: Lock) -> Iterator[InstalledDrift]:
    files = reader.actual(home, site_lock.files, fenced=False)
    for path, written in site_lock.files.items():
        actual = files.get(path)
        if actual is None:
            yield InstalledDrift(_name(path), "missing")
        elif not record.is_as_written(actual.content, written):
            yield InstalledDrift(_name(path), "edited")
        # Here the whole mode counts: in a home directory no checkout changes it, and ssh refuses a
        # file that others can write.
        elif f"{actual.mode:04o}" != written.mode:
            yield InstalledDrift(_name(path), "mode")


def _name(path: PurePosixPath) -> str:
    return f"~/{path}"


def _spec_path(home: Path, site_lock: Lock) -> Path:
    """Return the path of the spec that the site was installed from; the file may be gone."""
    recorded = site_lock.inputs.spec
    if name := recorded.catalogue_name:
        return CATALOGUE / f"{name}.yaml"
    if recorded.sourced:
        in_use = sources.read(recorded.sourced)
        # If the source is gone, the copy in the record is the same spec.
        return in_use[0] if in_use else home / paths.installed_spec_copy(site_lock.site)
    return record.spec_path(home, recorded)


def _site_status(home: Path, site_lock: Lock) -> str:
    """Return the status of the site: that of the present spec, else that of the installed copy."""
    site = site_lock.site
    for path in (_spec_path(home, site_lock), home / paths.installed_spec_copy(site)):
        try:
            return summary(site, path).status
        except GenError:
            continue  # missing, or with faults, which other commands report
    return "active"


def _newer_spec(home: Path, site_lock: Lock) -> File | None:
    """Return the spec that the site was installed from, if it has changed since; else ``None``.

    A deleted spec changes nothing: the record has a copy of it.
    """
    path = _spec_path(home, site_lock)
    try:
        content = read_regular(path)
    except (GenError, OSError):
        return None
    if digest(content) == site_lock.inputs.spec.sha256:
        return None
    return File(path, content)


def _changed_keys(site_lock: Lock, spec: File) -> list[str]:
    """Return the keys with another value than at the installation, none if the spec has errors."""
    # Imported only here, because it imports pydantic.
    from generator.compiler.build import account

    try:
        new_account, _ = account(Inputs(spec, None, {}, site_lock.inputs.overrides))
    except GenError:
        return []
    values = new_account.site.model_dump(mode="json", exclude_defaults=True)
    new_digests = key_digests(values)
    old_digests = site_lock.inputs.spec.key_digests
    changed = set(new_digests.items()) ^ set(old_digests.items())
    return sorted({key for key, _ in changed})


def status_lines(site: InstalledSite) -> Iterator[str]:
    """Yield the lines that `gen status` prints for a site, each within 80 columns."""
    yield f"{site.site}: {formatting.count(site.files, 'file')} installed"
    for drift in site.drift:
        yield f"  {drift.cause:9} {drift.path}"
    for key in site.changed_keys[:_MAX_KEYS]:
        yield f"  {'newer':9} {key}"
    if len(site.changed_keys) > _MAX_KEYS:
        yield f"  {'newer':9} and {len(site.changed_keys) - _MAX_KEYS} more keys of the spec"
    if site.drift or site.stale:
        yield f"  {_reason(site)}: {_install_command(site)}{_force(site)}"
    if site.config_problem:
        yield f"  {site.config_problem}"
    for message in site.missing_commands:
        yield f"  {message}"
    for key in site.revoked_keys:
        yield f"  REVOKED   {key}"
    for public_key in site.public_keys:
        yield f"  {public_key.message}"
    for message in (*site.machine, *site.overrides):
        yield f"  {message}"
    if site.shared_connections:
        number = formatting.count(len(site.shared_connections), "shared connection")
        since = formatting.clock(site.shared_connections[0])
        yield f"  {number} since {since}; to end: gen disconnect {site.site}"
    if site.site_status != "active":
        yield f"  the site is {site.site_status}; see: gen show {site.site}"


def _reason(site: InstalledSite) -> str:
    if site.stale:
        return "the spec has changed"
    return "not as installed"


def _install_command(site: InstalledSite) -> str:
    # By its name, gen would find its own copy of a spec, which the user did not change.
    if site.stale and has_path(site.origin):
        return f"gen install {formatting.command_line(site.origin)}"
    return f"gen install {site.site}"


def _force(site: InstalledSite) -> str:
    """Return the option without which gen does not replace a file that the user edited."""
    for drift in site.drift:
        if drift.cause == "edited":
            return " --force"
    return ""
