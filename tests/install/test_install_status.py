"""`gen status`: what is installed in the home folder, and whether it still is as it was."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen, running

SPEC = "site: ours\ntitle: Ours\nhosts: { ours: { host: ours.example.org } }\nauth: { method: agent }\n"


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    for name in [name for name in os.environ if name.startswith(("GEN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return running(monkeypatch, capfd.readouterr)


@pytest.fixture
def home(tmp_path: Path, gen: Gen) -> Path:
    """A home folder with one site, of a spec that can be changed."""
    spec = tmp_path / "site_specs/ours.yaml"
    spec.parent.mkdir()
    spec.write_text(SPEC)
    assert gen("install", "ours", "--yes").status == 0
    return tmp_path


def test_a_site_that_is_as_it_was_installed(gen: Gen, home: Path) -> None:
    status, out, err = gen("status")
    assert (status, err) == (0, "")
    assert out.startswith("ours: ")
    assert out.endswith(" installed\n")


@pytest.mark.parametrize(
    ("do", "line", "todo"),
    [
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").write_text("Host ours\n"),
            "  edited    ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours --force",
            id="edited",
        ),
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").unlink(),
            "  missing   ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours",
            id="missing",
        ),
        pytest.param(
            lambda home: (home / ".ssh/gen.d/ours.conf").chmod(0o644),
            "  mode      ~/.ssh/gen.d/ours.conf",
            "  not as installed: gen install ours",
            id="mode",
        ),
        pytest.param(
            lambda home: (home / "site_specs/ours.yaml").write_text(SPEC + "note: new\n"),
            "  the spec has changed: gen install ours",
            "  the spec has changed: gen install ours",
            id="the spec moved on",
        ),
        pytest.param(
            lambda home: (home / ".ssh/config").write_text("Host *\n"),
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            id="ssh does not see it",
        ),
    ],
)
def test_what_is_not_as_it_was_is_told_with_what_mends_it(
    gen: Gen, home: Path, do: Callable[[Path], object], line: str, todo: str
) -> None:
    do(home)
    status, out, _ = gen("status", "ours")
    assert (status, out.splitlines()[1], out.splitlines()[-1]) == (1, line, todo)
    assert all(len(text) <= 80 for text in out.splitlines())
    report = json.loads(gen("status", "--json").out)["installed"]
    assert [one["site"] for one in report] == ["ours"]


def test_a_config_with_the_line_endings_of_windows_has_the_site(gen: Gen, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/config").write_bytes(b"Host a\r\n  User b\r\n")
    (tmp_path / "ours.yaml").write_text(SPEC)
    assert gen("install", "ours.yaml", "--yes").status == 0
    assert gen("status").status == 0
