"""Patches of `gen check`; git itself applies each one, and the test looks at the files."""

import subprocess
from pathlib import Path, PurePosixPath

import pytest

from generator.compiler.artifact import Artifact
from generator.workspace.patch import diff, hides_secret
from generator.workspace.plan import Action, Actual, Change

NAME = PurePosixPath("ssh/mila.conf")


def change(
    before: bytes | None,
    after: bytes | None,
    old_mode: int = 0o644,
    new_mode: int = 0o644,
    conflict: str | None = None,
) -> Change:
    """Return the change from one content to another; ``None`` stands for no file."""
    actual = None if before is None else Actual(before, old_mode)
    artifact = None if after is None else Artifact(NAME, after, new_mode)
    if before == after:
        action = Action.CHMOD
    elif actual is None:
        action = Action.CREATE
    elif artifact is None:
        action = Action.DELETE
    else:
        action = Action.UPDATE
    return Change(NAME, action, actual, artifact, conflict)


def applied(folder: Path, planned: Change, below: str = "") -> Path:
    """Write the old file below a folder, apply the patch with git, and return the path."""
    path = folder / below / planned.path
    path.parent.mkdir(parents=True)
    if planned.actual:
        path.write_bytes(planned.actual.content)
        path.chmod(planned.actual.mode)
    patch = diff([planned], PurePosixPath(below)).encode("utf-8", "surrogateescape")
    done = subprocess.run(
        ["git", "apply", "-"], cwd=folder, input=patch, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode() + patch.decode(errors="replace")
    return path


CONTENTS = [
    pytest.param(b"a\n", b"b\n", id="a line"),
    pytest.param(b"", b"a\n", id="from nothing"),
    pytest.param(b"a\n", b"", id="to nothing"),
    pytest.param(b"a\nb", b"a\nc\n", id="no line break at the end"),
    pytest.param(b"a\nb\n", b"a\nb", id="a line break that goes"),
    pytest.param(b"a\r\nb\r\n", b"a\nb\n", id="line ends of Windows"),
    # str.splitlines() splits a line at each of these; git does not.
    pytest.param(b"a\rb\x0cc\x1cd\x85e\n", b"a\n", id="other line ends"),
    pytest.param("a\u2028b\u0085c\n".encode(), b"a\n", id="line ends of Unicode"),
    pytest.param(b"\xff\xfe\n", b"a\n", id="no UTF-8"),
    pytest.param(
        # Lines of the file that git could take for a header of the patch.
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\ndiff --git a/x b/x\n",
        b"-- \n",
        id="what looks like a patch",
    ),
    pytest.param(
        b"a\n" * 100 + b"x\n" + b"b\n" * 100,
        b"a\n" * 100 + b"y\n" + b"b\n" * 99 + b"z\n",
        id="two places",
    ),
]


@pytest.mark.parametrize(("before", "after"), CONTENTS)
def test_git_turns_the_old_file_into_the_artifact(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    assert applied(tmp_path, change(before, after)).read_bytes() == after


@pytest.mark.parametrize(("before", "after"), CONTENTS)
def test_git_creates_and_removes_files(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert applied(tmp_path / "1", change(None, after)).read_bytes() == after
    assert not applied(tmp_path / "2", change(before, None)).exists()


@pytest.mark.parametrize(("old_mode", "new_mode"), [(0o644, 0o755), (0o755, 0o644), (0o600, 0o700)])
@pytest.mark.parametrize("after", [b"a\n", b"b\n"], ids=["alone", "with a line"])
def test_git_sets_the_executable_bit(
    tmp_path: Path, old_mode: int, new_mode: int, after: bytes
) -> None:
    # Git keeps no other bit of a mode.
    path = applied(tmp_path, change(b"a\n", after, old_mode, new_mode))
    assert bool(path.stat().st_mode & 0o100) == bool(new_mode & 0o100)
    assert path.read_bytes() == after


@pytest.mark.parametrize(
    # Git quotes a name with a quotation mark, a backslash or a byte that is not ASCII, and ends a
    # name with a blank in it by a tab.
    "below",
    ["teams/a", "my lab", "ünï", 'a"b', "a\\b", "x b", "a\tb", "a b/x b"],
)
@pytest.mark.parametrize(
    "planned",
    [
        pytest.param(change(b"a\n", b"b\n"), id="update"),
        pytest.param(change(None, b"b\n"), id="create"),
        pytest.param(change(b"a\n", None), id="delete"),
        pytest.param(change(b"a\n", b"a\n", 0o755), id="chmod"),
    ],
)
def test_a_folder_may_have_any_name(tmp_path: Path, planned: Change, below: str) -> None:
    path = applied(tmp_path, planned, below)
    if planned.artifact:
        assert path.read_bytes() == planned.artifact.content
    else:
        assert not path.exists()


def test_an_unchanged_file_has_no_patch() -> None:
    unchanged = Change(NAME, Action.KEEP, Actual(b"a", 0o644), Artifact(NAME, b"a", 0o644))
    assert diff([unchanged], PurePosixPath()) == ""
    # A patch of git cannot say this change of mode, so an empty patch is right.
    assert diff([change(b"a\n", b"a\n", 0o600, 0o644)], PurePosixPath()) == ""


def test_a_removed_secret_is_masked_and_reported() -> None:
    planned = change(b"A=1\nAPI_TOKEN=abc\n", b"A=1\n", conflict="was edited")
    assert "-API_TOKEN=********\n" in diff([planned], PurePosixPath())
    assert hides_secret(planned)
    assert not hides_secret(change(b"A=1\n", b"A=2\n"))


def test_a_value_that_gen_writes_is_not_masked() -> None:
    planned = change(
        b"TOKEN_URL=https://x.example/\n",
        b"TOKEN_URL=https://x.example/\nA=1\n",
        conflict="was edited",
    )
    assert "********" not in diff([planned], PurePosixPath())
    assert not hides_secret(planned)
