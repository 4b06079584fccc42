"""Changes in the text of a spec: only the requested value changes, every other byte stays."""

from datetime import date
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest

from generator.errors import GenError
from generator.loading import yaml_document
from generator.loading.overrides import SpecChange, merged
from generator.loading.spec_editor import edited, fresh
from generator.resources import CATALOGUE

# The layouts that authors of specs use: comments at the end and between, blank lines, braces.
SPEC = """\
# on top
slurm:
  partition: long        # the usual one
  partitions:

    long:                # for most
      qos: [main, devel] # both
      mem: 64G
    short: { qos: devel, mem: "8G" }  # flow
    bare: {}
  # between
  devel:
    walltime: 00:10:00

# at the end
ray: { note: "a, b" }
"""


def change(text: str, keys: str, value: Any) -> str:
    return edited(
        text.encode(), [SpecChange(tuple(keys.split(".")), value, "")], "spec.yaml"
    ).decode()


@pytest.mark.parametrize(
    ("keys", "value", "gone", "come"),
    [
        pytest.param(
            "slurm.partition",
            "short",
            ["  partition: long        # the usual one"],
            ["  partition: short        # the usual one"],
            id="a value, the comment behind it stays",
        ),
        pytest.param(
            "slurm.partitions.long.mem",
            "1500M",
            ["      mem: 64G"],
            ["      mem: 1500M"],
            id="the last value of a block",
        ),
        pytest.param(
            "slurm.partitions.long.qos",
            ["main"],
            ["      qos: [main, devel] # both"],
            ["      qos: [main] # both"],
            id="a list",
        ),
        pytest.param(
            "slurm.partitions.short.mem",
            "16G",
            ['    short: { qos: devel, mem: "8G" }  # flow'],
            ["    short: { qos: devel, mem: 16G }  # flow"],
            id="a value in quotes, within braces",
        ),
        pytest.param(
            "slurm.partitions.short.qos",
            None,
            ['    short: { qos: devel, mem: "8G" }  # flow'],
            ['    short: { mem: "8G" }  # flow'],
            id="the first within braces goes",
        ),
        pytest.param(
            "slurm.partitions.short.mem",
            None,
            ['    short: { qos: devel, mem: "8G" }  # flow'],
            ["    short: { qos: devel }  # flow"],
            id="the last within braces goes",
        ),
        pytest.param(
            "slurm.partitions.short.note",
            "yes: no",
            ['    short: { qos: devel, mem: "8G" }  # flow'],
            ['    short: { qos: devel, mem: "8G", note: "yes: no" }  # flow'],
            id="a new one within braces, with the quotes that it needs",
        ),
        pytest.param(
            "slurm.partitions.bare.mem",
            "8G",
            ["    bare: {}"],
            ["    bare: { mem: 8G }"],
            id="into empty braces",
        ),
        pytest.param(
            "slurm.partitions.long.max_walltime",
            "2-00:00:00",
            [],
            ["      max_walltime: 2-00:00:00"],
            id="a new key",
        ),
        pytest.param(
            "slurm.partitions.new",
            {"mem": "1G", "qos": ["a", "b"], "default": True},
            [],
            ["    new: { mem: 1G, qos: [a, b], default: true }"],
            id="a new block",
        ),
        pytest.param(
            "sources.live",
            {"ref": "x"},
            [],
            ["sources: { live: { ref: x } }"],
            id="a block in a block that is not there",
        ),
        pytest.param(
            "slurm.partitions.long",
            None,
            [
                "    long:                # for most",
                "      qos: [main, devel] # both",
                "      mem: 64G",
            ],
            [],
            id="a block goes with its comments, its neighbours' stay",
        ),
        pytest.param(
            "slurm.devel.walltime",
            None,
            ["  devel:", "    walltime: 00:10:00"],
            [],
            id="the last key takes its block along",
        ),
        pytest.param("slurm.partitions.none", None, [], [], id="what is not there needs no change"),
    ],
)
def test_only_the_requested_value_changes(
    keys: str, value: Any, gone: list[str], come: list[str]
) -> None:
    removed, added = [], []
    for line in ndiff(SPEC.splitlines(), change(SPEC, keys, value).splitlines()):
        if line.startswith("- "):
            removed.append(line[2:])
        elif line.startswith("+ "):
            added.append(line[2:])
    assert removed == gone
    assert added == come


@pytest.mark.parametrize(
    "text", [SPEC.replace("\n", "\r\n"), "\ufeff" + SPEC, SPEC.rstrip("\n")], ids=ascii
)
def test_line_endings_and_a_byte_order_mark_stay(text: str) -> None:
    after = change(text, "slurm.partitions.long.max_walltime", "01:00:00")
    assert after.count("\r\n") == after.count("\n") * ("\r\n" in text)
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert len(after.splitlines()) == len(text.splitlines()) + 1


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        pytest.param(
            "a: 1\n",
            None,
            "gen cannot delete a from this text; delete it by hand",
            id="the last key, for a spec has one at least",
        ),
        pytest.param(
            # An explicit key with a comment between key and value: a place that no edit of a line
            # reaches.
            "? a\n# remark\n: |\n  x\nb: 1\n",
            "y",
            'gen cannot add a="y" to this file; add it yourself',
            id="a new value",
        ),
        pytest.param(
            "a: &x 1\nb: *x\n",
            2,
            "anchors (&…) and aliases (*…) are not used in specs",
            id="an anchor",
        ),
    ],
)
def test_a_change_that_would_change_more_is_refused(text: str, value: Any, message: str) -> None:
    with pytest.raises(GenError) as caught:
        change(text, "a", value)
    assert str(caught.value).removeprefix("spec.yaml:").removeprefix("1:").strip() == message


# Every thirteenth spec and every fifth value: each edit parses the file twice, and all would take
# minutes.
@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.yaml"))[::13], ids=lambda path: path.stem)
def test_the_values_of_a_spec_can_be_changed_and_deleted(path: Path) -> None:
    # `edited` itself compares the outcome with the data. This test checks that no comment is lost.
    content = path.read_bytes()
    data = yaml_document.parse(content, path.name).data()
    comments = content.count(b"#")
    for keys in list(_leaves(data, ()))[::5]:
        after = edited(content, [SpecChange(keys, "other", "")], path.name)
        assert after.count(b"#") >= comments - _hashes(data, keys)
        edited(content, [SpecChange(keys, None, "")], path.name)


def _leaves(data: dict[str, Any], above: tuple[str, ...]) -> Any:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _hashes(data: Any, keys: tuple[str, ...]) -> int:
    for key in keys:
        data = data[key]
    return str(data).count("#")


def test_a_new_spec_is_read_as_it_was_meant() -> None:
    data = {
        "site": "x",
        "hosts": {"x": {"host": "y", "port": 23}},
        "note": "yes: no # that",
        "slurm": {"mem": "8G"},
    }
    assert yaml_document.parse(fresh(data, Path()).encode(), "x").data() == merged(data, [])


def test_a_value_used_twice_is_written_twice() -> None:
    # A spec cannot have a YAML anchor, and `gen import` has today's date in several places.
    today = date(2026, 8, 9)
    text = fresh({"a": {"checked": today}, "b": {"checked": today}}, Path())
    assert text.endswith("\na:\n  checked: 2026-08-09\nb:\n  checked: 2026-08-09\n")
