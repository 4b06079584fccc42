"""A Dagster project for a site: a file with the facts of the site, glue, and seeds.

The tables of the TOML file are fields of dagster-slurm's classes, and the limits of the site. The
file has no value of a user, so a team can share it; those values come from the environment.
dagster-slurm puts `extra_opts` first, and ssh uses the first value.
"""

import json
from collections.abc import Iterator, Mapping

from generator import paths
from generator.compiler import compiled_templates, scaffold
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.host_key_policy import (
    host_key_settings,
    key_rule,
    pins,
    revocation_settings,
)
from generator.compiler.job_requests import Fields, Table, Value, limits, requests
from generator.compiler.renewal_schedule import timed_auth
from generator.schema.auth import (
    Auth,
    CommandCertificateAuth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
    SmartCardAuth,
    UnstatedAuth,
    WithKey,
)
from generator.schema.hosts import Host, Machine
from generator.schema.launchers import Ray, Spark
from generator.schema.placeholders import names
from generator.schema.project import Project
from generator.schema.site import SiteSpec

FORMAT = 2
"""Number of the format of a site's file; the project refuses every other one."""

_MAX_LIST_LINE = 90


def emit(account: Account, project: Project) -> Iterator[Artifact]:
    """Yield the site's file in a project."""
    site = account.site
    command = f"gen project {project.name} --site" if project.alone else "gen site"
    tables = {}
    for name, fields in _tables(account).items():
        written = _toml_fields(fields)
        # The name of a partition says something even if no limit of it is known.
        if written or name.startswith("partitions."):
            tables[name] = written
    text = compiled_templates.site_toml(
        header=paths.header(site.site, command), title=site.title, tables=tables
    )
    yield Artifact(project.wiring(site.site), "".join(text).encode(), 0o644)


def glue(project: Project) -> Iterator[Artifact]:
    """Yield the managed modules of a project, which are the same for all of its sites."""
    for name, content in scaffold.glue().items():
        yield Artifact(project.sites.parent / name, content, 0o644)


def seeds(site: SiteSpec, project: Project) -> Iterator[Artifact]:
    """Yield the files that a new project starts with, which are then the user's.

    They hold no facts of the site but its name and alias.
    """
    files = scaffold.files(project.name, project.package, site.site, site.usual_host.alias)
    for path, content in files.items():
        yield Artifact(project.folder / path, content, 0o644, owner=Owner.SEEDED)


def _tables(account: Account) -> dict[str, Fields]:
    """Return the fields of each table; those without a table have an empty name."""
    site = account.site
    route = site.route(site.usual_host.alias)
    tables: dict[str, Fields] = {"": _login(account, route), "ssh": _ssh(account, route[0])}
    if len(route) > 1:
        tables["ssh.jump_host"] = _jump_host(account, route[0].host, route[1])
    tables["deployment"] = _deployment(site)
    for purpose, fields in requests(site.slurm).items():
        tables[f"requests.{purpose}"] = fields
    tables |= _launcher("ray", site.ray)
    tables |= _launcher("spark", site.spark)
    tables |= limits(site)
    return tables


def _login(account: Account, route: list[Machine]) -> Fields:
    site = account.site
    host = route[0].host
    prompts: list[str] = []
    for machine in route:
        prompt = _prompt(site.auth_of(machine.host))
        if prompt and prompt not in prompts:
            prompts.append(prompt)
    needs: list[str] = ["SLURM_EDGE_NODE_USER"]
    if account.fill(host.host) is None:
        needs.append("SLURM_EDGE_NODE_HOST")
    if site.slurm.accounts.required and not site.slurm.accounts.default:
        needs.append("SLURM_ACCOUNT")
    if site.slurm.qos_required and not site.slurm.chosen_qos(site.slurm):
        needs.append("SLURM_QOS")
    # gen renews the certificate of the site, which is not the one of a host with its own
    # authentication.
    renewal_auth = timed_auth(site)
    is_renewed = renewal_auth is not None and renewal_auth is site.auth_of(host)
    return {
        "format": FORMAT,
        "title": site.title,
        "needs": needs,
        "login_nodes": _login_nodes(account, route[0]),
        "renew": ["gen", "refresh", site.site] if is_renewed else None,
        "asks": " and ".join(prompts) or None,
        "impossible": _impossible(site, jumps=len(route) - 1, interactive=bool(prompts)),
    }


def _login_nodes(account: Account, usual: Machine) -> list[str] | None:
    """Return the machines behind the usual host's keys; ``None`` if their names need the user's."""
    names = []
    for machine in account.site.machines():
        if machine.entry == usual.entry:
            names.append(account.fill(machine.host_name))
    known = [name for name in names if name]
    return known if len(known) == len(names) else None


def _prompt(auth: Auth) -> str | None:
    """Return the input that a login asks the user for, as in "asks for a password"."""
    match auth:
        case KeyboardAuth():
            return f"for {', '.join(auth.asks)}"
        case PublicKeyAuth(then=str()) | KerberosAuth(then=str()):
            return "for a second factor"
        case SmartCardAuth():
            return "for the PIN of your smart card"
        case UnstatedAuth():
            return "for what the site's documentation says; the spec does not state it"
        case _:
            return None


