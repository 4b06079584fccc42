"""The questions of a reviewer about a valid spec, and what raises no question."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from generator.cli import validate
from generator.revisions.lint import questions
from generator.schema.site import SiteSpec

TODAY = date(2026, 6, 15)
PIN = "SHA256:" + "A" * 43
# Tomorrow: a date of next year that was typed by mistake would keep a fact fresh for two years.
AHEAD = date(2026, 6, 16)
SOURCES: dict[str, Any] = {
    "docs": {"url": "https://hpc.example.org", "checked": date(2026, 6, 1)},
    # A year and a day before TODAY: the first day that raises the question.
    "old": {"ref": "a page", "checked": date(2025, 6, 14)},
    "mail": {"ref": "a letter", "checked": date(2026, 6, 1), "weak": "not signed"},
    "undated": {"ref": "a page"},
    "hearsay": {"ref": "a page", "weak": "undated"},
}


def site(name: str = "hpc", **parts: Any) -> SiteSpec:
    """Return a site that raises no question, with the given parts in place of its own."""
    usual: dict[str, Any] = {
        "site": name,
        "title": name,
        "sources": SOURCES,
        "hosts": {name: {"host": f"{name}.example.org", "source": "docs"}},
        "host_keys": {"login": {"hosts": name, "fingerprints": {"ed25519": PIN}, "source": "docs"}},
        "auth": {"method": "publickey", "source": "docs"},
    }
    return SiteSpec.model_validate(usual | parts)


def asked(spec: SiteSpec, *neighbours: SiteSpec) -> list[str]:
    faults = questions(spec, {neighbour.site: neighbour for neighbour in neighbours}, TODAY)
    return [f"{'.'.join(map(str, fault.loc))}: {fault.message}" for fault in faults]


def host(**parts: Any) -> dict[str, Any]:
    return {"hpc": {"host": "hpc.example.org", "source": "docs"} | parts}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param(
            {"hosts": host(source=())},
            ["hosts.hpc: where is this from? It has no source"],
            id="a fact without a source",
        ),
        pytest.param(
            {"hosts": host(source="old")},
            ["hosts.hpc: does this still hold? It was last checked on 2025-06-14"],
            id="a fact older than a year",
        ),
        pytest.param({"hosts": host(source=["old", "docs"])}, [], id="an old source and a new one"),
        pytest.param(
            {"hosts": host(source="old", checked=date(2026, 1, 1))},
            [],
            id="an old source, compared since",
        ),
        pytest.param(
            {"hosts": host(source="old"), "deployment": {"base_path": "/x", "source": "old"}},
            [
                "hosts.hpc: does this still hold? It was last checked on 2025-06-14,"
                " like 1 other fact"
            ],
            id="several old facts are one question",
        ),
        pytest.param(
            {"host_keys": {}},
            ["hosts.hpc: does the site publish host keys? The spec has none, so ssh asks the user"],
            id="a host without pins",
        ),
        pytest.param(
            {
                "host_keys": {
                    "login": {"hosts": "hpc", "fingerprints": {"rsa": PIN}, "source": "mail"}
                }
            },
            [
                "host_keys.login: is there a better source?"
                " gen does not pin these keys by default: not signed"
            ],
            id="pins from a weak source",
        ),
        pytest.param(
            {"hosts": host(source="undated"), "slurm": {"source": "undated"}},
            ["sources.undated: when was this read? It has no date (checked)"],
            id="a source without a day is one question",
        ),
        pytest.param(
            {
                "sources": SOURCES | {"ahead": {"ref": "a page", "checked": AHEAD}},
                "hosts": host(source="ahead"),
            },
            ["sources.ahead.checked: is this date right? 2026-06-16 is in the future"],
            id="a source of a day to come",
        ),
        pytest.param(
            {"hosts": host(checked=AHEAD)},
            ["hosts.hpc.checked: is this date right? 2026-06-16 is in the future"],
            id="a fact that was compared on a day to come",
        ),
        pytest.param(
            {"hosts": host(source=["mail", "hearsay"])},
            ["hosts.hpc: is there a better source? All sources are weak: not signed, undated"],
            id="a host from weak sources alone",
        ),
        pytest.param(
            {"hosts": host(source=["mail", "docs"])}, [], id="a host from a weak source and another"
        ),
        pytest.param(
            {"slurm": {"source": "docs", "accounts": {"required": True}}},
            [],
            id="the source of what is around it counts",
        ),
    ],
)
def test_a_reviewer_asks_about_the_facts_of_one_site(
    parts: dict[str, Any], expected: list[str]
) -> None:
    assert asked(site(**parts)) == expected


NODES = {"match": "cn-???", "through": "hpc", "source": "docs"}


@pytest.mark.parametrize(
    ("checked", "neighbour", "expected"),
    [
        pytest.param(site(), site("other"), [], id="two sites that have nothing in common"),
        pytest.param(site(), site(), [], id="a site is not compared with itself"),
        pytest.param(
            site(),
            # ssh compares aliases without regard to case, and the first block wins for both.
            site("other", hosts={"HPC": {"host": "x.example.org"}}, host_keys={}),
            ["hosts.hpc: the alias hpc is also an alias of other"],
            id="an alias",
        ),
        pytest.param(
            site(),
            site("other", compute={"n": {"match": "hp?", "through": "other"}}),
            ["hosts.hpc: compute.n of other has a pattern for hpc"],
            id="their patterns catch our alias",
        ),
        pytest.param(
            site(compute={"n": NODES | {"match": "oth*"}}),
            site("other"),
            ["compute.n: the patterns match other, other.example.org of other"],
            id="our patterns catch their alias and host",
        ),
        pytest.param(
            site(compute={"n": NODES}),
            site("other", compute={"n": {"match": "cn*", "through": "other"}}),
            ["compute.n: nodes of other have the same names; set common: true"],
            id="patterns that match one name",
        ),
        pytest.param(
            site(compute={"n": NODES}),
            site("other", compute={"n": {"match": "gn*", "through": "other"}}),
            [],
            id="patterns that match no name together",
        ),
        pytest.param(
            # Several sites call their nodes cn-001; `common` says that the author knows it.
            site(compute={"n": NODES | {"common": True}}),
            site("other", compute={"n": {"match": "cn*", "through": "other"}}),
            [],
            id="names that are known to be common",
        ),
        pytest.param(
            site(
                hosts={"Other.example.org": {"host": "hpc.example.org", "source": "docs"}},
                host_keys={},
            ),
            site("other"),
            [
                "hosts.Other.example.org: does the site publish host keys?"
                " The spec has none, so ssh asks the user",
                "hosts.Other.example.org: the alias Other.example.org is a host name of other",
            ],
            id="our alias is their host name",
        ),
        pytest.param(
            site(),
            site("other", hosts={"hpc.example.org": {"host": "other.example.org"}}, host_keys={}),
            ["hosts.hpc: the host name hpc.example.org is an alias of other"],
            id="their alias is our host name",
        ),
        pytest.param(
            site(
                jobs={
                    "other": {
                        "through": "hpc",
                        "proxy": "start",
                        "command": "enter",
                        "source": "docs",
                    }
                }
            ),
            site("other"),
            ["jobs.other: the alias other is also an alias of other"],
            id="the alias of our job",
        ),
    ],
)
def test_a_reviewer_asks_about_clashes_with_another_site(
    checked: SiteSpec, neighbour: SiteSpec, expected: list[str]
) -> None:
    assert asked(checked, neighbour) == expected


ONE_KEY = {"method": "publickey", "key": "~/.ssh/id", "source": "docs"}


@pytest.mark.parametrize(
    ("checked", "neighbour", "expected"),
    [
        pytest.param({}, {"note": "a gate", "source": "old"}, None, id="alike"),
        pytest.param({"port": 2200}, {}, "port", id="port"),
        pytest.param({"user": "{user}.{project}"}, {}, "user", id="user"),
        pytest.param({"auth": {"method": "agent", "source": "docs"}}, {}, "auth", id="auth"),
        pytest.param(
            {"auth": ONE_KEY | {"source": "old"}}, {}, None, id="auth from another source"
        ),
        pytest.param(
            # `{site}` differs between the two, so ssh would offer the key of the wrong site.
            {"auth": ONE_KEY | {"key": "~/.ssh/id_{site}"}},
            {},
            "auth",
            id="a key for each site",
        ),
        pytest.param(
            # Both aliases stand for gate.example.org, so ssh takes the same route.
            {"via": "mine-gate"},
            {"via": "their-gate"},
            None,
            id="the same jump by another alias",
        ),
        pytest.param({"via": "mine-gate", "port": 1}, {}, "port and via", id="port and jump"),
    ],
)
def test_a_machine_of_two_sites_is_reached_alike(
    checked: dict[str, Any], neighbour: dict[str, Any], expected: str | None
) -> None:
    def of(name: str, entry: dict[str, Any]) -> SiteSpec:
        gate = {"host": "gate.example.org", "source": "docs"}
        hosts = {
            name: {"host": "shared.example.org", "source": "docs"} | entry,
            f"{name}-gate": gate,
        }
        keys = {"login": {"hosts": list(hosts), "fingerprints": {"ed25519": PIN}, "source": "docs"}}
        return site(name, hosts=hosts, host_keys=keys, auth=ONE_KEY)

    clash = (
        "hosts.mine: shared.example.org is also a host of their,"
        f" with another {expected}; ssh takes the first"
    )
    lines = asked(of("mine", checked), of("their", neighbour))
    # An old source raises a question of its own, which is not the subject here.
    clashes = [line for line in lines if "still hold" not in line]
    assert clashes == ([clash] if expected else [])


def pinned(entry: str, source: str) -> dict[str, Any]:
    return {entry: {"hosts": entry, "fingerprints": {"ed25519": PIN}, "source": source}}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(pinned("hpc", "docs") | pinned("gate", "docs"), "yes", id="all hosts"),
        pytest.param(pinned("hpc", "docs"), "in part", id="one host"),
        pytest.param(
            pinned("hpc", "docs") | pinned("gate", "mail"),
            "in part",
            id="another from a weak source",
        ),
        pytest.param(pinned("nodes", "docs"), "in part", id="compute nodes alone"),
        pytest.param(pinned("hpc", "mail"), "unverified", id="weak sources alone"),
        pytest.param(pinned("nodes", "mail"), "unverified", id="compute nodes from a weak source"),
        pytest.param({}, "no", id="none"),
    ],
)
def test_how_far_a_site_is_pinned(keys: dict[str, Any], expected: str) -> None:
    gate = {"gate": {"host": "gate.example.org", "source": "docs"}}
    assert site(hosts=host() | gate, compute={"nodes": NODES}, host_keys=keys).pinned() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("site: ours\n", [], id="as its file"),
        pytest.param(
            "site: theirs\n",
            ["ours.yaml:2: site: must be ours, the name of the file"],
            id="otherwise",
        ),
        pytest.param(
            "site: theirs\ncountry: at\n",
            [
                "ours.yaml:2: site: must be ours, the name of the file",
                "ours.yaml:3: country: 'at' is not a country code"
                " of two uppercase letters (ISO 3166)",
            ],
            id="beside another fault",
        ),
        pytest.param(
            "site: Ours\n",
            [
                "ours.yaml:2: site: 'Ours' is not a name of lowercase letters,"
                " digits and single dashes"
            ],
            id="no name at all",
        ),
        pytest.param("", ["ours.yaml:1: site: is missing"], id="missing"),
    ],
)
def test_a_spec_is_called_as_its_file(
    text: str,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    body = "title: Ours\nhosts: { ours: { host: login.example.org } }\nauth: { method: agent }\n"
    Path("ours.yaml").write_text(f"# first\n{text}{body}" if text else body)
    status = validate.run([Path("ours.yaml")], strict=False, as_json=False, today=TODAY)
    assert capsys.readouterr().err.splitlines()[:-1] == expected
    assert status == (2 if expected else 0)


def test_a_spec_is_compared_with_those_of_its_folder(
    spec_file: Callable[[Mapping[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    usual = {"title": "A site", "auth": {"method": "agent"}}
    checked = spec_file(
        usual | {"site": "mine-a", "hosts": {"same-alias": {"host": "a.example.org"}}}
    )
    spec_file(usual | {"site": "mine-b", "hosts": {"same-alias": {"host": "b.example.org"}}})
    # A colleague's broken spec must not fail the check of ours; it fails its own check.
    checked.with_name("broken.yaml").write_text("site: broken\n")
    assert validate.run([checked], strict=True, as_json=False, today=TODAY) == 1
    errors = capsys.readouterr().err
    assert "hosts.same-alias: the alias same-alias is also an alias of mine-b\n" in errors
    assert "broken" not in errors
