"""Rules for every spec that ships with gen, and between them.

A user may include the files of all sites at once, and ssh then takes the first that matches.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from site_pages.overview import overview

from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema import rules
from generator.schema.base import facts
from generator.schema.site import SiteSpec
from generator.ssh.patterns import matches

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "site-spec.schema.json"
EDITORS = "# yaml-language-server: $schema="


@cache
def of(site: str) -> SiteSpec:
    """Return the spec of a site."""
    return validate.site(CATALOGUE / f"{site}.yaml")


WITH_COMPUTE_NODES = [site for site in SITES if of(site).compute]


@pytest.mark.parametrize("site", SITES)
def test_a_spec_has_the_name_of_its_file(site: str) -> None:
    assert of(site).site == site


@pytest.mark.parametrize("site", SITES)
def test_the_first_line_names_the_schema_for_editors(site: str) -> None:
    path = ROOT / "site_specs" / f"{site}.yaml"
    line = path.read_text().splitlines()[0]
    assert line.startswith(EDITORS)
    assert (path.parent / line.removeprefix(EDITORS)).resolve() == SCHEMA


def check_jsonschema(*specs: Path) -> subprocess.CompletedProcess[str]:
    # Editors and CI validate by the published schema, not by gen; this validator is the one that
    # the docs name for CI.
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(part) for part in (program, "--schemafile", SCHEMA, *specs)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_independent_validator_accepts_every_spec() -> None:
    result = check_jsonschema(*sorted(CATALOGUE.glob("*.yaml")))
    assert (result.returncode, result.stdout + result.stderr) == (0, "ok -- validation done\n")


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        pytest.param("port: 2222", "prot: 2222", "'prot' was unexpected", id="a misspelt key"),
        pytest.param(
            "port: 2222",
            "port: '2222'",
            "'2222' is not of type 'integer'",
            id="a text for a number",
        ),
        pytest.param(
            "SHA256:gfXZ", "MD5:gfXZ", "does not match", id="a fingerprint of another kind"
        ),
        pytest.param("method: publickey", "method: key", "'key'", id="an unknown method"),
    ],
)
def test_the_independent_validator_refuses(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    text = (CATALOGUE / "mila.yaml").read_text()
    assert right in text
    path = tmp_path / "mila.yaml"
    path.write_text(text.replace(right, wrong))
    result = check_jsonschema(path)
    assert result.returncode == 1
    assert message in result.stdout


def aliases(spec: SiteSpec) -> list[str]:
    """Return every alias of a site, as ssh compares it."""
    return [alias.lower() for _, alias in rules.aliases(spec)]


def host_names(spec: SiteSpec) -> list[str]:
    """Return the name of every login host and node of a site."""
    return [machine.host_name.lower() for machine in spec.machines()]


def samples(spec: SiteSpec) -> Iterator[tuple[str, str]]:
    """Yield names of compute nodes that the patterns of a site match, with the group in front."""
    for group, nodes in spec.compute.items():
        for pattern in nodes.patterns():
            # A digit, a letter, and a dash: node names that the patterns are meant for, and some
            # that they catch by accident.
            for filling in ("1", "a", "x-1"):
                name = pattern.replace("?", filling[0]).replace("*", filling)
                if matches(nodes.patterns(), name):
                    yield group, name


def matching_groups(spec: SiteSpec, name: str) -> list[str]:
    """Return the groups of compute nodes whose patterns match a name."""
    matching = []
    for group, nodes in spec.compute.items():
        if matches(nodes.patterns(), name):
            matching.append(group)
    return matching


def test_no_two_sites_have_the_same_alias() -> None:
    owners: dict[str, list[str]] = {}
    for site in SITES:
        for alias in aliases(of(site)):
            owners.setdefault(alias, []).append(site)
    for alias, sites in owners.items():
        assert len(sites) == 1, alias


def test_no_alias_is_a_host_name_of_another_site() -> None:
    owners: dict[str, str] = {}
    for site in SITES:
        owners.update(dict.fromkeys(host_names(of(site)), site))
    clashes: list[str] = []
    for site in SITES:
        for alias in aliases(of(site)):
            if owners.get(alias, site) != site:
                clashes.append(f"{site}: {alias} is a host of {owners[alias]}")
    assert clashes == []


# A machine on the route to several sites; it must not matter which of their files ssh reads first.
SHARED = {
    "ela.cscs.ch": {"cscs-clariden", "cscs-daint", "cscs-eiger", "cscs-santis"},
    "sjump7ap01.smu.edu": {"smu-m3", "smu-superpod"},
}


def test_few_host_names_are_in_several_sites() -> None:
    owners: dict[str, set[str]] = {}
    for site in SITES:
        for name in host_names(of(site)):
            owners.setdefault(name, set()).add(site)
    assert {name: sites for name, sites in owners.items() if len(sites) > 1} == SHARED


@pytest.mark.parametrize("site", WITH_COMPUTE_NODES)
def test_compute_patterns_match_no_name_of_another_site(site: str) -> None:
    clashes: list[str] = []
    for neighbour in SITES:
        if neighbour == site:
            continue
        nodes = [name for _, name in samples(of(neighbour))]
        for name in [*aliases(of(neighbour)), *host_names(of(neighbour)), *nodes]:
            if matching_groups(of(site), name):
                clashes.append(f"{neighbour}: {name}")
    assert clashes == []


@pytest.mark.parametrize("site", WITH_COMPUTE_NODES)
def test_a_compute_node_is_in_one_group(site: str) -> None:
    for group, name in samples(of(site)):
        # ssh would take the first group, so the second would be dead text.
        assert matching_groups(of(site), name) == [group]


# Names that users type as hosts of their own; a pattern that matched one would take it from them.
EVERYDAY = (
    "localhost",
    "github.com",
    "gitlab.com",
    "nas",
    "server",
    "login",
    "gateway",
    "cluster",
    "node001",
    "cn01",
)


@pytest.mark.parametrize("site", WITH_COMPUTE_NODES)
def test_compute_patterns_match_no_everyday_name(site: str) -> None:
    for name in EVERYDAY:
        assert matching_groups(of(site), name) == []


@pytest.mark.parametrize("site", SITES)
def test_every_fact_has_a_source_or_is_in_a_block_that_has_one(site: str) -> None:
    spec = of(site)
    assert spec.sources
    with_source = set()
    for keys, fact in facts(spec):
        if fact.source:
            with_source.add(keys)
    for keys, fact in facts(spec):
        if fact.model_fields_set:
            blocks = {keys[:length] for length in range(1, len(keys) + 1)}
            assert blocks & with_source, f"{'.'.join(keys)} has no source"


@pytest.mark.parametrize("site", SITES)
def test_every_source_can_be_found_and_has_a_date_or_is_weak(site: str) -> None:
    for name, source in of(site).sources.items():
        assert source.ref or source.url, f"{name} has neither ref nor url"
        assert source.checked or source.weak, f"{name} has no date, and is not called weak"
        if source.ref and not source.weak:
            # A branch moves; only a commit shows the words that the author read.
            assert re.search(r"@[0-9a-f]{40}$", source.ref), f"{name} has no commit"


# Values of a user, and remains of a draft: neither is a fact about a site.
FORBIDDEN = {
    "a home directory": (
        r"(?:/home|/Users)/(?!(?:mila|users|userexternal|usertrain)/|x-<)[A-Za-z0-9]"
    ),
    "an e-mail address": r"[\w.+-]+@[\w-]+\.[a-z]{2,}\b",
    "a private key": r"PRIVATE KEY|openssh-key-v1|b3BlbnNzaC1rZXktdjE",
    "an address of a private network": (
        r"\b(?:10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b"
    ),
    "a remark to do something": (
        r"(?i)\b(?:todo|fixme|xxx|example\.(?:com|org)|your[-_](?:user|name))\b"
    ),
}


@pytest.mark.parametrize("site", SITES)
def test_a_spec_has_no_value_of_a_user(site: str) -> None:
    text = (CATALOGUE / f"{site}.yaml").read_text()
    for description, pattern in FORBIDDEN.items():
        assert re.findall(pattern, text) == [], f"{site} has {description}"


# Sites that were looked up: for each, the overview of the sites says why there is no spec of it.
WITHOUT_A_SPEC = ("isambard-3",)


def test_a_site_that_was_looked_up_has_a_spec_or_a_reason() -> None:
    section = overview([]).partition("## Sites without a spec")[2]
    _, _, *rows = re.findall(r"^\| ([a-z0-9-]+) \| .+ \|$", section, re.MULTILINE)
    assert tuple(rows) == WITHOUT_A_SPEC
    assert set(WITHOUT_A_SPEC).isdisjoint(SITES)
