"""Patterns of host names match as in ssh."""

from collections.abc import Mapping

import pytest

from generator.ssh.patterns import example, is_pattern, matches


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        pytest.param(["cn*"], {"cn1": True, "CN1": True, "xcn1": False}, id="a wildcard"),
        pytest.param(["cn?"], {"cn1": True, "cn": False, "cn12": False}, id="one character"),
        pytest.param(
            ["*", "!login*"], {"cn1": True, "login1": False, "LOGIN1": False}, id="a negation"
        ),
        pytest.param(["!login*"], {"cn1": False}, id="a negation alone matches nothing"),
        pytest.param(["cn.1"], {"cn.1": True, "cnx1": False}, id="a dot is a dot"),
        pytest.param(["cn[1]"], {"cn[1]": True, "cn1": False}, id="a bracket is a bracket"),
        pytest.param([], {"cn1": False}, id="no pattern"),
    ],
)
def test_patterns_match_as_in_ssh(patterns: list[str], names: Mapping[str, bool]) -> None:
    assert {name: matches(patterns, name) for name in names} == names


@pytest.mark.parametrize("pattern", ["cn*", "cn??", "*.example.org", "login1"])
def test_an_example_of_a_pattern_matches_it(pattern: str) -> None:
    assert matches([pattern], example(pattern))
    assert not is_pattern(example(pattern))
