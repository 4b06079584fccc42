"""Jumps that ssh could not make are faults of the spec, also where they lead over a node behind a balancer."""

import json
from typing import Any

import pytest

from generator.schema.rules import faults
from generator.schema.site import SiteSpec


def nodes(alias: str) -> dict[str, str]:
    return {"alias": alias + "{n}", "host": "l{n}.example.org", "n": "1-2"}


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
    ],
)
def test_a_jump_may_not_come_back_to_itself(
    hosts: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    spec = {
        "site": "hpc",
        "title": "A cluster",
        "hosts": {name: {"host": f"{name}.example.org"} | host for name, host in hosts.items()},
        "auth": {"method": "agent"},
    }
    found = faults(SiteSpec.model_validate_json(json.dumps(spec)))
    assert [fault.message for fault in found] == [
        f"the jump comes back to itself ({circle})" for circle in expected
    ]
