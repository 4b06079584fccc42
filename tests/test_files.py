"""Regular files are read, and other kinds refused."""

import grp
import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.errors import GenError
from generator.files import is_regular, read_plain, read_regular, refuse_others


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
    # Users link a file to it to say that it is empty.
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
    # The path of a socket may have some 100 bytes only (unix(7)).
    monkeypatch.chdir(tmp_path)
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


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file of the user alone, in a directory of the user alone."""
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    path = directory / "file"
    path.touch(0o600)
    return path


def test_a_private_file_and_a_missing_one_are_accepted(private: Path) -> None:
    refuse_others(private)
    refuse_others(private.with_name("missing"))
    refuse_others(private.parent / "missing/missing")


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_file_that_other_users_can_write_is_refused(private: Path, mode: int) -> None:
    private.chmod(mode)
    with pytest.raises(GenError) as error:
        refuse_others(private)
    assert str(error.value) == (
        f"{private}: other users can write to it (mode {mode:o}); run chmod go-w {private}, "
        "and check its contents"
    )


@pytest.mark.parametrize("name", ["file", "missing"])
def test_a_directory_that_other_users_can_write_is_refused(private: Path, name: str) -> None:
    private.parent.chmod(0o777)
    with pytest.raises(GenError) as error:
        refuse_others(private.with_name(name))
    assert str(error.value) == (
        f"{private.parent}: other users can write to it (mode 777); "
        f"run chmod go-w {private.parent}, and check its contents"
    )


@pytest.fixture
def below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private file in a private directory, some directories below the home directory."""
    home = tmp_path / "home"
    path = home / ".local/state/gen/file"
    path.parent.mkdir(parents=True)
    for directory in [home, *home.rglob("*")]:
        directory.chmod(0o700)
    path.touch(0o600)
    monkeypatch.setenv("HOME", str(home))
    return path


def test_a_file_below_the_home_directory_is_accepted(below_home: Path) -> None:
    # The directory of all homes is not the user's: its mode does not matter.
    below_home.parents[4].chmod(0o777)
    refuse_others(below_home)
    refuse_others(below_home.with_name("missing"))


# Whoever can write a directory can replace any file in it.
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o703], ids="{:o}".format)
@pytest.mark.parametrize("levels", [1, 2, 3], ids=["state", "local", "home"])
@pytest.mark.parametrize("name", ["file", "missing"])
def test_every_directory_up_to_the_home_directory_is_the_users_alone(
    below_home: Path, levels: int, mode: int, name: str
) -> None:
    directory = below_home.parents[levels]
    directory.chmod(mode)
    with pytest.raises(GenError) as error:
        refuse_others(below_home.with_name(name))
    assert str(error.value) == (
        f"{directory}: other users can write to it (mode {mode:o}); "
        f"run chmod go-w {directory}, and check its contents"
    )


def test_the_directories_of_a_link_below_the_home_directory_count_too(below_home: Path) -> None:
    shared = below_home.parents[3] / "shared"
    (shared / "state").mkdir(parents=True)
    below_home.rename(shared / "state/file")
    below_home.symlink_to(shared / "state/file")
    refuse_others(below_home)
    shared.chmod(0o777)
    with pytest.raises(GenError) as error:
        refuse_others(below_home)
    assert str(error.value).startswith(f"{shared}: other users can write to it")


def test_a_home_directory_behind_a_link_is_followed(
    below_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = below_home.parents[3]
    link = home.with_name("link")
    link.symlink_to(home)
    monkeypatch.setenv("HOME", str(link))
    path = link / below_home.relative_to(home)
    refuse_others(path)
    (home / ".local").chmod(0o777)
    with pytest.raises(GenError) as error:
        refuse_others(path)
    assert str(error.value).startswith(f"{link}/.local: other users can write to it")


def test_a_home_directory_of_another_user_is_refused_with_the_way_out(
    below_home: Path, need: Callable[..., None]
) -> None:
    need(root=True)
    home = below_home.parents[3]
    os.chown(home, 54321, -1)
    with pytest.raises(GenError) as error:
        refuse_others(below_home)
    assert str(error.value) == (
        f"{home}: belongs to user 54321, another user; "
        "run gen as user 54321, or set HOME to a directory of yours"
    )


def test_a_link_into_a_directory_of_others_is_refused(private: Path) -> None:
    # The link itself is private, but another user can replace its target.
    shared = private.parent.with_name("shared")
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "file").touch(0o600)
    link = private.with_name("link")
    link.symlink_to(shared / "file")
    with pytest.raises(GenError) as error:
        refuse_others(link)
    assert str(error.value).startswith(f"{shared}: other users can write to it")


def test_a_file_of_another_user_is_refused(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(private, 54321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(GenError) as error:
        refuse_others(private)
    name = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "user 54321"
    assert str(error.value) == (
        f"{private}: belongs to {name}, another user; move it away, then try again"
    )


@pytest.mark.parametrize(
    ("group_name", "members", "refused"),
    [
        # Debian gives each user a group of the same name, and 002 as the umask; no other user is in
        # it.
        pytest.param("ada", [], False, id="the group of the user"),
        pytest.param("ada", ["ada"], False, id="it names the user"),
        pytest.param("ada", ["bob"], True, id="another user is in it"),
        pytest.param("users", [], True, id="the usual group of many users"),
    ],
)
def test_only_the_private_group_of_the_user_may_write(
    private: Path,
    monkeypatch: pytest.MonkeyPatch,
    group_name: str,
    members: list[str],
    refused: bool,
) -> None:
    private.chmod(0o660)
    group = private.stat().st_gid
    user = pwd.struct_passwd(("ada", "x", os.geteuid(), group, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(
        grp, "getgrgid", lambda _: grp.struct_group((group_name, "x", group, members))
    )
    if not refused:
        refuse_others(private)
        return
    with pytest.raises(GenError, match="other users can write to it"):
        refuse_others(private)
