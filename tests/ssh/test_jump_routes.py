"""ProxyJump settings, and the machines that they lead through."""

from collections.abc import Mapping

import pytest

from generator.ssh.client import Settings
from generator.ssh.routes import Jump, Waypoint, jumps, route


def settings(host_name: str, port: str = "22", user: str = "ada", jump: str = "") -> Settings:
    values = {"hostname": (host_name,), "port": (port,), "user": (user,)}
    return values | ({"proxyjump": (jump,)} if jump else {})


HOSTS: Mapping[str, Settings] = {
    "gate": settings("gate.example.org"),
    "inner": settings("inner.example.org", "2200", "bob", "gate"),
    "loop": settings("loop.example.org", jump="loop"),
}
GATE = Waypoint("gate.example.org", "22", "ada")
INNER = Waypoint("inner.example.org", "2200", "bob")


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("", []),
        ("none", []),
        ("gate", [Jump("gate", None, None)]),
        ("ada@gate:2200,b", [Jump("gate", "ada", "2200"), Jump("b", None, None)]),
        ("ssh://ada@gate.example.org:1/", [Jump("gate.example.org", "ada", "1")]),
    ],
)
def test_a_setting_names_its_hosts(value: str, hosts: list[Jump]) -> None:
    assert jumps(value) == hosts


@pytest.mark.parametrize("value", ["[::1]:22", "a b", "gate,", "a@b@c"])
def test_another_form_is_an_error(value: str) -> None:
    with pytest.raises(ValueError):
        jumps(value)
    assert route(settings("x", jump=value), HOSTS.__getitem__) == (value,)


@pytest.mark.parametrize(
    ("jump", "machines"),
    [
        ("", ()),
        ("gate", (GATE,)),
        ("inner", (GATE, INNER)),
        ("carol@inner:1", (GATE, Waypoint("inner.example.org", "1", "carol"))),
        # ssh reaches the second through the first, whatever the second's own jump is.
        ("gate,inner", (GATE, INNER)),
        ("inner,gate", (GATE, INNER, GATE)),
    ],
)
def test_a_route_has_the_machines_on_the_way(jump: str, machines: tuple[Waypoint, ...]) -> None:
    assert route(settings("x", jump=jump), HOSTS.__getitem__) == machines


def test_a_circle_ends() -> None:
    assert len(route(HOSTS["loop"], HOSTS.__getitem__)) < 20
