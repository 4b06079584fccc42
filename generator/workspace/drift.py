"""Why a managed file is not what its spec compiles to."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from generator.compiler.artifact import Artifact
from generator.compiler.digests import digest
from generator.workspace.lock import Lock, RecordedInputs, Written
from generator.workspace.plan import Action, Actual, Change


class Cause(StrEnum):
    """What made a file differ."""

    EDITED = "edited"
    STALE = "stale"
    MISSING = "missing"
    ORPHANED = "orphaned"
    MODE = "mode"


@dataclass(frozen=True)
class Drift:
    """One file that differs, and why."""

    change: Change
    cause: Cause
    reason: str
    keys: tuple[str, ...] = ()
    """Keys of the spec that moved, where that is the reason."""


@dataclass(frozen=True)
class Moved:
    """Which inputs are not what they were when the site was generated."""

    keys: tuple[str, ...]
    gen: str | None
    templates: bool

    def __bool__(self) -> bool:
        return bool(self.keys or self.gen or self.templates)

    def __str__(self) -> str:
        what = [f"the spec ({_few(self.keys)})"] if self.keys else []
        what += [f"the version of gen ({self.gen})"] if self.gen else []
        what += ["the templates"] if self.templates else []
        return " and ".join(what)


def moved(was: RecordedInputs, now: RecordedInputs) -> Moved:
    """Return what differs between two recipes of a site."""
    old, new = was.spec.key_digests, now.spec.key_digests
    keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return Moved(
        keys=tuple(keys),
        gen=f"{was.gen_version} → {now.gen_version}"
        if was.gen_version != now.gen_version
        else None,
        templates=was.templates_digest != now.templates_digest,
    )


def drifts(was: Lock, now: RecordedInputs | None, changes: list[Change]) -> Iterator[Drift]:
    """Yield what a change of a plan would mend; a recipe of ``None`` says that the spec is gone."""
    since = moved(was.inputs, now) if now else None
    for change in changes:
        if found := _drift(was, since, change):
            yield found


def _drift(was: Lock, since: Moved | None, change: Change) -> Drift | None:
    match change:
        case Change(action=Action.CREATE):
            if change.path in was.files:
                return Drift(change, Cause.MISSING, "was deleted")
            return _stale(change, since, "is not there yet")
        case Change(action=Action.UPDATE, actual=Actual() as found, artifact=Artifact() as wanted):
            return _differs(change, since, was.files.get(change.path), found, wanted)
        case Change(action=Action.DELETE):
            why = (
                "is generated no more"
                if since is not None
                else f"its spec, {was.inputs.spec.path}, is gone or of another site now"
            )
            return Drift(
                change, Cause.ORPHANED, f"{why}; {change.conflict}" if change.conflict else why
            )
        case Change(action=Action.CHMOD, actual=Actual() as found, artifact=Artifact() as wanted):
            if (
                found.mode ^ wanted.mode
            ) & 0o111:  # the bits that git keeps; a checkout has all others from the umask
                return Drift(
                    change, Cause.MODE, f"its mode is {found.mode:04o}, not {wanted.mode:04o}"
                )
    return None


def _differs(
    change: Change, since: Moved | None, was: Written | None, found: Actual, wanted: Artifact
) -> Drift:
    if was and digest(found.content) == was.sha256:
        if since:
            return _stale(change, since, "is not what the spec compiles to")
        return Drift(change, Cause.EDITED, "was edited, and its digest in the lock with it")
    if found.content.replace(b"\r\n", b"\n") == wanted.content:
        return Drift(
            change,
            Cause.EDITED,
            "has line ends of Windows, and nothing else; .gitattributes prevents that",
        )
    also = f"; since then {since} changed" if since else ""
    return Drift(change, Cause.EDITED, f"{change.conflict}{also}")


def _stale(change: Change, since: Moved | None, what: str) -> Drift:
    return Drift(
        change, Cause.STALE, f"{what}: {since or 'the lock'} changed", since.keys if since else ()
    )


def _few(keys: tuple[str, ...]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
