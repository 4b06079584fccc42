"""What must hold between the fields of a spec, where no bad spec of tests/bad_specs shows it; and what may be."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from generator.spec.rules import faults, matcher
from generator.spec.site import SiteSpec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
HOST = {"host": "login.example.org"}


def found(**parts: Any) -> list[str]:
    """Return the faults of a site that is sound but for the given parts, as `KEYS: what is wrong`."""
    usual = {"site": "x", "title": "X", "sources": {"docs": {"ref": "x"}}, "hosts": {"x": HOST}}
    spec = SiteSpec.model_validate_json(json.dumps(usual | {"auth": {"method": "agent"}} | parts))
    return [f"{'.'.join(map(str, fault.loc))}: {fault.message}" for fault in faults(spec)]


def nodes(last: int) -> dict[str, Any]:
    return {"nodes": {"alias": "n{n}", "host": "n{n}.example.org", "n": f"1-{last}"}}


def many(count: int) -> dict[str, Any]:
    return {f"h{number}": {"host": f"h{number}.example.org"} for number in range(count)}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param(many(300), [], id="300 hosts"),
        pytest.param(many(301), ["hosts: gives 301 names to log in to; a site has at most 300"], id="301 hosts"),
        pytest.param(many(199) | {"a": HOST | nodes(100)}, [], id="200 hosts and 100 nodes"),
        pytest.param(
            many(200) | {"a": HOST | nodes(100)},
            ["hosts: gives 301 names to log in to; a site has at most 300"],
            id="201 hosts and 100 nodes",
        ),
    ],
)
def test_a_site_has_no_more_names_than_can_be_compared(hosts: dict[str, Any], expected: list[str]) -> None:
    assert found(hosts=hosts) == expected


def test_no_more_faults_are_told_than_a_person_can_mend() -> None:
    assert len(found(hosts={name: host | {"via": "nowhere"} for name, host in many(60).items()})) == 50


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"slurm": {"source": "docs"}}, [], id="a source that there is"),
        pytest.param(
            {"slurm": {"partitions": {"cpu": {"source": ["docs", "dosc"]}}}},
            ["slurm.partitions.cpu.source: no source is called dosc; did you mean docs?"],
            id="one that there is not, deep in the spec",
        ),
        pytest.param(
            {"filesystems": {"source": {"path": "/x", "source": "wiki"}}},
            ["filesystems.source.source: no source is called wiki"],
            id="in a block that is called source itself",
        ),
    ],
)
def test_every_source_that_a_fact_names_is_there(parts: dict[str, Any], expected: list[str]) -> None:
    assert found(**parts) == expected


CPU = {"qos": ["short", "long"], "max_walltime": "1-00:00:00"}
LIMITS = {"short": {"max_walltime": "01:00:00"}, "long": {}}


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        pytest.param({"partition": "cpu", "walltime": "01:00:00"}, [], id="as long as the QoS allows"),
        pytest.param(
            {"partition": "cpu", "walltime": "01:00:01"},
            ["slurm.walltime: 01:00:01 is longer than the QoS short allows (01:00:00)"],
            id="longer than the first QoS of the partition",
        ),
        pytest.param({"partition": "cpu", "qos": "long", "walltime": "1-0"}, [], id="another QoS without a limit"),
        pytest.param(
            {"partition": "cpu", "devel": {"walltime": "02:00:00"}},
            ["slurm.devel.walltime: 02:00:00 is longer than the QoS short allows (01:00:00)"],
            id="a trial in the usual partition",
        ),
        pytest.param(
            {"partition": "gpu,cpu", "qos": "long", "walltime": "2-0"},
            [
                "slurm.qos: the partition gpu does not pair with the QoS long, only with none",
                "slurm.walltime: 2-0 is longer than the partition cpu allows (1-00:00:00)",
            ],
            id="each of several partitions counts",
        ),
        pytest.param({"partition": "cpu", "qos": "short"}, [], id="a QoS that pairs with the partition"),
        pytest.param({"qos": "short"}, [], id="a QoS without a partition"),
        pytest.param({"partitions": {}, "qos_limits": {}, "qos": "any"}, [], id="nothing is known of pairs"),
        pytest.param(
            {"partitions": {}, "partition": "cpu", "qos_limits": {}},
            ["slurm.partition: the site has no partition cpu"],
            id="a partition that is not described",
        ),
        pytest.param({"mem": "1G", "devel": {"mem_per_cpu": "1G"}}, [], id="a trial asks for memory in another way"),
        pytest.param(
            {"devel": {"mem": "1G", "mem_per_cpu": "1G"}},
            ["slurm.devel.mem_per_cpu: mem and mem_per_cpu exclude each other: Slurm takes one of them"],
            id="a trial asks for memory in both ways",
        ),
        pytest.param({"walltime": "2", "signal": "TERM@119"}, [], id="a signal just after the start"),
        pytest.param(
            {"walltime": "2", "signal": "B:TERM@120"},
            ["slurm.signal: B:TERM@120 comes before a job of 2 has started"],
            id="a signal at the start",
        ),
    ],
)
def test_what_a_job_asks_for_can_be_had(slurm: dict[str, Any], expected: list[str]) -> None:
    usual = {"partitions": {"cpu": CPU, "gpu": {}}, "qos_limits": LIMITS}
    assert found(slurm=usual | slurm) == expected


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        pytest.param("x", [], id="a host"),
        pytest.param("n2", [], id="a node"),
        pytest.param("a", ["jobs.job.through: the jump goes to a, which is no host of this site"], id="none"),
    ],
)
def test_a_job_starts_on_a_host_of_the_site(through: str, expected: list[str]) -> None:
    entry = {"through": through, "proxy": "start", "command": "enter"}
    assert found(hosts={"x": HOST | nodes(2)}, jobs={"job": entry}) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("*.example.org", [], id="all hosts"),
        pytest.param("login.example.org", ["no authority here signs for n1.example.org"], id="not the nodes"),
        pytest.param("n?.example.org", ["no authority here signs for login.example.org"], id="the nodes alone"),
    ],
)
def test_an_authority_signs_for_every_host_and_node_of_its_entry(pattern: str, expected: list[str]) -> None:
    keys = {"source": "docs", "hosts": "x", "authorities": {"hosts": pattern, "key": KEY}}
    faulty = found(hosts={"x": HOST | nodes(1)}, host_keys={"ca": keys})
    assert faulty == [f"host_keys.ca.authorities: {message}" for message in expected]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        pytest.param(["cn*"], {"cn1": True, "CN1": True, "xcn1": False}, id="a wildcard"),
        pytest.param(["cn?"], {"cn1": True, "cn": False, "cn12": False}, id="one letter"),
        pytest.param(["*", "!login*"], {"cn1": True, "login1": False, "LOGIN1": False}, id="a negation"),
        pytest.param(["!login*"], {"cn1": False}, id="a negation alone matches nothing"),
        pytest.param(["cn.1"], {"cn.1": True, "cnx1": False}, id="a dot is a dot"),
        pytest.param([], {"cn1": False}, id="no pattern"),
    ],
)
def test_patterns_match_as_in_ssh(patterns: list[str], names: Mapping[str, bool]) -> None:
    matches = matcher(patterns)
    assert {name: matches(name) for name in names} == names
