"""What a reviewer would ask about a spec that is sound, and what nobody has to."""

from datetime import date
from typing import Any

import pytest

from generator.questions import questions
from generator.spec.site import SiteSpec

TODAY = date(2026, 6, 15)
PIN = "SHA256:" + "A" * 43
SOURCES: dict[str, Any] = {
    "docs": {"url": "https://hpc.example.org", "checked": date(2026, 6, 1)},
    "old": {"ref": "a page", "checked": date(2025, 6, 14)},
    "mail": {"ref": "a letter", "checked": date(2026, 6, 1), "weak": "not signed"},
}


def site(name: str = "hpc", **more: Any) -> SiteSpec:
    """Return a site about which there is nothing to ask, or with what a test puts in its place."""
    usual: dict[str, Any] = {
        "site": name,
        "title": name,
        "sources": SOURCES,
        "hosts": {name: {"host": f"{name}.example.org", "source": "docs"}},
        "host_keys": {"login": {"hosts": name, "fingerprints": {"ed25519": PIN}, "source": "docs"}},
        "auth": {"method": "publickey"},
    }
    return SiteSpec.model_validate(usual | more)


def asked(spec: SiteSpec, *others: SiteSpec) -> list[str]:
    found = questions(spec, {other.site: other for other in others}, TODAY)
    return [f"{'.'.join(map(str, fault.loc))}: {fault.message}" for fault in found]


def host(**more: Any) -> dict[str, Any]:
    return {"hpc": {"host": "hpc.example.org", "source": "docs"} | more}


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
        pytest.param({"hosts": host(source="old", checked=date(2026, 1, 1))}, [], id="an old source, compared since"),
        pytest.param(
            {"hosts": host(source="old"), "deployment": {"base_path": "/x", "source": "old"}},
            ["hosts.hpc: does this still hold? It was last checked on 2025-06-14, as 1 more facts were"],
            id="several old facts are one question",
        ),
        pytest.param(
            {"host_keys": {}},
            ["hosts.hpc: does the site publish host keys? None is pinned, so ssh asks"],
            id="a host without pins",
        ),
        pytest.param(
            {"host_keys": {"login": {"hosts": "hpc", "fingerprints": {"rsa": PIN}, "source": "mail"}}},
            ["host_keys.login: is there a better source? These keys are not pinned unasked: not signed"],
            id="pins from a weak source",
        ),
        pytest.param(
            {"slurm": {"source": "docs", "accounts": {"required": True}}},
            [],
            id="the source of what is around it counts",
        ),
    ],
)
def test_what_is_asked_about_one_site(parts: dict[str, Any], expected: list[str]) -> None:
    assert asked(site(**parts)) == expected


NODES = {"match": "cn-???", "through": "hpc", "source": "docs"}


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param(site(), site("other"), [], id="two sites that have nothing in common"),
        pytest.param(site(), site(), [], id="a site is not compared with itself"),
        pytest.param(
            site(),
            site("other", hosts={"HPC": {"host": "x.example.org"}}, host_keys={}),
            ["hosts.hpc: the alias hpc is also one of other"],
            id="an alias",
        ),
        pytest.param(
            site(),
            site("other", compute={"n": {"match": "hp?", "through": "other"}}),
            ["hosts.hpc: hpc is caught by the patterns of other, compute.n"],
            id="their patterns catch our alias",
        ),
        pytest.param(
            site(compute={"n": NODES | {"match": "oth*"}}),
            site("other"),
            ["compute.n: the patterns catch other, other.example.org of other"],
            id="our patterns catch their alias and host",
        ),
        pytest.param(
            site(compute={"n": NODES}),
            site("other", compute={"n": {"match": "cn*", "through": "other"}}),
            ["compute.n: nodes of other are called so too; set common: true"],
            id="patterns that match one name",
        ),
        pytest.param(
            site(compute={"n": NODES}),
            site("other", compute={"n": {"match": "gn*", "through": "other"}}),
            [],
            id="patterns that match no name together",
        ),
        pytest.param(
            site(compute={"n": NODES | {"common": True}}),
            site("other", compute={"n": {"match": "cn*", "through": "other"}}),
            [],
            id="names that are known to be common",
        ),
    ],
)
def test_what_is_asked_about_a_site_beside_another(mine: SiteSpec, theirs: SiteSpec, expected: list[str]) -> None:
    assert asked(mine, theirs) == expected
