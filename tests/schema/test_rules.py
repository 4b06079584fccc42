"""Rules between the fields of a spec that no bad spec of tests/loading/bad_specs shows."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from generator.schema.rules import faults
from generator.schema.site import SiteSpec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
HOST = {"host": "login.example.org"}


def faults_of(**parts: Any) -> list[str]:
    """Return the faults of a sound site with the given parts, each as `KEYS: MESSAGE`."""
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
        # The rules compare names with each other, and a spec comes from anybody: 300 machines take
        # a fraction of a second.
        pytest.param(many(300), [], id="300 hosts"),
        pytest.param(
            many(301),
            ["hosts: has 301 machines to log in to; a site has at most 300"],
            id="301 hosts",
        ),
        # A node counts as a machine, so a short spec may have many.
        pytest.param(many(199) | {"a": HOST | nodes(100)}, [], id="200 hosts and 100 nodes"),
        pytest.param(
            many(200) | {"a": HOST | nodes(100)},
            ["hosts: has 301 machines to log in to; a site has at most 300"],
            id="201 hosts and 100 nodes",
        ),
    ],
)
def test_a_site_has_no_more_names_than_can_be_compared(
    hosts: dict[str, Any], expected: list[str]
) -> None:
    assert faults_of(hosts=hosts) == expected


def test_at_most_fifty_faults_are_reported() -> None:
    # A user fixes the first ones and runs gen again; a megabyte of them helps no one.
    hosts = {name: host | {"via": "nowhere"} for name, host in many(60).items()}
    assert len(faults_of(hosts=hosts)) == 50


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"slurm": {"source": "docs"}}, [], id="a source that there is"),
        pytest.param(
            {"slurm": {"partitions": {"cpu": {"source": ["docs", "dosc"]}}}},
            ["slurm.partitions.cpu.source: dosc is not an entry of sources; did you mean docs?"],
            id="one that there is not, deep in the spec",
        ),
        pytest.param(
            {"filesystems": {"source": {"path": "/x", "source": "wiki"}}},
            ["filesystems.source.source: wiki is not an entry of sources"],
            id="in a block that is called source itself",
        ),
    ],
)
def test_every_source_that_a_fact_names_is_there(
    parts: dict[str, Any], expected: list[str]
) -> None:
    assert faults_of(**parts) == expected


def host(name: str, **settings: Any) -> dict[str, Any]:
    return {"host": name} | settings


FIRST = "ssh uses the first of the two"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param({"x": host("x")}, [], id="its own host name"),
        pytest.param(
            {"x": host("y.org"), "y": host("y.org", port=2200)},
            [],
            id="one host name of two entries",
        ),
        pytest.param(
            # Host names have no case, and ssh compares the names of a block as they are.
            {"a": host("two.x.org"), "Two.x.org": host("three.x.org", port=2200)},
            [f"hosts.Two.x.org: the alias Two.x.org is also the host name of a: {FIRST}"],
            id="the host name of another entry, in other letters",
        ),
        pytest.param(
            # `ssh x.org` then uses port 22 or 2200, whichever block comes first.
            {"a": host("x.org"), "x.org": host("x.org", port=2200)},
            [f"hosts.x.org: the alias x.org is also the host name of a: {FIRST}"],
            id="its own host name, which is another entry's too",
        ),
        pytest.param(
            {
                "a": host("a.org", nodes={"alias": "b{n}.org", "host": "c{n}.org", "n": "1-2"}),
                "b": host("B2.org"),
            },
            [f"hosts.a: the alias b2.org is also the host name of b: {FIRST}"],
            id="a node's alias",
        ),
        pytest.param(
            {"a": host("b1.org", nodes={"alias": "b{n}.org", "host": "c{n}.org", "n": "1-2"})},
            [f"hosts.a: the alias b1.org is also the host name of a: {FIRST}"],
            id="a node's alias that is its balancer's host name",
        ),
        pytest.param(
            {"a": host("b.org", nodes={"alias": "b{n}", "host": "b{n}", "n": "1-2"})},
            [],
            id="a node's own",
        ),
    ],
)
def test_an_alias_must_not_be_the_host_name_of_another_machine(
    hosts: dict[str, Any], expected: list[str]
) -> None:
    assert faults_of(hosts=hosts) == expected


def test_the_alias_of_a_job_must_not_be_a_host_name() -> None:
    # `ssh login.example.org` would start a job in place of a login.
    job = {"through": "x", "proxy": "start", "command": "enter"}
    message = (
        f"jobs.login.example.org: the alias login.example.org is also the host name of x: {FIRST}"
    )
    assert faults_of(jobs={"login.example.org": job}) == [message]


@pytest.mark.parametrize(
    ("compute", "expected"),
    [
        # Patterns may overlap: ssh takes the first, and the order of the spec decides.
        pytest.param({"a": {"match": "cn*"}, "b": {"match": "cn1*"}}, [], id="other patterns"),
        pytest.param(
            {"a": {"match": ["gn*", "cn*"]}, "b": {"match": "CN*"}},
            [f"compute.b: the pattern CN* is also a pattern of a: {FIRST}"],
            id="one pattern in two groups, in other letters",
        ),
        pytest.param(
            {"a": {"match": "a*", "host": "%h.x.org"}, "b": {"match": "b*", "also": "a*.x.org"}},
            [f"compute.b: the pattern a*.x.org is also a pattern of a: {FIRST}"],
            id="a full name",
        ),
        pytest.param(
            {
                # Only full names are compiled for a `common` group, so the patterns do not meet.
                "a": {"match": "cn*", "host": "%h.a.org", "common": True},
                "b": {"match": "cn*", "host": "%h.b.org"},
            },
            [],
            id="short names that are not compiled",
        ),
        pytest.param(
            {"a": {"match": ["a*", "!ax"]}, "b": {"match": ["b*", "!ax"]}},
            [],
            id="a name that both leave out",
        ),
    ],
)
def test_a_pattern_is_of_one_group_of_compute_nodes(
    compute: dict[str, Any], expected: list[str]
) -> None:
    groups = {name: group | {"through": "x"} for name, group in compute.items()}
    assert faults_of(compute=groups) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param({"ref": "a/b:c@d"}, [], id="a file"),
        pytest.param({"url": "https://example.org/"}, [], id="a page"),
        pytest.param(
            {"checked": "2026-01-01", "weak": "hearsay"},
            ["sources.docs: has neither ref nor url; give one of them"],
            id="neither",
        ),
    ],
)
def test_a_source_leads_somewhere(source: dict[str, Any], expected: list[str]) -> None:
    assert faults_of(sources={"docs": source}) == expected


@pytest.mark.parametrize(
    ("day", "sound"),
    [
        pytest.param("2026-01-31", True, id="a day"),
        # Pydantic would take a whole number for seconds since 1970.
        pytest.param(86400, False, id="a number"),
        pytest.param("86400", False, id="a number in quotes"),
        pytest.param("2026-02-30", False, id="a day that there is not"),
        # A time has a zone, and a day has none.
        pytest.param("2026-01-31T00:00:00", False, id="a time"),
        pytest.param(True, False, id="yes"),
    ],
)
@pytest.mark.parametrize(
    "in_spec",
    [
        pytest.param(
            lambda day: {"sources": {"docs": {"ref": "x", "checked": day}}}, id="of a source"
        ),
        pytest.param(lambda day: {"slurm": {"checked": day}}, id="of a fact"),
        pytest.param(lambda day: {"status": {"ends": day}}, id="of the end"),
    ],
)
def test_a_day_is_written_as_one(
    in_spec: Callable[[Any], dict[str, Any]], day: Any, sound: bool
) -> None:
    if sound:
        assert faults_of(**in_spec(day)) == []
    else:
        with pytest.raises(ValidationError):
            faults_of(**in_spec(day))


CPU = {"qos": ["short", "long"], "max_walltime": "1-00:00:00"}
INTERACTIVE = {"purpose": "interactive"}
LIMITS = {"short": {"max_walltime": "01:00:00"}, "long": {}}


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        pytest.param(
            {"partition": "cpu", "walltime": "01:00:00"}, [], id="as long as the QoS allows"
        ),
        pytest.param(
            # Slurm would keep this job pending for ever (QOSMaxWallDurationPerJobLimit).
            {"partition": "cpu", "walltime": "01:00:01"},
            ["slurm.walltime: 01:00:01 is longer than the QoS short allows (01:00:00)"],
            id="longer than the first QoS of the partition",
        ),
        pytest.param(
            {"partition": "cpu", "qos": "long", "walltime": "1-0"},
            [],
            id="another QoS without a limit",
        ),
        pytest.param(
            {"partition": "cpu", "devel": {"walltime": "02:00:00"}},
            ["slurm.devel.walltime: 02:00:00 is longer than the QoS short allows (01:00:00)"],
            id="a trial in the usual partition",
        ),
        pytest.param(
            {"partition": "gpu,cpu", "qos": "long", "walltime": "2-0"},
            [
                "slurm.qos: the QoS long is not one of the partition gpu (it has none)",
                "slurm.walltime: 2-0 is longer than the partition cpu allows (1-00:00:00)",
            ],
            id="each of several partitions counts",
        ),
        pytest.param(
            {"partition": "cpu", "qos": "short"}, [], id="a QoS that pairs with the partition"
        ),
        pytest.param({"qos": "short"}, [], id="a QoS without a partition"),
        pytest.param(
            {"partitions": {}, "qos_limits": {}, "qos": "any"}, [], id="nothing is known of pairs"
        ),
        pytest.param(
            {"partitions": {}, "partition": "cpu", "qos_limits": {}},
            ["slurm.partition: the site has no partition cpu"],
            id="a partition that is not described",
        ),
        pytest.param(
            {"mem": "1G", "devel": {"mem_per_cpu": "1G"}},
            [],
            id="a trial asks for memory in another way",
        ),
        pytest.param(
            {"devel": {"mem": "1G", "mem_per_cpu": "1G"}},
            ["slurm.devel.mem_per_cpu: Slurm accepts mem or mem_per_cpu, not both"],
            id="a trial asks for memory in both ways",
        ),
        pytest.param(
            # Two minutes are 120 seconds.
            {"walltime": "2", "signal": "TERM@119"},
            [],
            id="a signal just after the start",
        ),
        pytest.param(
            # Walltime 2 is two minutes; sbatch(1), --signal, counts seconds back from the end.
            {"walltime": "2", "signal": "B:TERM@120"},
            ["slurm.signal: B:TERM@120 comes before a job of 2 has started"],
            id="a signal at the start",
        ),
        pytest.param(
            # Some centres refuse sbatch there: such a job would never start.
            {"qos": "short", "qos_limits": {"short": INTERACTIVE, "long": {}}},
            ["slurm.qos: the QoS short is for interactive jobs only, not for sbatch"],
            id="a QoS for interactive jobs",
        ),
        pytest.param(
            {
                "partition": "cpu",
                "devel": {"qos": "short"},
                "qos_limits": {"short": INTERACTIVE},
            },
            ["slurm.devel.qos: the QoS short is for interactive jobs only, not for sbatch"],
            id="a trial in a QoS for interactive jobs",
        ),
        pytest.param(
            {"partition": "cpu", "qos": "long", "qos_limits": {"short": INTERACTIVE, "long": {}}},
            [],
            id="another QoS than that for interactive jobs",
        ),
        pytest.param(
            # The first QoS for sbatch is that of a job which names none.
            {"partition": "cpu", "qos_limits": {"short": INTERACTIVE | LIMITS["short"]}}
            | {"walltime": "02:00:00"},
            [],
            id="the first QoS of the partition is for interactive jobs",
        ),
        pytest.param(
            {"partition": "cpu,gpu", "partitions": {"cpu": CPU, "gpu": INTERACTIVE}},
            ["slurm.partition: the partition gpu is for interactive jobs only, not for sbatch"],
            id="a partition for interactive jobs",
        ),
    ],
)
def test_a_job_must_fit_the_limits_of_the_queues(
    slurm: dict[str, Any], expected: list[str]
) -> None:
    usual = {"partitions": {"cpu": CPU, "gpu": {}}, "qos_limits": LIMITS}
    assert faults_of(slurm=usual | slurm) == expected


@pytest.mark.parametrize(
    ("through", "expected"),
    [
        pytest.param("x", [], id="a host"),
        pytest.param("n2", [], id="a node"),
        pytest.param(
            "a",
            ["jobs.job.through: the jump goes to a, which is not a host or node of this site"],
            id="none",
        ),
    ],
)
def test_a_job_starts_on_a_host_of_the_site(through: str, expected: list[str]) -> None:
    entry = {"through": through, "proxy": "start", "command": "enter"}
    assert faults_of(hosts={"x": HOST | nodes(2)}, jobs={"job": entry}) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param("*.example.org", [], id="all hosts"),
        pytest.param(
            "login.example.org",
            ["no authority of this entry signs keys of n1.example.org"],
            id="not the nodes",
        ),
        pytest.param(
            "n?.example.org",
            ["no authority of this entry signs keys of login.example.org"],
            id="the nodes alone",
        ),
    ],
)
def test_an_authority_signs_for_every_host_and_node_of_its_entry(
    pattern: str, expected: list[str]
) -> None:
    keys = {"source": "docs", "hosts": "x", "authorities": {"hosts": pattern, "key": KEY}}
    faulty = faults_of(hosts={"x": HOST | nodes(1)}, host_keys={"ca": keys})
    assert faulty == [f"host_keys.ca.authorities: {message}" for message in expected]


SLURM: dict[str, Any] = {"partitions": {"cpu": {}}}
QUEUES: dict[str, Any] = {"queues": {"workq": {}}}
JOBS = {"job": {"through": "x", "proxy": "start", "command": "enter"}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param({"slurm": SLURM}, [], id="Slurm"),
        pytest.param({"scheduler": "pbs", "batch": QUEUES}, [], id="PBS"),
        pytest.param({"scheduler": "none"}, [], id="no scheduler and no queues"),
        pytest.param(
            {"batch": QUEUES},
            [
                "batch: is for a scheduler other than Slurm; set scheduler, or describe the"
                " queues in slurm"
            ],
            id="other queues with Slurm",
        ),
        pytest.param(
            {"scheduler": "flux", "slurm": SLURM},
            [
                "slurm: needs Slurm, and the scheduler of this site is flux; describe the"
                " queues in batch"
            ],
            id="partitions without Slurm",
        ),
        pytest.param(
            {"scheduler": "pbs", "jobs": JOBS, "spark": {"spark_home": "/opt/spark"}},
            [
                "jobs: needs Slurm, and the scheduler of this site is pbs",
                "spark: needs Slurm, and the scheduler of this site is pbs",
            ],
            id="jobs and a launcher without Slurm",
        ),
    ],
)
def test_queues_are_described_where_their_scheduler_reads_them(
    parts: dict[str, Any], expected: list[str]
) -> None:
    assert faults_of(**parts) == expected


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param(
            {
                "x": HOST | {"via": "gate", "proxy": "ssh-proxy %h"},
                "gate": {"host": "g.example.org"},
            },
            [],
            id="with a jump host",
        ),
        pytest.param(
            {"x": HOST | {"proxy": "ssh-proxy %h"}},
            ["hosts.x.proxy: runs on the jump host, and this host has none; name one in via"],
            id="without a jump host",
        ),
    ],
)
def test_a_command_of_a_jump_needs_a_jump_host(hosts: dict[str, Any], expected: list[str]) -> None:
    assert faults_of(hosts=hosts) == expected


@pytest.mark.parametrize("token", ["%r", "%d", "%%", "%"])
def test_a_command_of_a_jump_has_no_token_but_the_address(token: str) -> None:
    hosts = {"x": HOST | {"via": "x", "proxy": f"ssh-proxy {token}"}}
    with pytest.raises(ValidationError, match="has a token of ssh other than %h and %p"):
        faults_of(hosts=hosts)


@pytest.mark.parametrize(
    ("nodes_auth", "expected"),
    [
        pytest.param({"method": "publickey"}, [], id="a key pair"),
        pytest.param({"method": "certificate"}, [], id="a certificate, which has a key too"),
        pytest.param(
            None,
            [
                "compute.a.key_in_home: needs a login with a key file, and the method of these "
                "nodes is agent"
            ],
            id="keys in an agent, the method of the site",
        ),
    ],
)
def test_a_key_in_the_home_directory_needs_a_key_file(
    nodes_auth: dict[str, Any] | None, expected: list[str]
) -> None:
    group = {"match": "cn*", "through": "x", "key_in_home": True}
    assert faults_of(compute={"a": group | {"auth": nodes_auth}}) == expected
    # Without the field there is nothing to put there.
    assert faults_of(compute={"a": group | {"auth": nodes_auth, "key_in_home": False}}) == []
