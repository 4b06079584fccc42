"""(spec, person) → artifacts: the same bytes on every machine and every day."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from generator.account import Account
from generator.artifact import Artifact
from generator.emitters import env_file, known_hosts, launchd_agent, ssh_config, systemd_timer
from generator.pins import trusted
from generator.profile import Person
from generator.spec.placeholders import PLACEHOLDERS
from generator.spec.site import SiteSpec

_EMITTERS = (
    env_file.emit,
    ssh_config.emit,
    known_hosts.emit,
    systemd_timer.emit,
    launchd_agent.emit,
)


@dataclass(frozen=True)
class Gap:
    """Something that only the person knows, and the artifacts lack."""

    name: str
    meaning: str


def compile_site(site: SiteSpec, person: Person) -> list[Artifact]:
    """Return every artifact of a site, in the order of the table of emitters.

    Raises:
        GenError: a value has no one meaning in an artifact's format.

    """
    account = Account(site, person)
    artifacts = [artifact for emit in _EMITTERS for artifact in emit(account)]
    _check_paths([artifact.path for artifact in artifacts])
    return artifacts


def _check_paths(paths: list[PurePosixPath]) -> None:
    for path in paths:
        if path.is_absolute() or ".." in path.parts or paths.count(path) > 1:
            raise ValueError(f"{path} is not a path of its own below the output folder")


def gaps(site: SiteSpec, person: Person) -> list[Gap]:
    """Return what the person has not told yet and the artifacts could use, most wanted first."""
    account = Account(site, person)
    meanings = {**PLACEHOLDERS, "home": "your home folder, for paths in .env files (as in /home/ada)"}
    wanted = {name for variable in env_file.variables(account) for name in variable.missing}
    wanted |= set(account.missing(site.model_dump_json(exclude={"sources", "filesystems"})))
    return [Gap(name, meanings[name]) for name in meanings if name in wanted]


def unverified(site: SiteSpec, person: Person) -> list[str]:
    """Return the names of host keys that are left out, because no source of theirs can be trusted unasked."""
    account = Account(site, person)
    return [name for name, keys in site.host_keys.items() if not trusted(account, keys)]
