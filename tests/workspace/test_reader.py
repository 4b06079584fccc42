"""gen reads files below one directory and nowhere else."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from generator.errors import GenError
from generator.workspace import reader


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_survey_lists_every_lock_below_a_directory_in_order(tmp_path: Path) -> None:
    for name in ("b/.gen/mila.lock", ".gen/musica.lock", ".gen/mila.lock", "a/c/.gen/x.lock"):
        put(tmp_path / name)
    locks = reader.locks(tmp_path)
    assert [(str(lock.directory.relative_to(tmp_path)), lock.path.name) for lock in locks] == [
        (".", "mila.lock"),
        (".", "musica.lock"),
        ("a/c", "x.lock"),
        ("b", "mila.lock"),
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".git/.gen/mila.lock", id="git's own folder"),
        pytest.param(".gen/backup/.gen/mila.lock", id="our own backups"),
        # git mergetool leaves this copy.
        pytest.param(".gen/mila.lock.orig", id="another ending"),
        pytest.param("gen/mila.lock", id="another folder"),
    ],
)
def test_a_file_that_is_not_a_lock_is_not_listed(name: str, tmp_path: Path) -> None:
    put(tmp_path / name)
    assert reader.locks(tmp_path) == []


def test_a_link_to_a_directory_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/.gen/mila.lock")
    root = tmp_path / "root"
    root.mkdir()
    # A link to a parent directory would make the search endless.
    (root / "link").symlink_to(tmp_path / "elsewhere")
    assert reader.locks(root) == []


@pytest.mark.parametrize("link", [".gen", ".gen/mila.lock"])
def test_a_lock_that_is_a_link_out_of_the_directory_is_listed_but_not_read(
    link: str, tmp_path: Path
) -> None:
    # If it were skipped silently, no user would learn that the site is no longer checked.
    outside = put(tmp_path / "outside/mila.lock")
    root = tmp_path / "root"
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(outside if link.endswith(".lock") else outside.parent)
    [lock] = reader.locks(root)
    with pytest.raises(GenError, match="is a link that leads out of"):
        reader.actual(lock.directory, [lock.path])


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        pytest.param("env/other", ["env/ssh/mila.conf"], id="any folder"),
        # gen itself may be installed there, with its templates and the catalogue.
        pytest.param("env/pyvenv.cfg", [], id="virtual environment"),
        pytest.param(".pixi/other", ["env/ssh/mila.conf"], id="pixi's"),
    ],
)
def test_directories_of_installed_programs_have_no_strays(
    beside: str, expected: list[str], tmp_path: Path
) -> None:
    put(tmp_path / beside)
    for name in ("env/ssh/mila.conf", ".pixi/ssh/mila.conf"):
        put(tmp_path / name).write_text("# Made by gen for mila\n")
    strays = reader.strays(reader.survey(tmp_path).candidates, set())
    assert [str(path.relative_to(tmp_path)) for path in strays] == expected


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(put(tmp_path / "real"))
    assert reader.actual(tmp_path, [PurePosixPath("link")])[PurePosixPath("link")].content == b"{}"


def test_a_file_below_the_root_directory_does_not_lead_out() -> None:
    # A check by `startswith(root + "/")` would look for "//" here, and refuse every path.
    assert reader.real(Path("/"), PurePosixPath("no-such-file")) == Path("/no-such-file")


@pytest.fixture
def deep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a generated file below 1,200 directories."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)
    for _ in range(1_200):
        Path("d").mkdir()
        os.chdir("d")
    Path(".env.x").write_text("# Made by gen for x\n")
    os.chdir(root)
    yield root
    subprocess.run(["rm", "-rf", root], check=True)


def test_a_file_below_very_many_directories_is_found(deep_file: Path) -> None:
    survey = reader.survey(deep_file)
    assert [path.name for path in survey.candidates] == [".env.x"]
    assert len(reader.strays(survey.candidates, set())) == 1


def test_a_link_to_itself_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    (tmp_path / "up").symlink_to(".")
    put(tmp_path / "z/ssh/mila.conf")
    assert [path.name for path in reader.survey(tmp_path).candidates] == ["mila.conf"]
