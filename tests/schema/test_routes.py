"""Machines of a site, and the jumps that lead to them: over nodes, in circles, in long chains."""

import json
import time
from pathlib import PurePosixPath
from typing import Any

import pytest

from generator.compiler.compile import compile_site
from generator.schema.profile import SiteProfile
from generator.schema.project import Project
from generator.schema.rules import faults
from generator.schema.site import SiteSpec


def nodes(alias: str) -> dict[str, str]:
    return {"alias": alias + "{n}", "host": "l{n}.example.org", "n": "1-2"}


def site(hosts: dict[str, dict[str, Any]]) -> SiteSpec:
    """Return a site with these hosts, each called NAME.example.org."""
    named = {name: {"host": f"{name}.example.org"} | host for name, host in hosts.items()}
    spec = {
        "site": "hpc",
        "title": "A cluster",
        "hosts": named,
        "auth": {"method": "agent"},
    }
    return SiteSpec.model_validate_json(json.dumps(spec))


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param({"a": {"via": "b"}, "b": {}}, [], id="to another host"),
        pytest.param(
            {"a": {"via": "b2"}, "b": {"nodes": nodes("b")}}, [], id="to a node of another host"
        ),
        pytest.param({"a": {"via": "a"}}, ["a → a"], id="to itself"),
        pytest.param(
            {"a": {"via": "a1", "nodes": nodes("a")}}, ["a → a"], id="to a node of its own"
        ),
        pytest.param(
            {"a": {"via": "b"}, "b": {"via": "a"}}, ["a → b → a", "b → a → b"], id="and back"
        ),
        pytest.param(
            {"a": {"via": "b1"}, "b": {"via": "a", "nodes": nodes("b")}},
            ["a → b → a", "b → a → b"],
            id="to a node of a host, and back",
        ),
        pytest.param(
            {"a": {"via": "b"}, "b": {"via": "c"}, "c": {"via": "b"}},
            ["b → c → b", "c → b → c"],
            id="to hosts that jump to each other",
        ),
        pytest.param(
            {"a": {"via": "a"}, "b": {"via": "a"}, "c": {"via": "c"}},
            ["a → a", "c → c"],
            id="two circles, and a host that leads to one",
        ),
    ],
)
# ssh would start itself again for each jump, without end.
def test_a_circle_of_jumps_is_refused(
    hosts: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    assert [fault.message for fault in faults(site(hosts))] == [
        f"the jumps form a circle ({circle})" for circle in expected
    ]


def test_the_machines_are_each_host_and_then_its_nodes() -> None:
    spec = site({"a": {"nodes": nodes("a")}, "b": {}})
    machines = [(machine.entry, machine.alias, machine.host_name) for machine in spec.machines()]
    assert machines == [
        ("a", "a", "a.example.org"),
        ("a", "a1", "l1.example.org"),
        ("a", "a2", "l2.example.org"),
        ("b", "b", "b.example.org"),
    ]
    assert spec.usual_host == spec.machines()[0]


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        pytest.param("gate", ["gate"], id="no jump"),
        pytest.param("gate2", ["gate2"], id="a node"),
        pytest.param("inner", ["inner", "gate2"], id="over a node"),
        pytest.param("deep", ["deep", "inner", "gate2"], id="over two machines"),
    ],
)
def test_a_route_lists_the_machine_and_then_its_jumps(alias: str, expected: list[str]) -> None:
    spec = site(
        {"deep": {"via": "inner"}, "inner": {"via": "gate2"}, "gate": {"nodes": nodes("gate")}}
    )
    assert [machine.alias for machine in spec.route(alias)] == expected


def test_a_first_host_behind_a_node_compiles_to_a_jump_over_that_node(project: Project) -> None:
    spec = site({"inner": {"via": "gate2"}, "gate": {"port": 2222, "nodes": nodes("gate")}})
    assert faults(spec) == []
    artifacts = compile_site(spec, SiteProfile(user="ada"), project)
    contents = {artifact.path.name: artifact.content.decode() for artifact in artifacts}
    assert "    ProxyJump gate2\n" in contents["hpc.conf"]
    assert '[ssh.jump_host]\nhost = "l2.example.org"\nport = 2222\n' in contents["hpc.toml"]


def test_a_chain_of_the_most_jumps_is_checked_and_compiled_in_linear_time(project: Project) -> None:
    # Every rule and emitter that walked from each host to the end of its chain took over 30 seconds
    # for this site.
    last = 299
    hosts: dict[str, dict[str, Any]] = {f"h{n}": {"via": f"h{n + 1}"} for n in range(last)}
    spec = site({**hosts, f"h{last}": {}})
    start = time.process_time()
    assert faults(spec) == []
    compile_site(spec, SiteProfile(), project)
    # Linear time takes less than 0.1 s here; process time doesn't count the other test processes.
    assert time.process_time() - start < 2


def test_a_circle_of_the_most_jumps_is_refused_in_linear_time() -> None:
    hosts: dict[str, dict[str, Any]] = {f"h{n}": {"via": f"h{(n + 1) % 300}"} for n in range(300)}
    start = time.process_time()
    # Each of the 300 hosts is in the circle; gen prints no more than 50 faults.
    assert len(faults(site(hosts))) == 50
    assert time.process_time() - start < 2


@pytest.fixture
def project() -> Project:
    return Project(PurePosixPath("hpc-pipelines"), "hpc_pipelines")
