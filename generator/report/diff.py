"""Changes as a patch that `git apply` takes, with paths below the output folder."""

from collections.abc import Iterable, Iterator
from difflib import unified_diff

from generator.plan import Action, Change


def diff(changes: Iterable[Change]) -> str:
    """Return the patch, empty when nothing changes; modes are not in it, since git knows the executable bit only."""
    return "".join(line for change in changes for line in _patch(change))


def _patch(change: Change) -> Iterator[str]:
    if change.action in (Action.KEEP, Action.CHMOD):
        return
    before = change.actual.content if change.actual else None
    after = change.artifact.content if change.artifact else None
    yield f"diff --git a/{change.path} b/{change.path}\n"
    if before is None:
        yield "new file mode 100644\n"
    if after is None:
        yield "deleted file mode 100644\n"
    names = (
        "/dev/null" if before is None else f"a/{change.path}",
        "/dev/null" if after is None else f"b/{change.path}",
    )
    for line in unified_diff(_lines(before), _lines(after), *names):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _lines(content: bytes | None) -> list[str]:
    """Split at line feeds only: a carriage return or a form feed is part of its line, as it is to git."""
    text = (content or b"").decode("utf-8", "replace")
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])
