"""Regular files are read, and other kinds refused."""

import os
import socket
from pathlib import Path

import pytest

from generator.errors import GenError
from generator.files import is_regular, read_plain, read_regular


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    assert (read_regular(path), is_regular(path)) == (b"content", True)


def test_a_link_to_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link") == b"content"


def test_the_null_device_is_an_empty_file() -> None:
    assert (read_regular(Path("/dev/null")), is_regular(Path("/dev/null"))) == (b"", True)


def test_a_fifo_is_refused_at_once(fifo: Path) -> None:
    message = f"{fifo}: is a FIFO; move it away, then try again"
    with pytest.raises(GenError) as error:
        read_regular(fifo)
    assert str(error.value) == message
    with pytest.raises(GenError) as error:
        is_regular(fifo)
    assert str(error.value) == message


def test_a_link_to_a_fifo_is_refused(fifo: Path) -> None:
    link = fifo.with_name("link")
    link.symlink_to(fifo)
    with pytest.raises(GenError):
        read_regular(link)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket may have some 100 bytes only (unix(7))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(GenError) as error:
            read_regular(Path("socket"))
    assert str(error.value) == "socket: is a socket; move it away, then try again"


def test_a_device_is_refused() -> None:
    with pytest.raises(GenError) as error:
        read_regular(Path("/dev/zero"))
    assert str(error.value) == "/dev/zero: is a device; move it away, then try again"


def test_a_directory_is_an_os_error_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    assert not is_regular(tmp_path)


def test_a_missing_file_is_an_os_error_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "missing")
    assert not is_regular(tmp_path / "missing")


@pytest.mark.parametrize(("size", "is_read"), [(1024, True), (1025, False)])
def test_a_file_may_be_as_large_as_the_limit(size: int, is_read: bool, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    if is_read:
        assert len(read_regular(path, limit=1024)) == size
        return
    with pytest.raises(GenError) as error:
        read_regular(path, limit=1024)
    assert str(error.value) == f"{path}: is larger than 1 KiB"


def test_read_plain_returns_bytes_and_mode_of_a_regular_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o640)
    assert read_plain(str(path)) == (b"content", 0o640)


@pytest.mark.parametrize("kind", ["missing", "directory", "link", "fifo"])
def test_read_plain_returns_nothing_for_everything_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "file").write_bytes(b"content")
        path.symlink_to("file")
    elif kind == "fifo":
        os.mkfifo(path)
    assert read_plain(str(path)) is None
