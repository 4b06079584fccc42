"""Show changes as a patch that `git apply` takes; a line that looks like a secret is masked."""

from collections.abc import Iterable, Iterator
from difflib import unified_diff
from pathlib import PurePosixPath

from generator.compiler.artifact import Artifact
from generator.workspace.plan import Action, Actual, Change
from generator.workspace.redaction import masked

# git apply needs this line to keep a file without a line feed at its end (diff(1), GNU).
_NO_NEWLINE = "\\ No newline at end of file\n"
# git writes a control character in a path as an octal escape (git-config(1), core.quotePath).
_ESCAPES = {number: f"\\{number:03o}" for number in range(32)}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\"}


def diff(changes: Iterable[Change], directory: PurePosixPath) -> str:
    """Return the patch, empty when nothing changes; `directory` is put in front of every path.

    Of modes it has the executable bit, which is all that git keeps. Bytes that are not UTF-8
    are surrogates in it.
    """
    lines: list[str] = []
    for change in changes:
        lines += _patch(change, directory / change.path)
    return "".join(lines)


def hides_secret(change: Change) -> bool:
    """Return whether the patch of a change has a masked line.

    `git apply` would not find that line in the file.
    """
    before, after = _sides(change)
    return _masked(change, before, after) != before


def _masked(change: Change, before: list[str], after: list[str]) -> list[str]:
    """Mask secrets that a user may have typed.

    gen writes no secret, so a file as gen wrote it has none.
    """
    # Masked all the same, a line would make the patch fail that should repair the file.
    if change.conflict is None:
        return before
    return masked(before, after, is_env_file=change.path.name.startswith(".env"))


def _sides(change: Change) -> tuple[list[str], list[str]]:
    before: list[str] = []
    after: list[str] = []
    if change.actual:
        before = _lines(change.actual.content)
    if change.artifact:
        after = _lines(change.artifact.content)
    return before, after


def _patch(change: Change, path: PurePosixPath) -> Iterator[str]:
    if change.action is Action.KEEP:
        return
    before, after = _sides(change)
    old_mode = _git_mode(change.actual)
    new_mode = _git_mode(change.artifact)
    if before == after and old_mode == new_mode:
        return
    old_name, new_name = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    yield f"diff --git {old_name} {new_name}\n"
    if old_mode is None:
        yield f"new file mode {new_mode}\n"
        old_name = "/dev/null"
    elif new_mode is None:
        yield f"deleted file mode {old_mode}\n"
        new_name = "/dev/null"
    elif old_mode != new_mode:
        yield f"old mode {old_mode}\nnew mode {new_mode}\n"
    for line in unified_diff(_masked(change, before, after), after, old_name, new_name):
        yield line
        if not line.endswith("\n"):
            yield f"\n{_NO_NEWLINE}"


def _quoted(path: str) -> str:
    """Return a path as git writes it: in quotes, with escapes, if it could be read otherwise."""
    if path.isprintable() and '"' not in path and "\\" not in path:
        return path
    return f'"{path.translate(_ESCAPES)}"'


def _git_mode(file: Actual | Artifact | None) -> str | None:
    """Return the mode of a file in git's two forms; ``None`` without a file."""
    if file is None:
        return None
    if file.mode & 0o100:
        return "100755"
    return "100644"


def _lines(content: bytes) -> list[str]:
    """Split at line feeds only: to git, a carriage return or a form feed is part of its line."""
    *complete, last = content.decode("utf-8", "surrogateescape").split("\n")
    lines = [f"{line}\n" for line in complete]
    return [*lines, last] if last else lines
