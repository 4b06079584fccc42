"""gen refuses a FIFO, socket or device in place of a file: to open it could wait for ever."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen

from generator import paths
from generator.errors import GenError
from generator.workspace import writer

FIFO = "is a FIFO; move it away, then try again"


@pytest.fixture
def fifo() -> Callable[[str], None]:
    def replace_by_fifo(path: str) -> None:
        Path(path).unlink(missing_ok=True)
        os.mkfifo(path)

    return replace_by_fifo


def test_gen_site_refuses_a_fifo_in_place_of_a_generated_file(
    gen: Gen, fifo: Callable[[str], None]
) -> None:
    fifo(".env.mila")
    result = gen("site", "mila")
    assert (result.status, result.err) == (2, f".env.mila: {FIFO}\n")
    # Nothing is written before the refusal.
    assert [path.name for path in Path().iterdir()] == [".env.mila"]


def test_gen_site_refuses_a_socket_in_place_of_a_generated_file(gen: Gen) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(".env.mila")
        result = gen("site", "mila")
    assert (result.status, result.err) == (
        2,
        ".env.mila: is a socket; move it away, then try again\n",
    )


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        pytest.param("ssh/mila.conf", ".gen/mila.lock", id="generated file"),
        pytest.param(".gen/mila.lock", ".gen/mila.lock", id="lock"),
        pytest.param(".gen/accepted.yaml", ".gen/accepted.yaml", id="accepted drift"),
    ],
)
def test_gen_check_refuses_a_fifo(
    gen: Gen, fifo: Callable[[str], None], path: str, refused: str
) -> None:
    assert gen("site", "mila", "--no-project").status == 0
    fifo(path)
    result = gen("check")
    name = "" if path == refused else f"{path}: "
    assert (result.status, result.out) == (2, f"{refused}:1: refused: {name}{FIFO}\n")


def test_gen_check_refuses_a_spec_that_is_a_fifo(
    gen: Gen, fifo: Callable[[str], None], tmp_path: Path
) -> None:
    Path("own.yaml").write_text(
        "site: own\ntitle: Own\nhosts: { own: { host: own.example } }\nauth: { method: agent }\n"
    )
    assert gen("site", "./own.yaml", "--no-project").status == 0
    fifo("own.yaml")
    result = gen("check")
    assert (result.status, result.out) == (2, f".gen/own.lock:1: refused: own.yaml: {FIFO}\n")


def test_gen_check_does_not_open_a_fifo_that_has_the_name_of_a_generated_file(
    gen: Gen, fifo: Callable[[str], None]
) -> None:
    assert gen("site", "mila", "--no-project").status == 0
    # The name makes it a candidate for a file of a removed site, whose header gen would read.
    fifo(".env.other")
    assert gen("check").status == 0


def test_a_lock_file_that_is_a_fifo_is_refused(tmp_path: Path) -> None:
    path = tmp_path / paths.lock("mila").name
    os.mkfifo(path)
    with pytest.raises(GenError) as caught, writer.locked(path):
        pass
    assert str(caught.value) == f"{path}: {FIFO}"
