"""The JSON that `--json` prints has the keys that docs/json.md lists, and no others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Gen

from generator import resources
from generator.codec import FORMAT_VERSION

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text()
VULCAN = str(resources.CATALOGUE / "vulcan.yaml")
BROKEN = "broken.yaml"


def documented(command: str) -> set[str]:
    """Return the keys that the page lists for a command."""
    [row] = re.findall(rf"^\| `{re.escape(command)}` \| (.*) \|$", PAGE, re.M)
    keys = set(re.findall(r"`([a-z_]+(?:(?:\[\]|\{\})?\.?[a-z_]*)*)`", row))
    for key in list(keys):
        # The page describes the entries of both lists once.
        if key.startswith("files[].faults[]."):
            keys.add(key.replace("faults", "questions"))
    return keys


def printed(value: object, key: str = "") -> Iterator[str]:
    """Yield the key of each value, with `[]` and `{}` as on the page."""
    if isinstance(value, list):
        for item in value:
            yield from printed(item, f"{key}[]")
        if not value:
            yield f"{key}[]"
    elif isinstance(value, dict) and value:
        for name, item in value.items():
            yield from printed(item, f"{key}.{name}" if key else name)
    else:
        yield f"{key}{{}}" if isinstance(value, dict) else key


@pytest.mark.parametrize(
    ("page", "arguments"),
    [
        pytest.param("gen list", ("list",), id="list"),
        pytest.param("gen validate FILE…", ("validate", "--strict", VULCAN, BROKEN), id="validate"),
        pytest.param("gen site SITE", ("site", "mila"), id="site"),
        pytest.param("gen site --all", ("site", "--all"), id="site --all"),
        pytest.param(
            "gen project DIR --update", ("project", "mila-pipelines", "--update"), id="project"
        ),
        pytest.param("gen install SITE…", ("install", "mila", "--yes"), id="install"),
        pytest.param("gen uninstall SITE…", ("uninstall", "mila", "--yes"), id="uninstall"),
        pytest.param("gen refresh SITE", ("refresh", "musica", "--check"), id="refresh"),
    ],
)
def test_the_output_has_the_keys_that_the_page_lists(
    page: str, arguments: tuple[str, ...], gen: Gen
) -> None:
    Path(BROKEN).write_text("site: broken\n")
    if arguments[:2] == ("site", "--all") or arguments[0] == "project":
        gen("site", "mila")
    if arguments[0] == "uninstall":
        gen("install", "mila", "--yes")
    report = json.loads(gen(*arguments, "--json").out)
    assert next(iter(report)) == "format_version"
    assert report.pop("format_version") == FORMAT_VERSION
    keys, documented_keys = set(printed(report)), documented(page)
    # An empty list prints no keys of entries: `files[]` stands for `files[].path` then.
    prefixes = tuple(keys)
    missing = [name for name in documented_keys if not name.startswith(prefixes)]
    unknown = []
    for key in keys:
        if not any(name.startswith(key) for name in documented_keys):
            unknown.append(key)
    assert (unknown, missing) == ([], [])


def test_show_prints_the_spec_and_the_version(gen: Gen) -> None:
    report = json.loads(gen("show", "mila", "--json").out)
    assert list(report) == ["format_version", "spec"]
    assert report["spec"]["site"] == "mila"


@pytest.mark.parametrize("command", ["check", "review main"])
def test_the_page_names_the_schema_of_reports(command: str) -> None:
    assert f"`gen {command.split()[0]}`" in PAGE
    assert (Path(__file__).parents[2] / "docs/report.schema.json").is_file()
