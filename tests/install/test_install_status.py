"""`gen status` compares the home directory with the record of the installation."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen, running

SPEC = (
    "site: ours\ntitle: Ours\n"
    "hosts: { ours: { host: ours.example.org } }\nauth: { method: agent }\n"
)


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return running(monkeypatch, capfd.readouterr)


@pytest.fixture
def home(tmp_path: Path, gen: Gen) -> Path:
    """Return a home directory with one installed site, whose spec the test can change."""
    spec = tmp_path / "site_specs/ours.yaml"
    spec.parent.mkdir()
    spec.write_text(SPEC)
    assert gen("install", "ours", "--yes").status == 0
    return tmp_path


def test_an_unchanged_site_is_in_order(gen: Gen, home: Path) -> None:
    status, out, err = gen("status")
    assert (status, err) == (0, "")
    assert out.startswith("ours: ")
    assert out.endswith(" installed\n")


@pytest.mark.parametrize(
    ("change", "line", "fix"),
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
            "  newer     note",
            "  the spec has changed: gen install ours",
            id="the spec changed",
        ),
        pytest.param(
            lambda home: (home / ".ssh/config").write_text("Host *\n"),
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            "  ssh does not read it: ~/.ssh/config lacks our lines; gen install ours",
            id="ssh does not read it",
        ),
    ],
)
def test_each_difference_is_shown_with_the_command_that_fixes_it(
    gen: Gen, home: Path, change: Callable[[Path], object], line: str, fix: str
) -> None:
    change(home)
    status, out, _ = gen("status", "ours")
    assert (status, out.splitlines()[1], out.splitlines()[-1]) == (1, line, fix)
    assert all(len(text) <= 80 for text in out.splitlines())
    report = json.loads(gen("status", "--json").out)["installed"]
    assert [site["site"] for site in report] == ["ours"]


def test_a_config_with_windows_line_endings_is_read(gen: Gen, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / ".ssh/config").write_bytes(b"Host a\r\n  User b\r\n")
    (tmp_path / "ours.yaml").write_text(SPEC)
    assert gen("install", "ours.yaml", "--yes").status == 0
    assert gen("status").status == 0
