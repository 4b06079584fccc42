"""A Dagster project for a site: one managed file with all that it needs to know of the site, the rest is seeded.

The file is TOML whose tables are fields of dagster-slurm's classes. It holds no value of a person, so that a team can
share it; those come from the environment. dagster-slurm puts `extra_opts` first, and ssh takes the first value.
"""

import json
from collections.abc import Iterator

from generator import paths
from generator.compiler import scaffold
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.host_key_policy import host_key_settings, pins
from generator.compiler.renewal_schedule import certificate
from generator.compiler.templates import render
from generator.schema.auth import (
    Auth,
    CommandCertificateAuth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
)
from generator.schema.hosts import Host, Machine
from generator.schema.launchers import Ray, Spark
from generator.schema.project import Project
from generator.schema.site import SiteSpec
from generator.schema.slurm import Request, Slurm

Value = str | int | bool | list[str] | None
Fields = dict[str, Value]


def emit(account: Account, project: Project) -> Iterator[Artifact]:
    """Yield the file of the site, the only one that is managed."""
    site = account.site
    made = paths.header(
        site.site, f"gen project {_name(project)} --site" if project.alone else "gen site"
    )
    tables = {name: _written(fields) for name, fields in _tables(account).items()}
    content = render(
        "site.toml.j2",
        header=made,
        title=site.title,
        tables={name: one for name, one in tables.items() if one},
    )
    yield Artifact(project.wiring(site.site), content, 0o644)


def seeds(site: SiteSpec, project: Project) -> Iterator[Artifact]:
    """Yield all other files of a new project; what is known of the site is not in them."""
    for path, content in scaffold.files(
        _name(project), project.package, site.site, site.usual_host.alias
    ):
        yield Artifact(project.folder / path, content, 0o644, owner=Owner.SEEDED)


def _name(project: Project) -> str:
    return project.package.strip("_").replace("_", "-")


def _tables(account: Account) -> dict[str, Fields]:
    slurm = account.site.slurm
    route = account.site.route(account.site.usual_host.alias)
    tables: dict[str, Fields] = {"": _login(account, route), "ssh": _ssh(account, route[0])}
    if len(route) > 1:
        tables["ssh.jump_host"] = _jump(account, route[0].host, route[1])
    tables |= {"queue": _queue(slurm, slurm) | _defaults(slurm), "devel": _devel(slurm)}
    return (
        tables
        | dict(_launcher("ray", account.site.ray))
        | dict(_launcher("spark", account.site.spark))
    )


def _login(account: Account, route: list[Machine]) -> Fields:
    site = account.site
    host = route[0].host
    asks = [asked for machine in route if (asked := _asks(site.auth_of(machine.host)))]
    renewed = certificate(site) and certificate(site) is site.auth_of(host)
    needs = ["SLURM_EDGE_NODE_USER"]
    needs += ["SLURM_EDGE_NODE_HOST"] if account.fill(host.host) is None else []
    needs += (
        ["SLURM_ACCOUNT"]
        if site.slurm.accounts.required and not site.slurm.accounts.default
        else []
    )
    return {
        "title": site.title,
        "needs": needs,
        "renew": ["gen", "refresh", site.site] if renewed else None,
        "asks": " and ".join(dict.fromkeys(asks)) or None,
        "impossible": _impossible(account, len(route) - 1, bool(asks)),
    }


def _asks(auth: Auth) -> str | None:
    """Return what a person types or opens at each login."""
    match auth:
        case KeyboardAuth():
            return f"for {', '.join(auth.asks)}"
        case PublicKeyAuth(then=str()) | KerberosAuth(then=str()):
            return "for a second factor"
    return None


def _impossible(account: Account, jumps: int, asks: bool) -> str | None:
    """Return why dagster-slurm cannot work at the site."""
    slurm = account.site.slurm
    queue = slurm.partitions.get(slurm.partition or "")
    reasons = {
        "it lies behind more than one jump host, and dagster-slurm takes one": jumps > 1,
        "each login asks a person, and connections may not be shared": asks
        and account.site.multiplexing == "forbidden",
        "jobs need --clusters, which dagster-slurm does not pass": bool(slurm.clusters),
        "jobs need --constraint, which dagster-slurm does not pass": bool(slurm.constraint),
        "jobs are not submitted with sbatch": bool(queue and queue.submit_with),
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds) or None


