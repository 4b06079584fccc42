"""Patterns of host names match as in ssh."""

from collections.abc import Mapping
from time import process_time

import pytest

from generator.errors import GenError
from generator.ssh.patterns import common_name, example, is_pattern, matches


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


@pytest.mark.parametrize(
    ("pattern", "other", "excluded", "name"),
    [
        pytest.param("cn1", "CN1", [], "cn1", id="equal names"),
        pytest.param("cn1", "cn2", [], None, id="different names"),
        pytest.param("cn1", "cn1", ["c*"], None, id="an excluded name"),
        pytest.param("?n-a001", "cn-????", [], "cn-a001", id="wildcards in different places"),
        pytest.param("cn-a*", "cn-*b", [], "cn-ab", id="two stars"),
        pytest.param("cn-?", "cn-?", ["cn-0"], "cn-1", id="another name than the excluded one"),
        pytest.param("cn-?", "cn-?", ["cn-*"], None, id="all names are excluded"),
        pytest.param("cn-a*", "cn-b*", [], None, id="no common name"),
        pytest.param("cn", "cn??", [], None, id="different lengths"),
        pytest.param("*", "*", [], "0", id="not the empty name"),
    ],
)
def test_a_common_name_of_two_patterns_matches_both_and_is_not_excluded(
    pattern: str, other: str, excluded: list[str], name: str | None
) -> None:
    common = common_name(pattern, other, excluded)
    assert (common is None) == (name is None)
    if common:
        assert matches([pattern], common)
        assert matches([other], common)
        assert not matches(excluded, common)


def test_two_patterns_that_were_made_to_take_long_are_refused_in_bounded_time() -> None:
    begin = process_time()
    with pytest.raises(GenError, match=r"are too complex to compare; simplify them$"):
        common_name("*a????????????????z", "*b????????????????z", ["*c?????????????????"])
    assert process_time() - begin < 10
