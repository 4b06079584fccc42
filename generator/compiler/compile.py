"""Compile a spec and a profile into artifacts: the same bytes on every machine and every day."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from generator.compiler import compiled_templates
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
from generator.loading.overrides import SpecChange
from generator.schema.auth import SmartCardAuth
from generator.schema.batch import SCHEDULER_NAMES
from generator.schema.placeholders import PLACEHOLDERS, PROFILE_KEYS
from generator.schema.profile import SiteProfile
from generator.schema.project import Project
from generator.schema.site import SiteSpec

# `gen site` lists the artifacts in this order.
_EMITTERS = (
    env_file.emit,
    ssh_config.emit,
    known_hosts.emit,
    systemd_timer.emit,
    launchd_agent.emit,
)
_LIBRARY_MEANING = "the PKCS#11 library of your smart card (as in /usr/lib/opensc-pkcs11.so)"
_HOME_MEANING = "your home directory, for .env files (as in /home/ada)"


def compile_site(
    site: SiteSpec, profile: SiteProfile, project: Project | None = None
) -> list[Artifact]:
    """Return every artifact of a site: in the order of the emitters, then its file in a project."""
    account = Account(site, profile)
    artifacts: list[Artifact] = []
    if not (project and project.alone):
        for emit in _EMITTERS:
            artifacts += emit(account)
    if project and site.scheduler == "slurm":
        artifacts += dagster_project.emit(account, project)
    _check_paths([artifact.path for artifact in artifacts])
    return artifacts


def _check_paths(paths: list[PurePosixPath]) -> None:
    # These are bugs of an emitter: the schema lets no name through that leads out of the directory.
    for path in paths:
        if path.is_absolute() or ".." in path.parts or paths.count(path) > 1:
            raise ValueError(
                f"{path}: leaves the output directory, or two artifacts have this path"
            )


def compilation(
    site: SiteSpec,
    profile: SiteProfile,
    changes: Sequence[SpecChange] = (),
    project: Project | None = None,
) -> Compilation:
    """Return the artifacts of a site and of a new project, and the facts to report about them."""
    account = Account(site, profile)
    artifacts = compile_site(site, profile, project)
    gaps: list[Gap] = []
    project_files: list[Artifact] = []
    if project and site.scheduler == "slurm":
        project_files += dagster_project.glue(project)
        project_files += dagster_project.seeds(site, project)
    if not (project and project.alone):
        gaps += _gaps(account)
    values = site.model_dump(mode="json", exclude_defaults=True)
    return Compilation(
        site=site.site,
        title=site.title,
        status=site.status.words(),
        is_retired=site.status.state == "retired",
        scheduler="" if site.scheduler == "slurm" else SCHEDULER_NAMES[site.scheduler],
        profile=profile.known(),
        changes=tuple(str(change) for change in changes),
        keys=key_digests(values),
        resolved_spec=values,
        templates=compiled_templates.DIGEST,
        artifacts=tuple(artifacts),
        project_files=tuple(project_files),
        gaps=tuple(gaps),
        unpinned=tuple(_unpinned(account)),
        first_login=first_login(account),
    )


def _gaps(account: Account) -> Iterator[Gap]:
    """Yield the keys that an artifact needs and the profile does not have."""
    # Sources and file systems are for readers only; no emitter writes them.
    spec = account.site.model_dump_json(exclude={"sources", "filesystems"})
    missing = set(account.missing(spec))
    for variable in env_file.variables(account):
        missing.update(variable.missing)
    site = account.site
    auths = [site.auth, *map(site.auth_of, site.hosts.values())]
    needs_library = any(isinstance(auth, SmartCardAuth) for auth in auths)
    if needs_library and account.profile.pkcs11_provider is None:
        missing.add("pkcs11_provider")
    meanings: dict[str, str] = {}
    for name, meaning in PLACEHOLDERS.items():
        # The initial comes from the user name, whose own meaning stands first.
        meanings.setdefault(PROFILE_KEYS.get(name, name), meaning)
    meanings["home"] = _HOME_MEANING
    meanings["pkcs11_provider"] = _LIBRARY_MEANING
    for key, meaning in meanings.items():
        if key in missing:
            yield Gap(key, meaning)


def _unpinned(account: Account) -> Iterator[Unpinned]:
    site = account.site
    for name, keys in site.host_keys.items():
        if trusted(account, keys):
            continue
        if keys.known_hosts and not keys.has_keys:
            reason = "gen fetches their list only for a spec that a source publishes"
            yield Unpinned(name, reason, keys.known_hosts.url, is_listed=True)
            continue
        # Two sources may be weak for the same reason.
        reasons = ", ".join(sorted({site.sources[source].weak or "" for source in keys.source}))
        reference = site.docs or "the site's own documentation"
        yield Unpinned(name, reasons, reference, is_listed=False)
