"""The names of credentials folders, in the identifiers of their tokens."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from generator.errors import GenError
from generator.renewal.pair_names import NAME_FILE, new_identifiers, of_other_folders

SECOND = 1_800_000_000  # 2027-01-15 08:00:00 UTC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "config/dagster-slurm"


def test_identifiers_name_the_machine_and_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="Ada's Laptop.local"))
    app, api = new_identifiers("dagster-slurm", folder, SECOND)
    pattern = r"dagster-slurm-ada-s-laptop-([0-9a-f]{8})-%s-20270115080000-[0-9a-f]{6}"
    names = []
    for identifier, intent in ((app, "app"), (api, "api")):
        named = re.fullmatch(pattern % intent, identifier)
        assert named, identifier
        names.append(named[1])
    assert names == [json.loads((folder / NAME_FILE).read_text())["name"]] * 2
    assert (folder / NAME_FILE).stat().st_mode & 0o777 == 0o600
    # Another machine with this home directory is another host, and the folder keeps its name.
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="..."))
    assert (
        f"dagster-slurm-machine-{names[0]}-app-"
        in new_identifiers("dagster-slurm", folder, SECOND)[0]
    )


def test_a_pair_belongs_to_its_folder_alone(folder: Path, tmp_path: Path) -> None:
    pair = new_identifiers("gen", folder, SECOND)
    assert of_other_folders(pair, folder) == []
    # The file alone was copied, or the whole folder.
    (tmp_path / "file").mkdir()
    shutil.copytree(folder, tmp_path / "copy")
    for other in ("file", "copy"):
        assert of_other_folders(pair, tmp_path / other) == list(pair)
    # A copy gets a name of its own.
    own = new_identifiers("gen", tmp_path / "copy", SECOND)
    assert of_other_folders([*pair, *own], tmp_path / "copy") == list(pair)
    assert of_other_folders([*pair, *own], folder) == list(own)


def test_identifiers_without_a_folder_belong_to_every_folder(folder: Path) -> None:
    names = ["first-api", "dagster-slurm-app-20260101000000", "gen-app-20260101000000-0a1b2c"]
    assert of_other_folders(names, folder) == []


@pytest.mark.parametrize(
    "content", ["", "[]", '{"format_version": "2.0", "name": "../../x", "number": 1}']
)
def test_a_broken_name_is_replaced(folder: Path, content: str) -> None:
    pair = new_identifiers("gen", folder, SECOND)
    (folder / NAME_FILE).write_text(content)
    assert of_other_folders(pair, folder) == list(pair)
    assert of_other_folders(new_identifiers("gen", folder, SECOND), folder) == []


def test_a_name_that_other_users_can_write_is_refused(folder: Path) -> None:
    pair = new_identifiers("gen", folder, SECOND)
    (folder / NAME_FILE).chmod(0o666)
    with pytest.raises(GenError, match="other users can write to it"):
        of_other_folders(pair, folder)
