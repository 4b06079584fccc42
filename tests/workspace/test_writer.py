"""The only module that writes files below an output directory, on real directories."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from generator import paths
from generator.compiler import digests
from generator.compiler.artifact import Artifact
from generator.errors import GenError
from generator.workspace import lock, reader, writer
from generator.workspace.plan import Action, Actual, Change, plan

CONF = PurePosixPath("ssh/mila.conf")
LOCK = paths.lock("mila")


def write(
    root: Path, content: bytes = b"new\n", mode: int = 0o600, written: bytes | None = None
) -> list[PurePosixPath]:
    """Plan and apply one artifact, as `gen site --force` does."""
    artifact = Artifact(CONF, content, mode)
    recorded = {}
    if written is not None:
        recorded[CONF] = lock.Written(digests.digest(written), f"{mode:04o}")
    changes = plan([artifact], reader.actual(root, [CONF]), recorded)
    return writer.apply(root, changes, LOCK, b"{}\n")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# 002 is the default of Debian and many clusters for users with a group of their own; 077 is usual
# on hardened machines.
@pytest.fixture(params=[0o002, 0o077], ids=["umask 002", "umask 077"])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: None) -> None:
    write(tmp_path)
    assert (mode(tmp_path / CONF), mode(tmp_path / LOCK)) == (0o600, 0o644)
    assert (mode(tmp_path / "ssh"), mode(tmp_path / ".gen")) == (0o755, 0o755)


def test_a_second_write_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path)
    # A file with a new time would make editors, build tools and rsync act.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    write(tmp_path, written=b"new\n")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_no_scratch_file_stays_when_a_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    # Some file systems (NFS, quotas) report a full disk only here, after every write succeeded.
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(GenError, match=r"/ssh/mila\.conf: no space left on device$"):
        write(tmp_path, b"newer\n", written=b"new\n")
    assert [path.name for path in (tmp_path / "ssh").iterdir()] == ["mila.conf"]
    assert (tmp_path / CONF).read_bytes() == b"new\n"


def test_a_backup_is_kept_out_of_git_and_private(tmp_path: Path) -> None:
    (tmp_path / "ssh").mkdir()
    (tmp_path / CONF).write_bytes(b"mine\n")
    [backup] = write(tmp_path)
    assert (tmp_path / backup).read_bytes() == b"mine\n"
    assert mode(tmp_path / backup) == 0o600
    assert (tmp_path / ".gen/backup/.gitignore").read_text() == "*\n"
    assert (tmp_path / CONF).read_bytes() == b"new\n"


def test_a_link_is_followed_to_the_real_file(tmp_path: Path) -> None:
    (tmp_path / "ssh").mkdir()
    (tmp_path / "real.conf").write_bytes(b"old\n")
    # Users keep dotfiles in a repository and link to them (stow, chezmoi).
    (tmp_path / CONF).symlink_to("../real.conf")
    write(tmp_path, written=b"old\n")
    assert (tmp_path / CONF).is_symlink()
    assert (tmp_path / "real.conf").read_bytes() == b"new\n"


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_out_is_refused_and_not_followed(tmp_path: Path, link: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "mila.conf").write_bytes(b"theirs\n")
    if link == "folder":
        (root / "ssh").symlink_to(outside)
    else:
        (root / "ssh").mkdir()
        (root / CONF).symlink_to(outside / "mila.conf")
    with pytest.raises(GenError, match="is a link that leads out of"):
        reader.actual(root, [CONF])
    with pytest.raises(GenError, match="is a link that leads out of"):
        writer.apply(
            root, [Change(CONF, Action.CREATE, artifact=Artifact(CONF, b"x", 0o600))], LOCK, b""
        )
    assert (outside / "mila.conf").read_bytes() == b"theirs\n"


def test_a_directory_in_place_of_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / CONF).mkdir(parents=True)
    with pytest.raises(GenError, match=r"/ssh/mila\.conf: is a directory$"):
        reader.actual(tmp_path, [CONF])


def test_only_the_deleted_file_is_removed(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "ssh/other.conf").write_bytes(b"")
    writer.apply(tmp_path, [Change(CONF, Action.DELETE, Actual(b"new\n", 0o600))], LOCK, b"{}\n")
    assert [path.name for path in (tmp_path / "ssh").iterdir()] == ["other.conf"]


@pytest.mark.parametrize("name", ["ssh", ".gen"])
def test_a_file_in_place_of_a_directory_is_refused_before_the_first_write(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("mine")
    # The first artifact could be written; only the second is blocked.
    artifacts = [
        Artifact(PurePosixPath(".env.mila"), b"A=1\n", 0o600),
        Artifact(CONF, b"new\n", 0o600),
    ]
    with pytest.raises(
        GenError,
        match=f"{name}: is a file, but gen needs a directory here; move it away|not a directory",
    ):
        writer.apply(tmp_path, plan(artifacts, {}, {}), LOCK, b"{}\n")
    assert [path.name for path in tmp_path.iterdir()] == [name]
