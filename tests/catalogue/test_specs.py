"""What must hold of every spec that ships with gen, and between them, for a person may include all files at once."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.base import facts
from generator.schema.site import SiteSpec
from generator.ssh.patterns import matches

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "site-spec.schema.json"
EDITORS = "# yaml-language-server: $schema="


@cache
def of(site: str) -> SiteSpec:
    return validate.site(CATALOGUE / f"{site}.yaml")


@pytest.mark.parametrize("site", SITES)
def test_a_spec_is_called_as_its_site(site: str) -> None:
    assert of(site).site == site


@pytest.mark.parametrize("site", SITES)
def test_the_first_line_leads_editors_to_the_schema(site: str) -> None:
    path = ROOT / "site_specs" / f"{site}.yaml"
    line = path.read_text().splitlines()[0]
    assert line.startswith(EDITORS)
    assert (path.parent / line.removeprefix(EDITORS)).resolve() == SCHEMA


def check_jsonschema(*specs: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(part) for part in (program, "--schemafile", SCHEMA, *specs)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_independent_validator_finds_every_spec_valid() -> None:
    done = check_jsonschema(*sorted(CATALOGUE.glob("*.yaml")))
    assert (done.returncode, done.stdout + done.stderr) == (0, "ok -- validation done\n")


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        pytest.param(
            "port: 2222", "prot: 2222", "'prot' was unexpected", id="a key that is misspelt"
        ),
        pytest.param(
            "port: 2222",
            "port: '2222'",
            "'2222' is not of type 'integer'",
            id="a text for a number",
        ),
        pytest.param(
            "SHA256:gfXZ", "MD5:gfXZ", "does not match", id="a fingerprint of another kind"
        ),
        pytest.param("method: publickey", "method: key", "'key'", id="a method that there is not"),
    ],
)
def test_the_independent_validator_refuses(
    tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    text = (CATALOGUE / "mila.yaml").read_text()
    assert right in text
    (path := tmp_path / "mila.yaml").write_text(text.replace(right, wrong))
    done = check_jsonschema(path)
    assert done.returncode == 1
    assert told in done.stdout


def aliases(spec: SiteSpec) -> Iterator[str]:
    """Yield every alias of a site, as ssh compares it."""
    for entry, host in spec.hosts.items():
        yield entry.lower()
        yield from (alias.lower() for alias, _ in (host.nodes.each() if host.nodes else ()))
    yield from (alias.lower() for alias in spec.jobs)


def login_names(spec: SiteSpec) -> Iterator[str]:
    """Yield every name that a login host of a site has."""
    for host in spec.hosts.values():
        yield host.host.lower()
        yield from (name.lower() for _, name in (host.nodes.each() if host.nodes else ()))


def samples(spec: SiteSpec) -> Iterator[tuple[str, str]]:
    """Yield (group, name) of compute nodes that the patterns of a site mean."""
    for group, nodes in spec.compute.items():
        patterns = tuple(nodes.patterns())
        for pattern in nodes.patterns():
            for filling in ("1", "a", "x-1"):
                name = pattern.replace("?", filling[0]).replace("*", filling)
                if matches(patterns, name):
                    yield group, name


def test_each_alias_is_that_of_one_site() -> None:
    count = Counter(alias for site in SITES for alias in aliases(of(site)))
    assert {alias: number for alias, number in count.items() if number > 1} == {}


def test_no_alias_is_a_host_name_of_another_site() -> None:
    names = {name: site for site in SITES for name in login_names(of(site))}
    clashes = [
        f"{site}: {alias} is a host of {names[alias]}"
        for site in SITES
        for alias in aliases(of(site))
        if names.get(alias, site) != site
    ]
    assert clashes == []


# Machines that are on the way to several sites; whose files are read first must not matter.
SHARED = {"ela.cscs.ch": {"cscs-clariden", "cscs-daint"}}


def test_few_host_names_are_those_of_several_sites() -> None:
    users: dict[str, set[str]] = {}
    for site in SITES:
        for name in login_names(of(site)):
            users.setdefault(name, set()).add(site)
    assert {name: sites for name, sites in users.items() if len(sites) > 1} == SHARED


@pytest.mark.parametrize("site", [site for site in SITES if of(site).compute])
def test_compute_patterns_catch_no_name_of_another_site(site: str) -> None:
    groups = [tuple(nodes.patterns()) for nodes in of(site).compute.values()]
    theirs = {
        f"{other}: {name}"
        for other in SITES
        if other != site
        for name in (
            *aliases(of(other)),
            *login_names(of(other)),
            *(name for _, name in samples(of(other))),
        )
        if any(matches(patterns, name) for patterns in groups)
    }
    assert theirs == set()


@pytest.mark.parametrize("site", [site for site in SITES if of(site).compute])
def test_a_compute_node_is_of_one_group(site: str) -> None:
    groups = {group: tuple(nodes.patterns()) for group, nodes in of(site).compute.items()}
    assert [
        (group, name)
        for group, name in samples(of(site))
        for other, patterns in groups.items()
        if other != group and matches(patterns, name)
    ] == []


# Words that people type as hosts, which no pattern may take from them.
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


@pytest.mark.parametrize("site", [site for site in SITES if of(site).compute])
def test_compute_patterns_leave_everyday_names_alone(site: str) -> None:
    groups = [tuple(nodes.patterns()) for nodes in of(site).compute.values()]
    assert [name for name in EVERYDAY if any(matches(patterns, name) for patterns in groups)] == []


@pytest.mark.parametrize("site", SITES)
def test_every_fact_says_where_it_was_read(site: str) -> None:
    spec = of(site)
    assert spec.sources
    sourced = {keys for keys, fact in facts(spec) if fact.source}
    bare = [
        ".".join(keys)
        for keys, fact in facts(spec)
        if fact.model_fields_set
        and not any(keys[:length] in sourced for length in range(1, len(keys) + 1))
    ]
    assert bare == []


@pytest.mark.parametrize("site", SITES)
def test_every_source_can_be_found_and_is_dated_or_weak(site: str) -> None:
    for name, source in of(site).sources.items():
        assert source.ref or source.url, f"{name} leads nowhere"
        assert source.checked or source.weak, f"{name} has no date, and is not called weak"
        if source.ref and not source.weak:
            assert re.search(r"@[0-9a-f]{40}$", source.ref), f"{name} has no commit"


# What is somebody's own, and no fact about a site.
PERSONAL = {
    "a home folder": r"(?:/home|/Users)/(?!(?:mila|users|userexternal|usertrain)/)[A-Za-z0-9]",
    "an e-mail address": r"[\w.+-]+@[\w-]+\.[a-z]{2,}\b",
    "a private key": r"PRIVATE KEY|openssh-key-v1|b3BlbnNzaC1rZXktdjE",
    "an address of a private network": r"\b(?:10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+\b",
    "something left to do": r"(?i)\b(?:todo|fixme|xxx|example\.(?:com|org)|your[-_](?:user|name))\b",
}


@pytest.mark.parametrize("site", SITES)
def test_a_spec_holds_nothing_of_a_person(site: str) -> None:
    text = (CATALOGUE / f"{site}.yaml").read_text()
    assert {
        what: found for what, pattern in PERSONAL.items() if (found := re.findall(pattern, text))
    } == {}
