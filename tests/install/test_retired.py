"""A site that has closed is installed only on request; everything else warns and goes on."""

import json
from pathlib import Path

import pytest
from homes import spec
from running import Gen

RETIRED = {"state": "retired", "ends": "2026-11-21", "note": "its data are gone"}
RETIRING = {"state": "retiring", "note": "no last day was announced"}
WARNING = "retired, until 2026-11-21, its data are gone"


@pytest.fixture
def retired(home: Path) -> str:
    """Return the path of the spec of a site that has closed."""
    return str(spec(Path(), status=RETIRED))


@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"], ["--mode", "print"], []])
def test_a_retired_site_is_refused_before_the_first_write(
    gen: Gen, home: Path, retired: str, options: list[str]
) -> None:
    result = gen("install", retired, *options)
    assert (result.status, result.err) == (
        2,
        f"ours: has closed ({WARNING}); to install it nevertheless, add --retired\n"
        "Nothing was written.\n",
    )
    assert not (home / ".ssh").exists()


def test_a_retired_site_is_installed_on_request_and_then_updated_without_it(
    gen: Gen, home: Path, retired: str
) -> None:
    assert gen("install", retired, "--yes", "--retired").status == 0
    again = gen("install", retired, "--yes")
    assert again.status == 0
    assert f"Status of the site: {WARNING}" in again.err


def test_a_site_that_retired_after_its_installation_is_updated(gen: Gen, home: Path) -> None:
    path = spec(Path())
    assert gen("install", str(path), "--yes").status == 0
    spec(Path(), status=RETIRED)
    assert gen("install", str(path), "--yes").status == 0


@pytest.mark.parametrize("status", [{}, RETIRING], ids=["active", "retiring"])
def test_a_site_that_is_open_needs_no_option(gen: Gen, home: Path, status: dict[str, str]) -> None:
    assert gen("install", str(spec(Path(), status=status)), "--yes").status == 0


def test_the_other_commands_warn_and_go_on(gen: Gen, home: Path, retired: str) -> None:
    generated = gen("site", retired, "--no-project")
    assert (generated.status, f"Status of the site: {WARNING}" in generated.err) == (0, True)
    regenerated = gen("site", "--all")
    assert (regenerated.status, regenerated.err) == (
        0,
        f"Status of ours: {WARNING}\n1 site regenerated, 0 files changed\n",
    )
    shown = gen("show", retired)
    assert (shown.status, shown.out.splitlines()[:2]) == (0, ["The ours cluster (ours)", WARNING])
    listed = gen("list", "--specs", ".")
    assert (listed.status, "(retired)" in listed.out) == (0, True)


def test_the_status_of_an_installation_names_a_site_that_closes(gen: Gen, home: Path) -> None:
    path = spec(Path(), status=RETIRING)
    gen("install", str(path), "--yes")
    status = gen("status")
    assert (status.status, status.err) == (0, "")
    assert status.out.splitlines()[-1] == "  the site is retiring; see: gen show ours"
    assert json.loads(gen("status", "--json").out)["installed"][0]["site_status"] == "retiring"
    path.unlink()
    assert gen("status").out == status.out


def test_the_status_of_an_active_site_has_no_such_line(gen: Gen, home: Path) -> None:
    gen("install", str(spec(Path())), "--yes")
    assert "the site is" not in gen("status").out
    assert json.loads(gen("status", "--json").out)["installed"][0]["site_status"] == "active"
