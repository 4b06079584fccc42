"""`gen show SITE`: one site for a person."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from generator.cli.output import data, width
from generator.compiler.host_key_policy import fingerprint
from generator.loading import catalogue, validate
from generator.schema.auth import preferred_authentications
from generator.schema.base import Fact, Model, facts
from generator.schema.hosts import HostKeys
from generator.schema.placeholders import PLACEHOLDERS
from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition

if TYPE_CHECKING:
    from rich.table import Table

# What has a place of its own on the page, by the entry or by the block that the entries are in. All the rest that a
# spec says is good to know.
_ELSEWHERE: Mapping[str, set[str]] = {
    "site": {"site", "title", "operator", "country", "docs", "sources"},
    "status": {"state", "ends", "note"},
    "hosts": {"host", "port", "via", "nodes", "source"},
    "compute": {"match", "host", "port", "through", "source"},
    "jobs": {"through", "source"},
    "host_keys": {"hosts", "fingerprints", "keys", "authorities", "source"},
    "slurm": {"partition"},
    "slurm.partitions": {"qos", "max_walltime", "cores", "mem", "gpu", "note", "source"},
    "slurm.qos_limits": {"purpose", "max_walltime", "source"},
    "filesystems": {"path", "quota", "source"},
}
_SENTENCES: Mapping[str, str] = {
    "slurm.routed: yes": "jobs name no partition",
    "slurm.qos_required: yes": "jobs must name a QoS",
    "slurm.accounts.required: yes": "jobs must name an account",
    "slurm.accounts.required: no": "jobs need not name an account",
    "site.multiplexing: forbidden": "one connection cannot carry several sessions",
    "site.multiplexing: required": "sessions must share one connection",
    "site.compute_internet: yes": "compute nodes reach the internet",
    "site.compute_internet: no": "compute nodes do not reach the internet",
}


def run(name: str, specs: Path | None, as_json: bool) -> int:
    """Print a site: as it was validated for programs, as tables for people."""
    site = validate.site(catalogue.spec(name, specs))
    if as_json:
        data(
            json.dumps(
                {
                    "format_version": "1.0",
                    "spec": site.model_dump(mode="json", exclude_defaults=True),
                },
                indent=2,
            )
        )
        return 0
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False, width=width())
    for part in _page(site):
        console.print(part, soft_wrap=isinstance(part, str))
    return 0


def _page(site: SiteSpec) -> Iterator["Table | str"]:
    about = [site.status.words(), ", ".join(filter(None, [site.operator, site.country])), site.docs]
    yield f"{site.title} ({site.site})\n" + "\n".join(filter(None, about))
    yield _table("Log in to", ("alias", "host", "port", "through", "source"), _machines(site))
    yield (
        f"Authentication: {site.auth.method} ({preferred_authentications(site.auth)})\n"
        + "\n".join(_auth(site))
    )
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
        levels = [
            (name, qos.purpose or "", qos.max_walltime or "", _from(qos))
            for name, qos in limits.items()
        ]
        yield _table("QoS", ("name", "purpose", "walltime", "source"), levels)
    if site.filesystems:
        places = [
            (name, place.path, place.quota or "", _from(place))
            for name, place in site.filesystems.items()
        ]
        yield _table("Files", ("name", "path", "quota", "source"), places)
    if words := list(_to_know(site)):
        yield _table("Good to know", ("about", "what"), words)
    text = site.model_dump_json()
    yours = [
        name for name in PLACEHOLDERS if f"{{{name}}}" in text and name not in ("site", "initial")
    ]
    if yours:
        yield "Yours to fill in: " + ", ".join(f"{name} ({PLACEHOLDERS[name]})" for name in yours)
    yield "\nSources"
    for name, source in site.sources.items():
        known = ", ".join(filter(None, [str(source.checked or ""), source.weak]))
        yield f"  {name} ({known}): {' '.join(filter(None, [source.ref, source.url]))}"
    yield f"\nNext: gen site {site.site} --out ."


def _to_know(site: SiteSpec) -> Iterator[tuple[str, str]]:
    """Yield what is said of each entry and stands nowhere else on the page: its note, then its settings."""
    every: list[tuple[tuple[str, ...], SiteSpec | Fact]] = [((), site), *facts(site)]
    for keys, block in every:
        about = ".".join(keys) or "site"
        shown = _ELSEWHERE.get(about, _ELSEWHERE.get(".".join(keys[:-1]), set()))
        items = [] if about == "auth" else list(_settings(block, shown | {"note"}))
        sentences = [
            _SENTENCES[f"{about}.{item}"] for item in items if f"{about}.{item}" in _SENTENCES
        ]
        rest = [item for item in items if f"{about}.{item}" not in _SENTENCES]
        settings = "\n".join(
            sorted(rest, key=lambda item: item.startswith(("source:", "checked:")))
        )
        note = None if "note" in shown else block.note
        yield from ((about, text) for text in (note, *sentences, settings) if text)


def _settings(model: Model, but: set[str]) -> Iterator[str]:
    """Yield what is set in a model, as `key: value`; the facts in it speak for themselves."""
    below = {name for name, value in model if any(True for _ in facts(value))}
    for key, value in model.model_dump(
        mode="json", exclude_defaults=True, exclude={*but, *below}
    ).items():
        yield from _flat(key, value)


def _flat(key: str, value: object) -> Iterator[str]:
    match value:
        case dict() if not value:
            yield key
        case dict():
            for name, item in value.items():
                yield from _flat(f"{key}.{name}", item)
        case list() if any(isinstance(item, dict) for item in value):
            for item in value:
                yield f"{key}: {', '.join(text for name, part in item.items() for text in _flat(name, part))}"
        case list():
            yield f"{key}: {', '.join(map(str, value))}"
        case bool():
            yield f"{key}: {'yes' if value else 'no'}"
        case _:
            yield f"{key}: {value}"


def _table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold"
    )
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
    rows += [
        (alias, "a Slurm job", "", job.through, _from(job)) for alias, job in site.jobs.items()
    ]
    return rows


def _auth(site: SiteSpec) -> Iterator[str]:
    return (f"  {item}" for item in _settings(site.auth, {"method", "note"}))


def _keys(site: SiteSpec) -> list[tuple[str, ...]]:
    return [row for keys in site.host_keys.values() for row in _rows(site, keys)]


def _rows(site: SiteSpec, keys: HostKeys) -> Iterator[tuple[str, ...]]:
    pinned = "with --accept-unverified" if site.unverified(keys) else "yes"
    listed = [f"{kind} {one}" for kind, several in keys.fingerprints.items() for one in several]
    listed += [f"{key.partition(' ')[0]} {fingerprint(key)}" for key in keys.keys]
    listed += [
        f"CA of {authority.hosts}: {fingerprint(authority.key)}" for authority in keys.authorities
    ]
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
