"""`gen show SITE`: everything that a spec says about a site, on one page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.cli.output import data, width
from generator.cli.table import table
from generator.formatting import wrapped
from generator.loading import catalogue, inputs, sources, validate
from generator.schema.auth import preferred_authentications
from generator.schema.base import Fact, facts
from generator.schema.batch import SCHEDULER_NAMES, WITHOUT_SLURM, Queue
from generator.schema.hosts import HostKeys
from generator.schema.meta import meta
from generator.schema.placeholders import PLACEHOLDERS, PROFILE_KEYS
from generator.schema.site import SiteSpec
from generator.schema.slurm import Partition
from generator.ssh.keys import fingerprint

# The fields that a section of the page prints, by the entry or by the block that holds the entries.
# Every other field is printed below "Notes".
_PRINTED: Mapping[str, set[str]] = {
    "site": {"site", "title", "operator", "country", "docs", "sources", "scheduler"},
    "status": {"state", "ends", "note"},
    "hosts": {"host", "port", "via", "nodes", "source"},
    "compute": {"match", "host", "port", "through", "source"},
    "jobs": {"through", "source"},
    "login_nodes": {"not_for", "remote_editors", "source"},
    "host_keys": {"hosts", "fingerprints", "keys", "authorities", "known_hosts", "source"},
    "revoked_keys": {"reason", "fingerprints", "keys", "source"},
    "batch.queues": {"max_walltime", "cores", "mem", "gpu", "note", "source"},
    "slurm": {"partition"},
    "slurm.partitions": {"qos", "max_walltime", "cores", "mem", "gpu", "note", "source"},
    "slurm.qos_limits": {"purpose", "max_walltime", "source"},
    "filesystems": {"path", "quota", "source"},
}
# Placeholders that gen fills in by itself.
_AUTOMATIC = ("site", "initial")

Row = tuple[str, ...]
Keys = tuple[str, ...]


@dataclass(frozen=True)
class _Spec:
    """A site with the values of its spec.

    To dump the site once is faster than to dump each block.
    """

    site: SiteSpec
    values: Mapping[str, Any]
    facts: Mapping[Keys, Fact]
    """Every block that may have a source, by its keys."""

    def settings(self, keys: Keys, excluded: set[str]) -> list[str]:
        """Return the settings of a block as `key: value`.

        The facts below it have entries of their own.
        """
        values: Any = self.values
        for key in keys:
            values = values.get(key, {})
        settings: list[str] = []
        for name, value in values.items():
            # Otherwise each partition would be printed twice: here and as an entry of its own.
            if name not in excluded and not self._has_facts((*keys, name)):
                settings += _flat(name, value)
        return settings

    def _has_facts(self, keys: Keys) -> bool:
        return any(path[: len(keys)] == keys for path in self.facts)


def run(name: str, specs: Path | None, as_json: bool) -> int:
    """Print a site: its validated spec as JSON, or a page of tables."""
    path = catalogue.spec(name, specs)
    site = validate.site(path)
    spec = _Spec(site, site.model_dump(mode="json", exclude_defaults=True), dict(facts(site)))
    if as_json:
        from generator import codec

        data(codec.report({"spec": spec.values}))
    else:
        site_arguments = inputs.Choice(name, specs).words
        next_step = f"Next: gen site {site_arguments} --out ."
        page = [*_origin(name, path, specs), *_sections(spec), next_step]
        data("\n\n".join(page))
    return 0


def _origin(name: str, path: Path, specs: Path | None) -> list[str]:
    """Return a line about where a spec is from, unless it ships with gen or the user named it."""
    origin = sources.at(path)
    if origin is None:
        # A repository may come from anybody, and may have a spec of the name of a shipped one.
        if specs is None and not path.is_absolute() and path != Path(name):
            return [_prose(f"From the current directory: {path}")]
        return []
    store, sourced = origin
    source = store.record.sources[sourced.source]
    return [_prose(f"From the source {sourced.source}, version {source.version} ({source.origin})")]


def _sections(spec: _Spec) -> Iterator[str]:
    site = spec.site
    # In the order in which a new user needs it: where to log in, how, whom to trust, what to ask
    # for.
    yield _heading(site)
    if site.revoked_keys:
        title = "REVOKED KEYS (ssh refuses them)"
        yield _section(title, ("key", "reason", "source"), _revoked_keys(site))
    yield _section("Hosts", ("alias", "host", "port", "through", "source"), _hosts(site))
    if rules := site.login_node_rules():
        yield _rules(rules, _source(site.login_nodes))
    yield _authentication(spec)
    if site.host_keys:
        yield _section("Host keys", ("of", "key", "pinned", "source"), _host_keys(site))
    if site.scheduler != "slurm":
        yield _prose(f"Scheduler: {SCHEDULER_NAMES[site.scheduler]}; {WITHOUT_SLURM}")
    if site.batch.queues:
        columns = ("queue", "walltime", "node", "note", "source")
        yield _section("Queues", columns, _batch_queues(site))
    if site.slurm.partitions:
        default = site.slurm.partition or "the scheduler's choice"
        headings = ("partition", "QoS", "walltime", "node", "note", "source")
        yield _section(f"Partitions (default: {default})", headings, _partitions(site))
    if site.slurm.qos_limits:
        yield _section("QoS", ("name", "purpose", "walltime", "source"), _qos(site))
    if site.filesystems:
        yield _section("File systems", ("name", "path", "quota", "source"), _filesystems(site))
    if notes := list(_notes(spec)):
        yield _section("Notes", ("about", "note"), notes)
    if values := _user_values(site):
        yield _prose(f"Your values: {values}")
    yield _sources(site)


def _section(title: str, headings: Sequence[str], rows: Sequence[Row]) -> str:
    return f"{title}\n\n{table(headings, rows, width())}"


def _heading(site: SiteSpec) -> str:
    operator = ", ".join(filter(None, [site.operator, site.country]))
    lines = [f"{site.title} ({site.site})", site.status.words(), operator, site.docs]
    return "\n".join(_prose(line) for line in lines if line)


def _prose(line: str, indent: int = 2) -> str:
    """Return a line that is not a table, wrapped to the width of the terminal."""
    return "\n".join(wrapped(line, width(), indent))


def _hosts(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for alias, host in site.hosts.items():
        shared = (str(host.port), host.via or "", _source(host))
        rows.append((alias, host.host, *shared))
        if nodes := host.nodes:
            # Slurm's own notation for hostlists, so that hundreds of nodes take one row.
            numbers = f"[{nodes.n}]"
            names = (nodes.alias.replace("{n}", numbers), nodes.host.replace("{n}", numbers))
            rows.append((*names, *shared))
    for group in site.compute.values():
        patterns = ", ".join(group.match)
        rows.append((patterns, group.host or "", str(group.port), group.through, _source(group)))
    for alias, job in site.jobs.items():
        rows.append((alias, "a Slurm job", "", job.through, _source(job)))
    return rows


def _rules(rules: Sequence[str], source: str) -> str:
    lines = ["Login nodes" + (f" ({source})" if source else "")]
    for rule in rules:
        lines.append(_prose(f"  {rule}"))
    return "\n".join(lines)


def _authentication(spec: _Spec) -> str:
    auth = spec.site.auth
    methods = preferred_authentications(auth) or "ssh tries its own methods"
    lines = [f"Authentication: {auth.method} ({methods})"]
    for setting in spec.settings(("auth",), {"method", "note"}):
        lines.append(_prose(f"  {setting}", 4))
    return "\n".join(lines)


def _host_keys(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for keys in site.host_keys.values():
        pinned = "with --accept-unverified" if site.unverified(keys) else "yes"
        hosts = ", ".join(keys.hosts)
        if keys.known_hosts:
            file = keys.known_hosts
            listed = f"list of {file.checked}: {file.url}\nSHA-256 {file.sha256}"
            if not keys.has_keys:
                pinned = "no"
                listed += "\n(gen fetches it only for a spec that a source publishes)"
            rows.append((hosts, listed, pinned, _source(keys)))
        for key in _keys(keys):
            rows.append((hosts, key, pinned, _source(keys)))
    return rows


def _revoked_keys(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for revoked in site.revoked_keys.values():
        for value in (*revoked.fingerprints, *map(fingerprint, revoked.keys)):
            rows.append((value, revoked.reason, _source(revoked)))
    return rows


def _keys(keys: HostKeys) -> Iterator[str]:
    for algorithm, fingerprints in keys.fingerprints.items():
        for text in fingerprints:
            yield f"{algorithm} {text}"
    for key in keys.keys:
        yield f"{key.partition(' ')[0]} {fingerprint(key)}"
    for authority in keys.authorities:
        yield f"CA of {authority.hosts}: {fingerprint(authority.key)}"


def _partitions(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for name, partition in site.slurm.partitions.items():
        qos = ", ".join(partition.qos)
        limits = (qos, partition.max_walltime or "", _node(partition))
        rows.append((name, *limits, partition.note or "", _source(partition)))
    return rows


def _batch_queues(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for name, queue in site.batch.queues.items():
        limits = (queue.max_walltime or "", _node(queue))
        rows.append((name, *limits, queue.note or "", _source(queue)))
    return rows


def _node(queue: Partition | Queue) -> str:
    cores = f"{queue.cores} cores" if queue.cores else None
    return ", ".join(filter(None, [cores, queue.mem, queue.gpu]))


def _qos(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for name, qos in site.slurm.qos_limits.items():
        rows.append((name, qos.purpose or "", qos.max_walltime or "", _source(qos)))
    return rows


def _filesystems(site: SiteSpec) -> list[Row]:
    rows: list[Row] = []
    for name, filesystem in site.filesystems.items():
        rows.append((name, filesystem.path, filesystem.quota or "", _source(filesystem)))
    return rows


def _notes(spec: _Spec) -> Iterator[Row]:
    """Yield the note and the settings of each entry that no other section prints."""
    blocks: dict[Keys, SiteSpec | Fact] = {(): spec.site, **spec.facts}
    for keys, block in blocks.items():
        subject = ".".join(keys) or "site"
        printed = _PRINTED.get(subject, _PRINTED.get(".".join(keys[:-1]), set()))
        if block.note and "note" not in printed:
            yield subject, block.note
        if subject == "auth":  # it has a section of its own
            continue
        sentences = _sentences(block)
        for sentence in sentences.values():
            yield subject, sentence
        settings = spec.settings(keys, {*printed, "note", *sentences})
        # The source of an entry comes last. The others keep the order of the spec: sort is stable.
        settings.sort(key=lambda setting: setting.startswith(("source:", "checked:")))
        if settings:
            yield subject, "\n".join(settings)


def _sentences(block: SiteSpec | Fact) -> dict[str, str]:
    """Return the fields of a block whose value says something in words, with these words."""
    sentences: dict[str, str] = {}
    for name in type(block).model_fields:
        by_value = meta(type(block), name).sentences
        if not by_value or name not in block.model_fields_set:
            continue
        # Only a field with sentences is sure to have values with a hash.
        value = getattr(block, name)
        if value in by_value:
            sentences[name] = by_value[value]
    return sentences


def _flat(key: str, value: object) -> Iterator[str]:
    """Yield a value of a spec as lines, nested keys with dots."""
    match value:
        case dict() if not value:
            yield key
        case dict():
            for name, item in value.items():
                yield from _flat(f"{key}.{name}", item)
        case list():
            yield from _flat_list(key, value)
        case bool():
            yield f"{key}: {'yes' if value else 'no'}"
        case _:
            yield f"{key}: {value}"


def _flat_list(key: str, items: list[object]) -> Iterator[str]:
    """Yield a list as one line, or a list of mappings as a line for each of them."""
    if not any(isinstance(item, dict) for item in items):
        yield f"{key}: {', '.join(map(str, items))}"
        return
    for item in items:
        assert isinstance(item, dict)  # noqa: S101 - no field of a spec mixes both
        parts: list[str] = []
        for name, value in item.items():
            parts += _flat(name, value)
        yield f"{key}: {', '.join(parts)}"


def _user_values(site: SiteSpec) -> str:
    """Return the values of the user that the spec has placeholders for."""
    spec = site.model_dump_json()
    values: list[str] = []
    for name, meaning in PLACEHOLDERS.items():
        if name not in _AUTOMATIC and f"{{{name}}}" in spec:
            values.append(f"{PROFILE_KEYS.get(name, name)} ({meaning})")
    return ", ".join(values)


def _sources(site: SiteSpec) -> str:
    lines = ["Sources"]
    for name, source in site.sources.items():
        about = ", ".join(filter(None, [str(source.checked or ""), source.weak]))
        # A commit apart from its path, so that both fit into a line.
        ref = re.sub(r"@([0-9a-f]{40})$", r" at \1", source.ref or "")
        address = [part for part in (ref, source.url) if part]
        lines.append(_prose(f"  {name} ({about}): {' '.join(address)}", 4))
    return "\n".join(lines)


def _source(fact: Fact) -> str:
    return ", ".join(fact.source)