def _impossible(site: SiteSpec, *, jumps: int, interactive: bool) -> str | None:
    """Return why dagster-slurm cannot work at the site."""
    slurm = site.slurm
    partition = slurm.partitions.get(slurm.partition or "")
    reasons: list[str] = []
    if jumps > 1:
        reasons.append(
            "the login node is behind several jump hosts, and dagster-slurm supports one"
        )
    if site.usual_host.host.proxy:
        reasons.append("a command leads from the jump host on, and dagster-slurm knows only jumps")
    if interactive and site.multiplexing == "forbidden":
        reasons.append("each login asks the user for input, and connections may not be shared")
    if slurm.clusters:
        reasons.append("jobs need --clusters, which dagster-slurm does not pass")
    if slurm.constraint:
        reasons.append("jobs need --constraint, which dagster-slurm does not pass")
    if partition and partition.submit_with:
        reasons.append("jobs are not submitted with sbatch")
    return "; ".join(reasons) or None


def _ssh(account: Account, machine: Machine) -> Fields:
    address: Fields = {"host": account.fill(machine.host_name), "port": machine.host.port}
    return address | _trust(account, machine, percent="%")


def _deployment(site: SiteSpec) -> Fields:
    """Return the directories at the site.

    The project fills in the name of the user and of the account, which no shared file has.
    """
    if site.deployment is None:
        return {}
    fields: Fields = {}
    for key in ("base_path", "data_path"):
        template = getattr(site.deployment, key)
        if template and set(names(template)) <= {"user", "initial", "account"}:
            fields[key] = template
    return fields


def _jump_host(account: Account, behind: Host, jump: Machine) -> Fields:
    """Return the fields of a jump host.

    Its user and key are those of the site unless they differ.
    """
    site, host = account.site, jump.host
    fields: Fields = {"host": account.fill(jump.host_name), "port": host.port}
    if _prompt(site.auth_of(host)):
        fields["batch_mode"] = False
    # The ProxyCommand of the first ssh holds this command, so percent signs are expanded once more.
    fields |= _trust(account, jump, percent="%%")
    if site.auth_of(host) == site.auth_of(behind):
        # A key here would win over the key that the user names for the site.
        fields["key_path"] = None
    return fields


def _trust(account: Account, machine: Machine, percent: str) -> Fields:
    """Return the pins of a machine, as in ssh/SITE.conf, and the key of the user."""
    host = machine.host
    auth = account.site.auth_of(host)
    pinned = pins(account, machine.entry)
    rule = key_rule(account.site, host.port)
    # Without pins dagster-slurm decides about unknown keys, by an option of its own.
    settings = host_key_settings(pinned, rule) if pinned else revocation_settings(rule)
    if isinstance(auth, KerberosAuth):
        settings.append(("GSSAPIAuthentication", "yes"))
        settings.append(("GSSAPIDelegateCredentials", "yes" if auth.delegate else "no"))
    if isinstance(auth, CommandCertificateAuth) and auth.certificate:
        settings.append(("CertificateFile", account.fill(auth.certificate) or auth.certificate))
    options = [f"-o{keyword}={value.replace('%', percent)}" for keyword, value in settings]
    return {
        "key_path": account.fill(auth.key) if isinstance(auth, WithKey) else None,
        # dagster-slurm then adds no options of its own about host keys.
        "host_key_checking": "inherit" if pinned else None,
        "extra_opts": options or None,
    }


def _launcher(name: str, launcher: Ray | Spark) -> Mapping[str, Fields]:
    """Return the table of a launcher, and one table for each group of fields in it."""
    values = launcher.model_dump(
        mode="json", exclude_unset=True, exclude={"source", "note", "checked"}
    )
    if values.get("worker_cpu_bind") == "omit":
        values["worker_cpu_bind"] = ""
    fields: Fields = {}
    groups: dict[str, Fields] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            groups[f"{name}.{key}"] = value
        else:
            fields[key] = value
    return {name: fields, **groups}


def _toml_fields(fields: Fields) -> dict[str, str | list[str]]:
    return {key: _toml(value) for key, value in fields.items() if value is not None}


def _toml(value: Value) -> str | list[str]:
    """Return a value as TOML, or the items of a long list."""
    if not isinstance(value, list):
        # A string of JSON is a string of TOML.
        return json.dumps(value, ensure_ascii=False)
    items = [_toml_item(item) for item in value]
    if sum(map(len, items)) > _MAX_LIST_LINE:
        return items
    return f"[{', '.join(items)}]"


def _toml_item(item: str | Table) -> str:
    """Return a string of a list, or a table in one line."""
    if isinstance(item, str):
        return json.dumps(item, ensure_ascii=False)
    fields = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in item.items()]
    return f"{{ {', '.join(fields)} }}"
