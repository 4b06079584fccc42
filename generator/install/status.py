"""What `gen status` tells of the home folder: which sites are installed, and which of their files changed since."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from generator import paths
from generator.compiler import digests
from generator.errors import GenError
from generator.install import record
from generator.install.managed_blocks import INCLUDED
from generator.loading import catalogue
from generator.ssh.config_lines import lines as lines_of
from generator.workspace import reader
from generator.workspace.lock import Lock


@dataclass(frozen=True)
class Drift:
    """An installed file that is not what was installed."""

    path: str
    cause: str
    """`missing`, `edited` or `mode`."""


@dataclass(frozen=True)
class Installed:
    """A site in the home folder."""

    site: str
    files: int
    drift: tuple[Drift, ...]
    stale: bool
    """The spec moved on since."""
    found_by_ssh: bool
    """The ssh config has the site, by its Include or in its own lines."""

    @property
    def sound(self) -> bool:
        """Whether all is as it was installed, and from the spec as it is now."""
        return not self.drift and not self.stale and self.found_by_ssh


def installed(folder: Path) -> dict[str, Installed]:
    """Return the sites that are installed in a home folder, by name.

    Raises:
        GenError: a record cannot be read.
    """
    config = reader.actual(folder, [paths.SSH_CONFIG], fenced=False).get(paths.SSH_CONFIG)
    content = config.content if config else b""
    return {
        name: _installed(folder, was, content) for name, was in record.installed(folder).items()
    }


def _installed(folder: Path, was: Lock, config: bytes) -> Installed:
    said = [line for line in lines_of(config) if line.keyword == "include"]
    marked = (
        any(INCLUDED in line.arguments for line in said)
        or f"# >>> gen {was.site}:".encode() in config
    )
    return Installed(was.site, len(was.files), tuple(_drift(folder, was)), _stale(was), marked)


def _drift(folder: Path, was: Lock) -> Iterator[Drift]:
    actual = reader.actual(folder, was.files, fenced=False)
    for path, written in was.files.items():
        found = actual.get(path)
        if found is None:
            yield Drift(_shown(path), "missing")
        elif digests.digest(found.content) != written.sha256:
            yield Drift(_shown(path), "edited")
        elif f"{found.mode:04o}" != written.mode:
            yield Drift(_shown(path), "mode")


def _shown(path: PurePosixPath) -> str:
    return f"~/{path}"


def _stale(was: Lock) -> bool:
    """Tell whether the spec that gen would take now is another one; a spec that is gone is no news of the site."""
    try:
        return digests.digest(catalogue.spec(was.site, None).read_bytes()) != was.inputs.spec.sha256
    except (GenError, OSError):
        return False


def lines(one: Installed) -> Iterator[str]:
    """Yield what to tell a person of a site, each line within 80 columns."""
    yield f"{one.site}: {one.files} file{'s' * (one.files != 1)} installed"
    for drift in one.drift:
        yield f"  {drift.cause:9} {drift.path}"
    if one.drift or one.stale:
        what = "the spec moved on" if one.stale else "not as installed"
        force = " --force" if any(drift.cause == "edited" for drift in one.drift) else ""
        yield f"  {what}: gen install {one.site}{force}"
    if not one.found_by_ssh:
        yield f"  ssh does not see it: no line of ours in ~/.ssh/config; gen install {one.site}"
