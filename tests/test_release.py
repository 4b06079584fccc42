"""The version of a release, its section of the changelog, and pinned actions."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from generator import __version__

ROOT = Path(__file__).parents[1]
QUOTED_VERSION = re.compile(
    r"(?:hpc-sitegen(?:@v|/v|==)|\brev: v|\brequired_version: \"?)(\d[\d.]*\d)"
)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CHANGELOG = f"""\
# Changelog

## Unreleased

- Not yet.

## {__version__} — 2026-12-01

### Added

- The first release.

## 0.0.1 — 2026-01-01

- Older.
"""


def run(directory: Path, tag: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(directory / ".github/changelog_section.py"), tag]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the changelog of a release."""
    for name in (".github/changelog_section.py", "generator/__init__.py"):
        target = tmp_path / name
        target.parent.mkdir()
        target.write_bytes((ROOT / name).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_the_text_of_a_release_is_its_section_of_the_changelog(checkout: Path) -> None:
    result = run(checkout, f"v{__version__}")
    assert (result.returncode, result.stdout) == (0, "### Added\n\n- The first release.\n")


def test_a_tag_of_another_version_is_refused(checkout: Path) -> None:
    result = run(checkout, "v9.9.9")
    assert result.returncode == 2
    assert result.stderr == f"the tag is v9.9.9, and the version of the package {__version__}\n"


def test_a_version_without_a_section_is_refused(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- All of it.\n")
    result = run(checkout, f"v{__version__}")
    assert result.returncode == 2
    expected = f"CHANGELOG.md has no section '## {__version__} — DATE' with a text\n"
    assert result.stderr == expected


def test_the_changelog_has_a_section_for_this_version() -> None:
    result = run(ROOT, f"v{__version__}")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_changelog_begins_with_changes_to_come_and_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", __version__]
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("name", ["docs/drift-review.md", "integrations/gitlab.yml"])
def test_every_example_names_this_version(name: str) -> None:
    quoted = QUOTED_VERSION.findall((ROOT / name).read_text())
    # A reader who copies an older version gets a gen without the options of the page.
    assert set(quoted) == {__version__}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_and_names_the_version(workflow: Path) -> None:
    uses = re.findall(r"uses: (.*)", workflow.read_text())
    assert uses
    for use in uses:
        # A tag can be moved to other code; a commit cannot.
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", use), use