def _ssh(account: Account, machine: Machine) -> Fields:
    address: Fields = {"host": account.fill(machine.host_name), "port": machine.host.port}
    return address | _trust(account, machine, "%")


def _jump(account: Account, behind: Host, jump: Machine) -> Fields:
    """Return a jump host; user and key are those of the site unless they differ. ssh expands its command once more."""
    site, host = account.site, jump.host
    address: Fields = {"host": account.fill(jump.host_name), "port": host.port}
    asked: Fields = {"batch_mode": False} if _asks(site.auth_of(host)) else {}
    same: Fields = {"key_path": None} if site.auth_of(host) == site.auth_of(behind) else {}
    return address | asked | _trust(account, jump, "%%") | same


def _trust(account: Account, machine: Machine, percent: str) -> Fields:
    """Return how a machine and a person prove themselves: the pins, as ssh/SITE.conf has them, and the key."""
    host = machine.host
    auth = account.site.auth_of(host)
    known = pins(account, machine.entry)
    settings = host_key_settings(known, host.port) if known else []
    if isinstance(auth, KerberosAuth):
        settings += [
            ("GSSAPIAuthentication", "yes"),
            ("GSSAPIDelegateCredentials", "yes" if auth.delegate else "no"),
        ]
    if isinstance(auth, CommandCertificateAuth) and auth.certificate:
        settings.append(("CertificateFile", account.fill(auth.certificate) or auth.certificate))
    key = getattr(auth, "key", None)
    return {
        "key_path": account.fill(key) if key else None,
        "host_key_checking": "inherit" if known else None,
        "extra_opts": [f"-o{keyword}={value.replace('%', percent)}" for keyword, value in settings]
        or None,
    }


def _queue(slurm: Slurm, request: Request) -> Fields:
    return {
        "partition": request.partition,
        "qos": slurm.chosen_qos(request),
        "time_limit": request.walltime,
        "num_nodes": request.nodes,
        "cpus": request.cpus,
        "mem": request.mem,
        "mem_per_cpu": request.mem_per_cpu,
        "gpus_per_node": request.gpus_per_node,
        "reservation": request.reservation,
        "signal_before_timeout": request.signal.rpartition(":")[2] if request.signal else None,
    }


def _defaults(slurm: Slurm) -> Fields:
    """Return the site's account; and no memory, which dagster-slurm would ask for, where jobs must not."""
    refused = {"--mem", "--mem-per-cpu"} & {*slurm.forbidden_options, *slurm.ignored_options}
    return {"account": slurm.accounts.default, **({"mem": ""} if refused else {})}


def _devel(slurm: Slurm) -> Fields:
    """Return what differs in a job that tries something out; a QoS goes with its partition."""
    if not slurm.devel.model_fields_set:
        return {}
    fields = _queue(slurm, slurm.devel)
    return {**fields, "qos": fields["qos"] or ("" if slurm.devel.partition else None)}


def _launcher(name: str, changed: Ray | Spark) -> Iterator[tuple[str, Fields]]:
    """Yield a table of a launcher's fields, and one for each group of fields below it."""
    fields = changed.model_dump(
        mode="json", exclude_unset=True, exclude={"source", "note", "checked"}
    )
    if fields.get("worker_cpu_bind") == "omit":
        fields["worker_cpu_bind"] = ""
    yield name, {key: value for key, value in fields.items() if not isinstance(value, dict)}
    yield from (
        (f"{name}.{key}", value) for key, value in fields.items() if isinstance(value, dict)
    )


def _written(fields: Fields) -> dict[str, str | list[str]]:
    """Return fields as TOML spells them, which takes JSON's strings; a long list has a line for each item."""
    return {key: _toml(value) for key, value in fields.items() if value is not None}


def _toml(value: Value) -> str | list[str]:
    if isinstance(value, list) and sum(map(len, value)) > 80:
        return [json.dumps(item, ensure_ascii=False) for item in value]
    return json.dumps(value, ensure_ascii=False)
