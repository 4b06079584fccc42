"""The page of one site: all that its spec says, for a person who wants to log in and to send jobs."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date

from generator.compiler.account import Account
from generator.compiler.compile import compilation
from generator.compiler.first_steps import first_login
from generator.compiler.host_key_policy import fingerprints
from generator.compiler.result import Compilation, FirstLogin
from generator.schema.auth import (
    AgentAuth,
    CommandCertificateAuth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
    StepAuth,
)
from generator.schema.base import Fact, Model, Source
from generator.schema.descriptions import descriptions
from generator.schema.hosts import HostKeys
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.ssh.keys import algorithm, fingerprint
from site_pages.markup import bullets, code, link, paragraph, prose, table, text
from site_pages.topology import picture
from site_pages.words import ROLES, gpus, host_keys, login, status

_HEADINGS = {
    "qos": "QoS",
    "gpu": "GPU",
    "gpus_per_node": "GPUs per node",
    "cores_per_gpu": "cores per GPU",
    "gres": "GRES type",
    "mem": "memory",
    "n": "numbers",
    "named": "to be named",
    "interval": "seconds between probes",
    "count": "unanswered probes",
}
# Where a word of the page says more quickly what a field means than its description does.
_LABELS = {
    "host": "host name",
    "role": "purpose",
    "port": "port",
    "via": "jump through",
    "through": "jump through",
    "nodes": "nodes behind it",
    "auth": "login",
    "keepalive": "keepalive",
    "architecture": "processor",
    "network": "reached",
    "match": "names",
    "also": "further names",
}
# Texts in the site's own words; all others are names and commands.
_WORDS = {
    "note",
    "network",
    "submit",
    "form",
    "reservations",
    "quota",
    "gpu",
    "gpus",
    "kind",
    "method",
    "then",
    "asks",
}
_COMMANDS = {"command", "fill"}
# Who stands in commands for the reader.
_ANYBODY = SiteProfile(user="USER", account="ACCOUNT", project="PROJECT")
_OPTIONS = ("user", "email", "account")
_GITHUB = re.compile(r"([A-Za-z0-9-]+/[A-Za-z0-9._-]+):([^@:]+)@([0-9a-f]{7,40})")


def page(site: SiteSpec) -> str:
    """Return the page."""
    return "\n".join(_lines(site))


def _lines(site: SiteSpec) -> Iterator[str]:
    yield from _head(site)
    yield from ['<figure class="way-in" data-search-exclude>', picture(site), "</figure>", ""]
    yield from _logging_in(site)
    yield from _machines(site)
    yield from _host_keys(site)
    yield from _queues(site)
    yield from _section(
        "Files", [*_facts(site.filesystems), *_details(site.deployment, "Where projects put files")]
    )
    yield from _section("Ray", _details(site.ray))
    yield from _section("Spark", _details(site.spark))
    yield from _section("More", _more(site))
    yield from _section(
        "Sources", bullets(_source(name, source) for name, source in site.sources.items())
    )


def _head(site: SiteSpec) -> Iterator[str]:
    summary = ", ".join(filter(None, [site.title, site.operator, site.country, *gpus(site)]))
    yield from [
        "---",
        f"title: {json.dumps(text(site.title))}",
        f"description: {json.dumps(text(summary))}",
        "---",
        "",
    ]
    yield from [f"# {text(site.title)}", ""]
    if site.status.state != "active":
        told = _remarks(site.status)
        body = [f"    {line}" for line in paragraph(_sentence(*told))] if told else []
        yield from [f'!!! warning "This site is {status(site)}"', "", *body, ""]
    about = [
        text(site.operator or ""),
        text(site.country or ""),
        link("documentation of the site", site.docs) if site.docs else "",
    ]
    yield from paragraph(
        " · ".join(filter(None, [code(site.site), *about, f"host keys {host_keys(site)}"]))
    )
    if site.note:
        yield from paragraph(prose(site.note))


def _logging_in(site: SiteSpec) -> Iterator[str]:
    made = compilation(site, SiteProfile())
    yield from [
        "## Log in",
        "",
        "```sh",
        *_commands(made, first_login(Account(site, _ANYBODY))),
        "```",
        "",
    ]
    others = [f"{gap.name} ({text(gap.meaning)})" for gap in made.gaps if gap.name not in _OPTIONS]
    if others:
        place = "Further values of yours, for [the profile](../index.md#who-you-are): "
        yield from paragraph(place + ", ".join(others) + ".")
    yield from paragraph(f"Login by {text(login(site.auth))}.")
    yield from _details(site.auth, skipped={"method"})


def _commands(made: Compilation, first: FirstLogin) -> Iterator[str]:
    """Yield what a person pastes, a line each; a line of a code block has no meaning in Markdown."""
    options = [f"--{gap.name} {gap.name.upper()}" for gap in made.gaps if gap.name in _OPTIONS]
    yield " ".join(["gen site", made.site, "--out .", *options])
    if first.make_key:
        yield first.make_key
    yield from first.credential
    yield f"ssh -F {shlex.quote(f'ssh/{made.site}.conf')} {shlex.quote(first.alias)}"


def _machines(site: SiteSpec) -> Iterator[str]:
    always = {"port"}
    blocks: list[tuple[str, Fact]] = [
        (f"### {code(alias)}", host) for alias, host in site.hosts.items()
    ]
    blocks += [(f"### Compute nodes: {code(name)}", group) for name, group in site.compute.items()]
    blocks += [(f"### Job to log in to: {code(alias)}", job) for alias, job in site.jobs.items()]
    yield from ["## Machines", ""]
    for heading, fact in blocks:
        yield from _titled(heading, _details(fact, always=always))


def _host_keys(site: SiteSpec) -> Iterator[str]:
    yield from ["## Host keys", ""]
    headings = ("algorithm", "fingerprint", "of", "pinned", "source", "checked")
    yield from table(
        headings, [row for keys in site.host_keys.values() for row in _keys(site, keys)]
    )
    yield from bullets(
        f"{text(', '.join(keys.hosts))}: {prose(keys.note)}"
        for keys in site.host_keys.values()
        if keys.note
    )
    covered = {entry for keys in site.host_keys.values() for entry in keys.hosts}
    missing = [code(entry) for entry in (*site.hosts, *site.compute) if entry not in covered]
    if missing:
        yield from paragraph(
            f"No host keys are known of {', '.join(missing)}: ssh asks at the first connection."
        )


def _keys(site: SiteSpec, keys: HostKeys) -> Iterator[Sequence[str]]:
    """Yield a row for each key, the fingerprint in front as it is what a person compares."""
    weak = " ".join(dict.fromkeys(site.sources[name].weak or "" for name in keys.source))
    pinned = f"no, unverified: {text(weak)}" if site.unverified(keys) else "yes"
    known: list[tuple[str, str]] = [*fingerprints(keys)]
    known += [
        (f"CA of {one.hosts}, {algorithm(one.key)}", fingerprint(one.key))
        for one in keys.authorities
    ]
    for kind, print_ in known:
        of = ", ".join(map(code, keys.hosts))
        yield (
            text(kind),
            code(print_),
            of,
            pinned,
            _from(keys.source),
            text(str(keys.checked or "")),
        )


def _queues(site: SiteSpec) -> Iterator[str]:
    slurm = site.slurm
    nested = {"devel", "partitions", "qos_limits", "accounts"}
    body = [
        *_details(slurm, skipped=nested),
        *_details(slurm.devel, "To try something out"),
        *_titled("### Partitions", _facts(slurm.partitions)),
        *_titled("### QoS", _facts(slurm.qos_limits)),
        *_titled("### Accounts", _details(slurm.accounts)),
    ]
    yield from _section("Queues", body)


def _more(site: SiteSpec) -> Iterator[str]:
    items = (
        [f"One connection for several sessions: {site.multiplexing}"]
        if site.multiplexing != "allowed"
        else []
    )
    if site.compute_internet is not None:
        items.append(f"Compute nodes reach the internet: {_value('', site.compute_internet)}")
    yield from bullets(items)
    yield from _details(site.http_api, "Interface for programs")


def _section(title: str, body: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield from _titled(f"## {title}", body)


def _titled(heading: str, body: Iterator[str] | Sequence[str]) -> Iterator[str]:
    lines = list(body)
    yield from [heading, "", *lines] if lines else []


def _changed(model: Model, always: Set[str] = frozenset()) -> Iterator[tuple[str, object, str]]:
    """Yield name, value and meaning of each field that says something; remarks on the meaning are left out."""
    texts = descriptions(type(model))
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if name in always or info.is_required() or value != info.get_default():
            yield name, value, re.split(r"; | \(|\.$", texts.get(name, name), maxsplit=1)[0]


def _details(
    model: Model | None,
    title: str = "",
    skipped: Set[str] = frozenset(),
    always: Set[str] = frozenset(),
) -> Iterator[str]:
    """Yield a list of what a block of the spec says, in the words of the reference; its remarks below."""
    if model is None:
        return
    skipped = skipped | set(Fact.model_fields)
    items = [
        f"{_LABELS.get(name) or prose(meaning)}: {_value(name, value)}"
        for name, value, meaning in _changed(model, always)
        if name not in skipped
    ]
    told = _remarks(model) if isinstance(model, Fact) else []
    if title and (items or told):
        yield from paragraph(f"**{title}**")
    yield from bullets(items)
    if told:
        yield from paragraph(_sentence(*told))


def _facts(facts: Mapping[str, Fact]) -> Iterator[str]:
    """Yield a table with a row for each fact and a column for each field that one of them has."""
    changed = {
        name: {key: value for key, value, _ in _changed(fact)} for name, fact in facts.items()
    }
    known = dict.fromkeys(key for fact in facts.values() for key in type(fact).model_fields)
    columns = [*(key for key in known if key not in Fact.model_fields), "note", "source", "checked"]
    rows = [
        [code(name), *(_value(key, values.get(key)) for key in columns)]
        for name, values in changed.items()
    ]
    yield from table(("name", *(_heading(key) for key in columns)), rows)


def _heading(key: str) -> str:
    return _HEADINGS.get(key, key.replace("_", " "))


def _remarks(fact: Fact) -> list[str]:
    told = [prose(fact.note).rstrip(".")] if fact.note else []
    told += [f"Checked {fact.checked}"] if fact.checked else []
    return told + ([f"Source: {_from(fact.source)}"] if fact.source else [])


def _sentence(*parts: str) -> str:
    return ". ".join(parts) + "."


def _from(names: Sequence[str]) -> str:
    return ", ".join(link(text(name), f"#source-{name}") for name in names)


def _value(key: str, value: object) -> str:
    """Return a value of the spec as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | date():
            return text(str(value))
        case tuple() if key == "source":
            return _from(value)
        case tuple() if key in _COMMANDS:
            return code(shlex.join(value))
        case tuple() if any(isinstance(item, Model) for item in value):
            return _roomy("; ".join(_value(key, item) for item in value))
        case tuple():
            return ", ".join(_value(key, item) for item in value)
        case KeyboardAuth():
            return ", ".join([text(login(value)), *_fields(value, skipped={"method", "asks"})])
        case PublicKeyAuth() | KerberosAuth() | AgentAuth() | StepAuth() | CommandCertificateAuth():
            return ", ".join([text(login(value)), *_fields(value, skipped={"method"})])
        case Model():
            return ", ".join(_fields(value))
        case Mapping():
            return "; ".join(
                f"{code(name)} {_value('', item)}".rstrip() for name, item in value.items()
            )
        case _:
            return _string(key, str(value))


