"""The page of one site: its whole spec, for a user who wants to log in and to submit jobs."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator

from generator.compiler.account import Account
from generator.compiler.compile import compilation
from generator.compiler.first_steps import first_login
from generator.compiler.host_key_policy import fingerprints
from generator.compiler.result import Compilation, FirstLogin
from generator.schema.base import Fact, Source
from generator.schema.batch import SCHEDULER_NAMES
from generator.schema.hosts import HostKeys
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.ssh.keys import algorithm, fingerprint
from site_pages.blocks import details, facts_table, remarks, source_links, value_text
from site_pages.labels import gpus, host_keys, login, status
from site_pages.markup import bullets, code, link, paragraph, prose, table, text
from site_pages.topology import picture

# The values in the commands of the page, for the reader to replace.
_READER = SiteProfile(user="USER", account="ACCOUNT", allocation="PROJECT")
# The values that the command of the page has as options; the profile is for the others.
_OPTIONS = ("user", "email", "account")
# `owner/repository:path@commit`, as in docs/adding-a-site.md.
_GITHUB_FILE = re.compile(r"([A-Za-z0-9-]+/[A-Za-z0-9._-]+):([^@:]+)@([0-9a-f]{7,40})")


def page(site: SiteSpec) -> str:
    """Return the page."""
    return "\n".join(_lines(site))


def _lines(site: SiteSpec) -> Iterator[str]:
    yield from _head(site)
    # The search would show the words of a picture as a text of the page.
    yield from ['<figure class="way-in" data-search-exclude>', picture(site), "</figure>", ""]
    yield from _logging_in(site)
    yield from _machines(site)
    yield from _host_keys(site)
    yield from _section("## Queues", _queues(site))
    yield from _section("## Files", _files(site))
    yield from _section("## Ray", details(site.ray))
    yield from _section("## Spark", details(site.spark))
    yield from _section("## More", _more(site))
    sources = [_source(name, source) for name, source in site.sources.items()]
    yield from _section("## Sources", bullets(sources))
    yield from paragraph(link("Report a wrong fact", "../adding-a-site.md#a-fact-that-is-wrong"))


def _section(heading: str, body: Iterable[str]) -> Iterator[str]:
    """Yield a heading and its text, or nothing if there is no text."""
    lines = list(body)
    if lines:
        yield from [heading, "", *lines]


def _head(site: SiteSpec) -> Iterator[str]:
    # filter: a spec may lack its operator and country.
    description = ", ".join(filter(None, [site.title, site.operator, site.country, *gpus(site)]))
    yield "---"
    # JSON is YAML too, and quotes every text.
    yield f"title: {json.dumps(text(site.title))}"
    yield f"description: {json.dumps(text(description))}"
    yield from ["---", "", f"# {text(site.title)}", ""]
    if site.status.state != "active":
        yield from _warning(site)
    facts = [code(site.site), text(site.operator or ""), text(site.country or "")]
    if site.docs:
        facts.append(link("documentation of the site", site.docs))
    facts.append(f"host keys {host_keys(site)}")
    yield from paragraph(" · ".join(filter(None, facts)))
    if site.note:
        yield from paragraph(prose(site.note))


def _warning(site: SiteSpec) -> Iterator[str]:
    """Yield an admonition, whose text is indented."""
    yield from [f'!!! warning "This site is {status(site)}"', ""]
    if remark := remarks(site.status):
        for line in paragraph(remark):
            yield f"    {line}"
    yield ""


def _logging_in(site: SiteSpec) -> Iterator[str]:
    # With an empty profile, so that every value of the user is a gap.
    result = compilation(site, SiteProfile())
    commands = _commands(result, first_login(Account(site, _READER)))
    yield from ["## Log in", "", "```sh", *commands, "```", ""]
    keys = []
    for gap in result.gaps:
        if gap.name not in _OPTIONS:
            keys.append(f"{gap.name} ({text(gap.meaning)})")
    if keys:
        profile = link("the profile", "../profile.md")
        yield from paragraph(f"Further values for {profile}: {', '.join(keys)}.")
    yield from paragraph(f"Login by {text(login(site.auth))}.")
    yield from details(site.auth, skipped={"method"})


def _commands(result: Compilation, login_steps: FirstLogin) -> Iterator[str]:
    """Yield the commands to paste, one in each line. In a code block they need no escapes."""
    command = ["gen site", result.site, "--out ."]
    for gap in result.gaps:
        if gap.name in _OPTIONS:
            command.append(f"--{gap.name} {gap.name.upper()}")
    yield " ".join(command)
    if login_steps.make_key:
        yield login_steps.make_key
    yield from login_steps.credential
    config = shlex.quote(f"ssh/{result.site}.conf")
    yield f"ssh -F {config} {shlex.quote(login_steps.alias)}"


def _machines(site: SiteSpec) -> Iterator[str]:
    blocks: list[tuple[str, Fact]] = []
    for alias, host in site.hosts.items():
        blocks.append((f"### {code(alias)}", host))
    for name, group in site.compute.items():
        blocks.append((f"### Compute nodes: {code(name)}", group))
    for alias, job in site.jobs.items():
        blocks.append((f"### Job to log in to: {code(alias)}", job))
    yield from ["## Machines", ""]
    for heading, fact in blocks:
        yield from _section(heading, details(fact, always={"port"}))
    yield from _section("### Use of the login nodes", details(site.login_nodes))


def _host_keys(site: SiteSpec) -> Iterator[str]:
    rows: list[list[str]] = []
    notes: list[str] = []
    entries_with_keys: set[str] = set()
    for keys in site.host_keys.values():
        rows += _key_rows(site, keys)
        if keys.has_keys:
            entries_with_keys.update(keys.hosts)
        if keys.known_hosts:
            address = link(keys.known_hosts.url, keys.known_hosts.url)
            notes.append(f"{text(', '.join(keys.hosts))}: the site publishes {address}")
        if keys.note:
            notes.append(f"{text(', '.join(keys.hosts))}: {prose(keys.note)}")
    yield from ["## Host keys", ""]
    yield from table(("algorithm", "fingerprint", "of", "pinned", "source", "checked"), rows)
    yield from bullets(notes)
    entries = [*site.hosts, *site.compute]
    missing: list[str] = []
    for entry in entries:
        if entry not in entries_with_keys:
            missing.append(code(entry))
    if missing:
        names = ", ".join(missing)
        yield from paragraph(
            f"The spec has no host keys of {names}: ssh asks at the first connection."
        )


def _key_rows(site: SiteSpec, keys: HostKeys) -> Iterator[list[str]]:
    """Yield a row for each key, with the fingerprint that ssh shows."""
    pinned = "yes"
    if site.unverified(keys):
        reasons: dict[str, None] = {}
        for name in keys.source:
            # Two sources may be weak for one reason.
            reasons[site.sources[name].weak or ""] = None
        pinned = f"no, unverified: {text(' '.join(reasons))}"
    shown: list[tuple[str, str]] = [*fingerprints(keys)]
    for authority in keys.authorities:
        label = f"CA of {authority.hosts}, {algorithm(authority.key)}"
        shown.append((label, fingerprint(authority.key)))
    for label, value in shown:
        yield [
            text(label),
            code(value),
            ", ".join(map(code, keys.hosts)),
            pinned,
            source_links(keys.source),
            text(str(keys.checked or "")),
        ]


def _queues(site: SiteSpec) -> Iterator[str]:
    slurm, batch = site.slurm, site.batch
    if site.scheduler != "slurm":
        name = SCHEDULER_NAMES[site.scheduler]
        yield from paragraph(
            f"Scheduler: {name}. gen leaves out `SLURM_*` variables and the Dagster project,"
            " which need Slurm."
        )
    # A spec has one of the two, and the other yields nothing.
    yield from details(batch, skipped={"queues", "accounts"})
    yield from _section("### Queues", facts_table(batch.queues))
    yield from _section("### Accounts", details(batch.accounts))
    yield from details(slurm, skipped={"devel", "partitions", "qos_limits", "accounts"})
    yield from details(slurm.devel, "For development")
    yield from _section("### Partitions", facts_table(slurm.partitions))
    yield from _section("### QoS", facts_table(slurm.qos_limits))
    yield from _section("### Accounts", details(slurm.accounts))


def _files(site: SiteSpec) -> Iterator[str]:
    yield from facts_table(site.filesystems)
    yield from details(site.deployment, "Directories of projects")


def _more(site: SiteSpec) -> Iterator[str]:
    items = []
    # Most sites allow it, and then no reader needs to know.
    if site.multiplexing != "allowed":
        items.append(f"One connection for several sessions: {site.multiplexing}")
    if site.compute_internet is not None:
        items.append(f"Compute nodes reach the internet: {value_text('', site.compute_internet)}")
    yield from bullets(items)
    yield from details(site.http_api, "Interface for programs")


def _source(name: str, source: Source) -> str:
    parts = []
    if source.ref:
        parts.append(_ref(source.ref))
    if source.url:
        parts.append(link(text(source.url), source.url))
    if source.checked:
        parts.append(f"read {source.checked}")
    if source.weak:
        parts.append(f"weak: {prose(source.weak)}")
    return f'<span id="source-{name}">**{text(name)}**</span>: {", ".join(parts)}'


def _ref(ref: str) -> str:
    """Return a link to a file at a commit, if the reference has that form."""
    match = _GITHUB_FILE.fullmatch(ref)
    if not match:
        return prose(ref)
    repository, path, commit = match.groups()
    url = f"https://github.com/{repository}/blob/{commit}/{path}"
    return f"{link(text(f'{repository}:{path}'), url)} at {commit[:7]}"
