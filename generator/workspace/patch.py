"""Changes as a patch that `git apply` takes, but for files with what looks like a secret: that is masked."""

from collections.abc import Iterable, Iterator
from difflib import unified_diff
from pathlib import PurePosixPath

from generator.workspace.plan import Action, Change
from generator.workspace.redaction import masked


def diff(changes: Iterable[Change], folder: PurePosixPath) -> str:
    """Return the patch, empty when nothing changes; `folder` goes in front of every path.

    Of modes it has the executable bit, which is all that git keeps. Bytes that are no UTF-8 are surrogates in it.
    """
    return "".join(line for change in changes for line in _patch(change, folder / change.path))


def hidden(change: Change) -> bool:
    """Tell whether a secret is masked in a change, so that `git apply` will not find the line."""
    before, after = _sides(change)
    return _masked(change, before, after) != before


def _masked(change: Change, before: list[str], after: list[str]) -> list[str]:
    """Mask what somebody may have typed; a file that is as gen wrote it has no secret."""
    if change.conflict is None:
        return before
    return masked(before, after, assigned=change.path.name.startswith(".env"))


def _sides(change: Change) -> tuple[list[str], list[str]]:
    return (
        _lines(change.actual.content if change.actual else b""),
        _lines(change.artifact.content if change.artifact else b""),
    )


def _patch(change: Change, path: PurePosixPath) -> Iterator[str]:
    if change.action is Action.KEEP:
        return
    before, after = _sides(change)
    old = _git_mode(change.actual.mode) if change.actual else None
    new = _git_mode(change.artifact.mode) if change.artifact else None
    if before == after and old == new:
        return
    ours, theirs = _quoted(f"a/{path}"), _quoted(f"b/{path}")
    yield f"diff --git {ours} {theirs}\n"
    if old is None:
        yield f"new file mode {new}\n"
    elif new is None:
        yield f"deleted file mode {old}\n"
    elif old != new:
        yield f"old mode {old}\nnew mode {new}\n"
    names = ("/dev/null" if old is None else ours, "/dev/null" if new is None else theirs)
    for line in unified_diff(_masked(change, before, after), after, *names):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _quoted(path: str) -> str:
    """Return a path as git writes it: in quotes, with escapes, where it could be read otherwise."""
    if path.isprintable() and '"' not in path and "\\" not in path:
        return path
    special = {ord('"'): '\\"', ord("\\"): "\\\\"} | {
        number: f"\\{number:03o}" for number in range(32)
    }
    return f'"{path.translate(special)}"'


def _git_mode(mode: int) -> str:
    return "100755" if mode & 0o100 else "100644"


def _lines(content: bytes) -> list[str]:
    """Split at line feeds only: a carriage return or a form feed is part of its line, as it is to git."""
    text = content.decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [last] if (last := text.rpartition("\n")[2]) else []
    )
