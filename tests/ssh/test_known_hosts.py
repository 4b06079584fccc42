"""The keys in lines of known_hosts, and the lines for a host as ssh-keygen finds them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.ssh import known_hosts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINyptPmidGmIBYHPcTwzgXknVPrMyHptwBgSbMcoZgh5"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEiAKYEcl1Dfo/FKfQVXvtEDhP7sywCld6H27v4tl6uX"


@pytest.mark.parametrize(
    ("line", "keys", "authorities"),
    [
        pytest.param(f"a.example.org {KEY}", (KEY,), (), id="a key"),
        pytest.param(f"a.example.org\t{KEY}".replace(" ", "\t"), (KEY,), (), id="tabs"),
        pytest.param(f"|1|c2FsdA==|aGFzaA== {KEY} me", (KEY,), (), id="a hashed name"),
        pytest.param(f"a.example.org ssh-dss AAAA {KEY}", (), (), id="a key in a comment"),
        pytest.param(f"# a.example.org {KEY}", (), (), id="a remark"),
        pytest.param(f"a.example.org sk-{KEY}", (), (), id="another type"),
        pytest.param(f"@unknown a.example.org {KEY}", (), (), id="an unknown marker"),
        pytest.param(f"@revoked * {KEY}", (), (), id="a revoked key"),
        pytest.param(
            f"@cert-authority *.a.org,!x.a.org,[*.b.org]:2222 {KEY} ca",
            (),
            (("*.a.org", KEY), ("*.b.org", KEY)),
            id="an authority",
        ),
    ],
)
def test_a_line_has_keys_or_authorities(
    line: str, keys: tuple[str, ...], authorities: tuple[tuple[str, str], ...]
) -> None:
    assert known_hosts.keys([line]) == (keys, authorities)


def test_a_revoked_key_is_no_key_whatever_the_order_of_the_lines() -> None:
    lines = [f"a {KEY}", f"@revoked * {KEY}", f"a {OTHER}", f"@cert-authority a {KEY}"]
    assert known_hosts.keys(lines) == ((OTHER,), ())
    assert known_hosts.keys(reversed(lines)) == ((OTHER,), ())


def test_lines_are_found_by_name_pattern_and_port(
    need: Callable[..., None], tmp_path: Path
) -> None:
    need("ssh-keygen")
    file = tmp_path / "known_hosts"
    file.write_text(
        f"a.example.org {KEY}\n*.example.org,!c.example.org {OTHER}\n[a.example.org]:2222 {OTHER}\n"
    )
    assert known_hosts.keys(known_hosts.lines("a.example.org", file)).keys == (KEY, OTHER)
    assert known_hosts.keys(known_hosts.lines("[a.example.org]:2222", file)).keys == (OTHER,)
    assert known_hosts.lines("c.example.org", file) == []
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert KEY in known_hosts.keys(known_hosts.lines("a.example.org", file)).keys
