"""Patches, judged by git: what they say is what comes of the files."""

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
    was: int = 0o644,
    now: int = 0o644,
    conflict: str | None = None,
) -> Change:
    """Return the change from one content to another; ``None`` is no file."""
    actual = None if before is None else Actual(before, was)
    artifact = None if after is None else Artifact(NAME, after, now)
    action = (
        Action.CREATE if actual is None else Action.DELETE if artifact is None else Action.UPDATE
    )
    return Change(NAME, Action.CHMOD if before == after else action, actual, artifact, conflict)


def applied(folder: Path, made: Change, below: str = "") -> Path:
    """Make the file as it was below a folder, apply the patch with git, and return the file."""
    path = folder / below / made.path
    path.parent.mkdir(parents=True)
    if made.actual:
        path.write_bytes(made.actual.content)
        path.chmod(made.actual.mode)
    patch = diff([made], PurePosixPath(below)).encode("utf-8", "surrogateescape")
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
    pytest.param(b"a\rb\x0cc\x1cd\x85e\n", b"a\n", id="other line ends"),
    pytest.param("a\u2028b\u0085c\n".encode(), b"a\n", id="line ends of Unicode"),
    pytest.param(b"\xff\xfe\n", b"a\n", id="no UTF-8"),
    pytest.param(
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
def test_git_makes_of_a_file_what_the_patch_says(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    assert applied(tmp_path, change(before, after)).read_bytes() == after


@pytest.mark.parametrize(("before", "after"), CONTENTS)
def test_git_makes_and_removes_files(tmp_path: Path, before: bytes, after: bytes) -> None:
    assert applied(tmp_path / "1", change(None, after)).read_bytes() == after
    assert not applied(tmp_path / "2", change(before, None)).exists()


@pytest.mark.parametrize(("was", "now"), [(0o644, 0o755), (0o755, 0o644), (0o600, 0o700)])
@pytest.mark.parametrize("after", [b"a\n", b"b\n"], ids=["alone", "with a line"])
def test_git_sets_the_executable_bit(tmp_path: Path, was: int, now: int, after: bytes) -> None:
    path = applied(tmp_path, change(b"a\n", after, was, now))
    assert (bool(path.stat().st_mode & 0o100), path.read_bytes()) == (bool(now & 0o100), after)


@pytest.mark.parametrize(
    "below", ["teams/a", "my lab", "ünï", 'a"b', "a\\b", "x b", "a\tb", "a b/x b"]
)
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(change(b"a\n", b"b\n"), id="update"),
        pytest.param(change(None, b"b\n"), id="create"),
        pytest.param(change(b"a\n", None), id="delete"),
        pytest.param(change(b"a\n", b"a\n", 0o755), id="chmod"),
    ],
)
def test_a_folder_may_have_any_name(tmp_path: Path, made: Change, below: str) -> None:
    path = applied(tmp_path, made, below)
    assert (path.read_bytes() if path.exists() else None) == (
        made.artifact.content if made.artifact else None
    )


def test_what_stays_is_no_patch() -> None:
    assert (
        diff(
            [Change(NAME, Action.KEEP, Actual(b"a", 0o644), Artifact(NAME, b"a", 0o644))],
            PurePosixPath(),
        )
        == ""
    )
    assert diff([change(b"a\n", b"a\n", 0o600, 0o644)], PurePosixPath()) == ""


def test_a_secret_is_masked_where_it_goes_and_told() -> None:
    made = change(b"A=1\nAPI_TOKEN=abc\n", b"A=1\n", conflict="was edited")
    assert "-API_TOKEN=********\n" in diff([made], PurePosixPath())
    assert hides_secret(made)
    assert not hides_secret(change(b"A=1\n", b"A=2\n"))


def test_what_gen_writes_itself_is_no_secret() -> None:
    made = change(
        b"TOKEN_URL=https://x.example/\n",
        b"TOKEN_URL=https://x.example/\nA=1\n",
        conflict="was edited",
    )
    assert "********" not in diff([made], PurePosixPath())
    assert not hides_secret(made)
