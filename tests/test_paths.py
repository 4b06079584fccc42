"""The fixed paths of gen, and the header line by which it recognizes its own files."""

from pathlib import PurePosixPath

import pytest

from generator import paths


def test_a_header_names_the_site_and_the_command_that_writes_the_file_again() -> None:
    assert paths.header("mila", "gen project work --site") == (
        "Made by gen for mila; do not edit. "
        "Change the spec or your profile, then run: gen project work --site mila"
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"# {paths.header('mila')}\n", id="first line"),
        pytest.param(f"[Unit]\n# {paths.header('mila')}\n", id="second line"),
        pytest.param(f"<?xml?>\n<!-- {paths.header('mila')} -->\n<plist>\n", id="XML comment"),
    ],
)
def test_a_file_with_our_header_is_recognized(content: str) -> None:
    assert paths.has_header(content.encode())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty file"),
        pytest.param("# mine\nHost mila\n", id="another comment"),
        pytest.param('note = "# Made by gen for mila"\n', id="header inside a line"),
        pytest.param("\n" * paths.HEADER_WITHIN + "# Made by gen for mila", id="header far below"),
    ],
)
def test_another_file_is_not_taken_for_ours(content: str) -> None:
    assert not paths.has_header(content.encode())


@pytest.mark.parametrize("path", paths.generated_files("mila-2"), ids=str)
def test_every_path_of_a_site_is_recognized_by_its_name(path: PurePosixPath) -> None:
    assert paths.is_generated_path(path.parent.name, path.name)


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("ssh", "config"),
        ("work", ".env"),
        ("work", "mila.conf"),
        ("systemd", "backup.timer"),
        ("sites", "mila.yaml"),
    ],
)
def test_another_name_is_not_ours(directory: str, name: str) -> None:
    assert not paths.is_generated_path(directory, name)
