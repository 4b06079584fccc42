"""`gen show SITE`: one site for a person."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from generator import catalogue, load
from generator.pins import fingerprint
from generator.spec.auth import preferred_authentications
from generator.spec.hosts import HostKeys
from generator.spec.model import Fact, facts
from generator.spec.placeholders import PLACEHOLDERS
from generator.spec.site import SiteSpec
from generator.spec.slurm import Partition
from generator.terminal import data

if TYPE_CHECKING:
    from rich.table import Table


def run(name: str, specs: Path | None, as_json: bool) -> int:
    """Print a site: as it was validated for programs, as tables for people."""
    site = load.site(catalogue.spec(name, specs))
    if as_json:
        data(
            json.dumps(
                {"format_version": "1.0", "spec": site.model_dump(mode="json", exclude_defaults=True)},
                indent=2,
            )
        )
        return 0
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for part in _page(site):
        console.print(part, soft_wrap=isinstance(part, str))
    return 0


def _page(site: SiteSpec) -> Iterator["Table | str"]:
    about = [_status(site), site.operator, site.docs]
    yield f"{site.title} ({site.site})\n" + "\n".join(filter(None, about))
    yield _table("Log in to", ("alias", "host", "port", "through", "source"), _machines(site))
    yield f"Authentication: {site.auth.method} ({preferred_authentications(site.auth)})\n" + "\n".join(_auth(site))
    if site.host_keys:
        yield _table("Host keys", ("of", "key", "pinned", "source"), _keys(site))
    if site.slurm.partitions:
        headings = ("partition", "QoS", "walltime", "node", "note", "source")
        yield _table(
            "Partitions (by default " + (site.slurm.partition or "the scheduler's choice") + ")",
            headings,
            _partitions(site),
        )
    if limits := site.slurm.qos_limits:
        levels = [(name, qos.purpose or "", qos.max_walltime or "", _from(qos)) for name, qos in limits.items()]
        yield _table("QoS", ("name", "purpose", "walltime", "source"), levels)
    if site.filesystems:
        places = [(name, place.path, place.quota or "", _from(place)) for name, place in site.filesystems.items()]
        yield _table("Files", ("name", "path", "quota", "source"), places)
    if words := list(_to_know(site)):
        yield _table("Good to know", ("about", "what"), words)
    text = site.model_dump_json()
    yours = [name for name in PLACEHOLDERS if f"{{{name}}}" in text and name not in ("site", "initial")]
    yield "Yours to fill in: " + ", ".join(f"{name} ({PLACEHOLDERS[name]})" for name in yours)
    yield "\nSources"
    for name, source in site.sources.items():
        known = ", ".join(filter(None, [str(source.checked or ""), source.weak]))
        yield f"  {name} ({known}): {source.ref or source.url}"
    yield f"\nNext: gen site {site.site} --out ."


def _to_know(site: SiteSpec) -> Iterator[tuple[str, str]]:
    """Yield what is said in words, of each entry that is not in a table with a column for it."""
    yield from [("site", site.note)] if site.note else []
    for alias, host in site.hosts.items():
        yield from ((f"hosts.{alias}", text) for text in (host.network, *host.key_options) if text)
        if host.auth:
            yield f"hosts.{alias}", f"login by {host.auth.method} ({preferred_authentications(host.auth)})"
    for keys, fact in facts(site):
        if fact.note and keys[:2] != ("slurm", "partitions"):
            yield ".".join(keys), fact.note
    slurm = site.slurm
    words = {
        "jobs name no partition": slurm.routed,
        "jobs must name a QoS": slurm.qos_required,
        "jobs must name an account": slurm.accounts.required,
        f"accounts look like {slurm.accounts.form}": slurm.accounts.form,
        f"jobs go to --clusters={slurm.clusters}": slurm.clusters,
        f"GPUs: {', '.join(slurm.gpus)}": slurm.gpus,
        f"reservations: {slurm.reservations}": slurm.reservations,
        f"options that are refused: {', '.join(slurm.forbidden_options)}": slurm.forbidden_options,
        f"options that are ignored: {', '.join(slurm.ignored_options)}": slurm.ignored_options,
        "one connection cannot carry several sessions": site.multiplexing == "forbidden",
        "compute nodes reach the internet": site.compute_internet,
        "compute nodes do not reach the internet": site.compute_internet is False,
    }
    yield from (("site", text) for text, holds in words.items() if holds)


def _status(site: SiteSpec) -> str | None:
    status = site.status
    if status.state == "active":
        return None
    return ", ".join(filter(None, [status.state, f"until {status.ends}" if status.ends else None, status.note]))


def _table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold")
    used = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    for column in used:
        table.add_column(headings[column], overflow="fold")
    for row in rows:
        table.add_row(*(row[column] for column in used))
    return table


def _from(fact: Fact) -> str:
    return ", ".join(fact.source)


def _machines(site: SiteSpec) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for alias, host in site.hosts.items():
        rows.append((alias, host.host, str(host.port), host.via or "", _from(host)))
        if nodes := host.nodes:
            names = (name.replace("{n}", f"[{nodes.n}]") for name in (nodes.alias, nodes.host))
            rows.append((*names, str(host.port), host.via or "", _from(host)))
    rows += [
        (", ".join(group.match), group.host or "", str(group.port), group.through, _from(group))
        for group in site.compute.values()
    ]
    rows += [(alias, "a Slurm job", "", job.through, _from(job)) for alias, job in site.jobs.items()]
    return rows


def _auth(site: SiteSpec) -> Iterator[str]:
    shown = site.auth.model_dump(mode="json", exclude_defaults=True, exclude={"method", "note", "checked"})
    for key, value in shown.items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        for name, item in nested:
            text = ", ".join(map(str, item)) if isinstance(item, list) else item
            yield f"  {key}{'.' + name if name else ''}: {text}"


def _keys(site: SiteSpec) -> list[tuple[str, ...]]:
    return [row for keys in site.host_keys.values() for row in _rows(site, keys)]


def _rows(site: SiteSpec, keys: HostKeys) -> Iterator[tuple[str, ...]]:
    pinned = "with --accept-unverified" if site.unverified(keys) else "yes"
    listed = [f"{kind} {one}" for kind, several in keys.fingerprints.items() for one in several]
    listed += [f"{key.partition(' ')[0]} {fingerprint(key)}" for key in keys.keys]
    listed += [f"CA of {authority.hosts}: {fingerprint(authority.key)}" for authority in keys.authorities]
    for key in listed:
        yield ", ".join(keys.hosts), key, pinned, _from(keys)


def _partitions(site: SiteSpec) -> list[tuple[str, ...]]:
    return [
        (
            name,
            ", ".join(partition.qos),
            partition.max_walltime or "",
            _node(partition),
            partition.note or "",
            _from(partition),
        )
        for name, partition in site.slurm.partitions.items()
    ]


def _node(partition: Partition) -> str:
    cores = f"{partition.cores} cores" if partition.cores else None
    return ", ".join(filter(None, [cores, partition.mem, partition.gpu]))
