"""(spec, person) → artifacts: the same bytes on every machine and every day."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.digests import key_digests
from generator.compiler.emitters import (
    dagster_project,
    env_file,
    known_hosts,
    launchd_agent,
    ssh_config,
    systemd_timer,
)
from generator.compiler.first_steps import first_login
from generator.compiler.host_key_policy import trusted
from generator.compiler.result import Compilation, Gap, Unpinned
from generator.compiler.templates import templates_digest
from generator.loading.overrides import Change
from generator.schema.placeholders import PLACEHOLDERS
from generator.schema.profile import SiteProfile
from generator.schema.project import Project
from generator.schema.site import SiteSpec

_EMITTERS = (
    env_file.emit,
    ssh_config.emit,
    known_hosts.emit,
    systemd_timer.emit,
    launchd_agent.emit,
)


def compile_site(
    site: SiteSpec, profile: SiteProfile, project: Project | None = None
) -> list[Artifact]:
    """Return every artifact of a site, in the order of the table of emitters, those of a project last.

    Raises:
        GenError: a value has no one meaning in an artifact's format.
    """
    account = Account(site, profile)
    emitters = () if project and project.alone else _EMITTERS
    artifacts = [artifact for emit in emitters for artifact in emit(account)]
    artifacts += dagster_project.emit(account, project) if project else ()
    _check_paths([artifact.path for artifact in artifacts])
    return artifacts


def _check_paths(paths: list[PurePosixPath]) -> None:
    for path in paths:
        if path.is_absolute() or ".." in path.parts or paths.count(path) > 1:
            raise ValueError(f"{path} is not a path of its own below the output folder")


def compilation(
    site: SiteSpec,
    profile: SiteProfile,
    changes: Sequence[Change] = (),
    project: Project | None = None,
) -> Compilation:
    """Return the artifacts of a site, those that a new project is seeded with too, and what is to be said about them.

    Raises:
        GenError: a value has no one meaning in an artifact's format.
    """
    account = Account(site, profile)
    return Compilation(
        site=site.site,
        title=site.title,
        status=site.status.words(),
        profile=profile.model_dump(exclude_none=True, exclude_defaults=True),
        changes=tuple(map(str, changes)),
        keys=key_digests(site.model_dump(mode="json", exclude_defaults=True)),
        templates=templates_digest(),
        artifacts=(
            *compile_site(site, profile, project),
            *(dagster_project.seeds(site, project) if project else ()),
        ),
        gaps=() if project and project.alone else tuple(_gaps(account)),
        unpinned=tuple(_unpinned(account)),
        first_login=first_login(account),
    )


def _gaps(account: Account) -> Iterator[Gap]:
    """Yield what the person has not told yet and the artifacts could use."""
    meanings = {
        **PLACEHOLDERS,
        "home": "your home folder, for paths in .env files (as in /home/ada)",
    }
    wanted = {name for variable in env_file.variables(account) for name in variable.missing}
    wanted |= set(account.missing(account.site.model_dump_json(exclude={"sources", "filesystems"})))
    return (Gap(name, meanings[name]) for name in meanings if name in wanted)


def _unpinned(account: Account) -> Iterator[Unpinned]:
    for name, keys in account.site.host_keys.items():
        if not trusted(account, keys):
            reasons = {account.site.sources[source].weak or "" for source in keys.source}
            yield Unpinned(
                name,
                ", ".join(sorted(reasons)),
                account.site.docs or "the site's own documentation",
            )
