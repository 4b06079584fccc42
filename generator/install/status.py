"""Compare the files in the home directory with the install record, for `gen status`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from generator import formatting, paths
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.install import record
from generator.install.managed_blocks import INCLUDED
from generator.loading import catalogue
from generator.ssh.config_lines import lines
from generator.workspace import reader
from generator.workspace.lock import Lock


@dataclass(frozen=True)
class InstalledDrift:
    """An installed file that differs from the record."""

    path: str
    cause: str
    """`missing`, `edited` or `mode`."""


@dataclass(frozen=True)
class InstalledSite:
    """A site in the home directory."""

    site: str
    files: int
    drift: tuple[InstalledDrift, ...]
    stale: bool
    """The spec changed since the installation."""
    read_by_ssh: bool
    """The ssh config has the site, through its Include or its own Host blocks."""

    @property
    def is_current(self) -> bool:
        """Whether every file is as installed, from the present spec, and read by ssh."""
        return not self.drift and not self.stale and self.read_by_ssh


def installed_sites(home: Path) -> dict[str, InstalledSite]:
    """Return the installed sites of a home directory, by name."""
    config = reader.actual(home, [paths.SSH_CONFIG], fenced=False).get(paths.SSH_CONFIG)
    content = config.content if config else b""
    locks = record.installed(home)
    return {site: _installed_site(home, site_lock, content) for site, site_lock in locks.items()}


def _installed_site(home: Path, site_lock: Lock, config: bytes) -> InstalledSite:
    return InstalledSite(
        site=site_lock.site,
        files=len(site_lock.files),
        drift=tuple(_drift(home, site_lock)),
        stale=_is_stale(site_lock),
        read_by_ssh=_is_read_by_ssh(site_lock.site, config),
    )


def _is_read_by_ssh(site: str, config: bytes) -> bool:
    # The marker of the site's own block, see managed_blocks.
    if f"# >>> gen {site}:".encode() in config:
        return True
    return any(line.keyword == "include" and INCLUDED in line.arguments for line in lines(config))


def _drift(home: Path, site_lock: Lock) -> Iterator[InstalledDrift]:
    files = reader.actual(home, site_lock.files, fenced=False)
    for path, written in site_lock.files.items():
        actual = files.get(path)
        if actual is None:
            yield InstalledDrift(_name(path), "missing")
        elif digest(actual.content) != written.sha256:
            yield InstalledDrift(_name(path), "edited")
        elif f"{actual.mode:04o}" != written.mode:
            yield InstalledDrift(_name(path), "mode")


def _name(path: PurePosixPath) -> str:
    return f"~/{path}"


def _is_stale(site_lock: Lock) -> bool:
    """Return whether the catalogue has another spec now; a deleted spec changes nothing."""
    try:
        content = catalogue.spec(site_lock.site, None).read_bytes()
    except (GenError, OSError):
        return False
    return digest(content) != site_lock.inputs.spec.sha256


def status_lines(site: InstalledSite) -> Iterator[str]:
    """Yield the lines that `gen status` prints for a site, each within 80 columns."""
    yield f"{site.site}: {formatting.count(site.files, 'file')} installed"
    for drift in site.drift:
        yield f"  {drift.cause:9} {drift.path}"
    if site.drift or site.stale:
        yield f"  {_reason(site)}: gen install {site.site}{_force(site)}"
    if not site.read_by_ssh:
        yield f"  ssh does not read it: ~/.ssh/config lacks our lines; gen install {site.site}"


def _reason(site: InstalledSite) -> str:
    if site.stale:
        return "the spec has changed"
    return "not as installed"


def _force(site: InstalledSite) -> str:
    """Return the option without which gen does not replace a file that the user edited."""
    for drift in site.drift:
        if drift.cause == "edited":
            return " --force"
    return ""
