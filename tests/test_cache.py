"""Compilations kept from one run to the next: the same, only sooner."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from generator import cache, resources
from generator.build import build
from generator.compilation import Compilation
from generator.errors import GenError
from generator.inputs import File, Inputs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gen"


def given(
    content: bytes | None = None, options: Mapping[str, str] | None = None, changes: tuple[str, ...] = ()
) -> Inputs:
    path = resources.CATALOGUE / "musica.yaml"
    return Inputs(File(path, content or path.read_bytes()), None, options or {}, changes)


def never(inputs: Inputs) -> Compilation:
    raise AssertionError("was compiled though it was known")


def test_the_second_run_recalls_what_the_first_compiled() -> None:
    assert cache.recalled(given(), build) == cache.recalled(given(), never)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(given(resources.CATALOGUE.joinpath("musica.yaml").read_bytes() + b"# more\n"), id="spec"),
        pytest.param(given(options={"user": "ada"}), id="option"),
        pytest.param(given(changes=("slurm.partition=zen4_0768",)), id="set"),
        pytest.param(Inputs(given().spec, File(Path("p.yaml"), b"user: ada\n"), {}, ()), id="profile"),
    ],
)
def test_other_inputs_are_compiled(other: Inputs) -> None:
    cache.recalled(given(), build)
    with pytest.raises(AssertionError, match="was compiled"):
        cache.recalled(other, never)


def test_changed_code_compiles_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache.recalled(given(), build)
    monkeypatch.setattr(resources, "TEMPLATES", tmp_path)
    with pytest.raises(AssertionError, match="was compiled"):
        cache.recalled(given(), never)


def test_what_python_keeps_of_modules_counts_for_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "code/__pycache__").mkdir(parents=True)
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "code")
    cache.recalled(given(), build)
    (tmp_path / "code/__pycache__/module.cpython-313.pyc").touch()
    (tmp_path / "code/__pycache__/module.cpython-313.pyc.140617428109104").symlink_to("gone")  # renamed meanwhile
    cache.recalled(given(), never)


def test_a_spoilt_entry_is_made_anew(folder: Path) -> None:
    cache.recalled(given(), build)
    [entry] = folder.glob("*.json")
    entry.write_text("{}")
    assert cache.recalled(given(), build) == cache.recalled(given(), never)


def test_entries_are_private_and_few(folder: Path) -> None:
    made = build(given())
    for number in range(60):
        cache.recalled(given(options={"user": f"u{number}"}), lambda _: made)
    assert len(list(folder.glob("*.json"))) == 50
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*.json")} == {0o600}


def test_without_a_folder_gen_is_slower_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert cache.recalled(given(), build) == build(given())


def test_faults_are_not_kept(folder: Path) -> None:
    with pytest.raises(GenError):
        cache.recalled(given(b"site: x\n"), build)
    assert not folder.exists()


def test_a_run_that_recalls_loads_neither_pydantic_nor_jinja(tmp_path: Path) -> None:
    code = "\n".join(
        [
            "import sys",
            "from pathlib import Path",
            "from generator.commands.site import run",
            "from generator.inputs import Choice",
            "choice = Choice('mila', None, None, {}, ())",
            f"run(choice, Path({str(tmp_path / 'out')!r}), dry_run=False, force=False, as_json=False)",
            "loaded = {name.partition('.')[0] for name in sys.modules}",
            "print(sorted({'pydantic', 'jinja2', 'ruamel', 'rich'} & loaded))",
        ]
    )
    run = [sys.executable, "-c", code]
    subprocess.run(run, check=True, capture_output=True)
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout == "[]\n"