def _fields(model: Model, skipped: Set[str] = frozenset()) -> Iterator[str]:
    """Yield what a block within a block says, in few words."""
    for name, value, _ in _changed(model):
        if name not in skipped:
            yield f"{_heading(name)} {_value(name, value)}"


def _string(key: str, value: str) -> str:
    if key == "role":
        return ROLES[value]
    if key == "note":
        return _roomy(prose(value))
    if key in _WORDS or re.match(r"https?://", value):
        return prose(value)
    return text(value) if value.isalpha() else code(value)


def _roomy(markdown: str) -> str:
    """Return what keeps room enough to be read in a table."""
    return f'<span class="note">{markdown}</span>'


def _source(name: str, source: Source) -> str:
    where = [_ref(source.ref)] if source.ref else []
    where += [link(text(source.url), source.url)] if source.url else []
    where += [f"read {source.checked}"] if source.checked else []
    where += [f"weak: {prose(source.weak)}"] if source.weak else []
    return f'<span id="source-{name}">**{text(name)}**</span>: {", ".join(where)}'


def _ref(ref: str) -> str:
    """Return a link to the file at its commit, where the reference has that form."""
    found = _GITHUB.fullmatch(ref)
    if not found:
        return prose(ref)
    repository, path, commit = found.groups()
    place = link(
        text(f"{repository}:{path}"), f"https://github.com/{repository}/blob/{commit}/{path}"
    )
    return f"{place} at {commit[:7]}"
