"""The index of the catalogue is current, and gen uses it only for a spec with the same bytes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.loading import index
from generator.loading.index import summary
from generator.resources import CATALOGUE

MILA = CATALOGUE / "mila.yaml"


@pytest.fixture(autouse=True)
def fresh_index() -> Iterator[None]:
    index._index.cache_clear()
    yield
    index._index.cache_clear()


def test_the_index_is_current() -> None:
    assert index.PATH.read_text() == index.text(), "run `just docs` to write site_specs/index.json"


def test_a_list_of_the_catalogue_reads_no_spec_as_yaml() -> None:
    # The index exists for this: the parsers take longer to import than the list takes to print.
    # Only a new process shows which modules it imports.
    command = [sys.executable, "-X", "importtime", "-m", "generator", "list", "--json"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    modules = set()
    for line in result.stderr.splitlines():
        modules.add(line.rpartition("|")[2].strip())
    assert "generator.loading.index" in modules
    assert not modules & {"yaml", "ruamel.yaml", "pydantic", "generator.loading.validate"}


def test_a_copy_of_a_spec_in_another_directory_is_in_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "mila.yaml"
    copy.write_bytes(MILA.read_bytes())
    # The digest of the content is the key, not the path.
    monkeypatch.setattr(index, "_summary", lambda *_: pytest.fail("the spec was read"))
    assert summary("mila", copy).title == "Mila cluster"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("mila", MILA.read_bytes() + b"\n# remark\n", id="a spec that has changed"),
        pytest.param("other", MILA.read_bytes(), id="a spec of another name"),
    ],
)
def test_a_spec_that_the_index_does_not_know_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes
) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(content.replace(b"Mila cluster", b"A cluster"))
    assert summary(name, path).title == "A cluster"


@pytest.mark.parametrize(
    "content",
    [
        # The index is a file on disk: an update that was cut off, or another version of gen beside
        # it, must not break `gen list`.
        pytest.param(None, id="missing"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[[[[", id="not JSON"),
        pytest.param(b'{"format_version": "1.0", "specs": {}}', id="of another version"),
        pytest.param(b'{"format_version": "2.0", "specs": {"mila": 1}}', id="of another form"),
    ],
)
def test_without_a_sound_index_the_specs_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    expected = summary("mila", MILA)
    path = tmp_path / "index.json"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(index, "PATH", path)
    index._index.cache_clear()
    assert summary("mila", MILA) == expected
