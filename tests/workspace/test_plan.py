"""Artifacts, files on disk and the lock give one list of changes."""

from pathlib import PurePosixPath

import pytest

from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.workspace.lock import Written
from generator.workspace.plan import Action, Actual, plan

PATH = PurePosixPath("ssh/mila.conf")
NEW = Artifact(PATH, b"new\n", 0o600)
# Written once; then it is the user's.
SEED = Artifact(PATH, b"new\n", 0o600, owner=Owner.SEEDED)


def written(content: bytes) -> Written:
    # As a lock has it: a digest, and the mode in octal.
    return Written(digest(content), "0600")


@pytest.mark.parametrize(
    ("artifact", "actual", "entry", "action", "conflict"),
    [
        pytest.param(
            NEW, None, None, Action.CREATE, None, id="a file that is not there is created"
        ),
        pytest.param(
            NEW,
            None,
            written(b"old\n"),
            Action.CREATE,
            None,
            id="a file that was deleted comes back",
        ),
        pytest.param(
            NEW,
            Actual(b"new\n", 0o600),
            written(b"new\n"),
            Action.KEEP,
            None,
            id="the same file stays",
        ),
        pytest.param(
            NEW,
            # A lock that was lost, or that a merge dropped, makes no conflict by itself.
            Actual(b"new\n", 0o600),
            None,
            Action.KEEP,
            None,
            id="the same file without a lock stays",
        ),
        pytest.param(
            NEW,
            # git keeps no other mode than that of a program, so a clone has this one.
            Actual(b"new\n", 0o644),
            written(b"new\n"),
            Action.CHMOD,
            None,
            id="another mode is set right",
        ),
        pytest.param(
            NEW,
            Actual(b"old\n", 0o600),
            written(b"old\n"),
            Action.UPDATE,
            None,
            id="what gen wrote is replaced",
        ),
        pytest.param(
            NEW,
            Actual(b"mine\n", 0o600),
            written(b"old\n"),
            Action.UPDATE,
            "was edited since gen wrote it",
            id="an edited file is a conflict",
        ),
        pytest.param(
            NEW,
            Actual(b"mine\n", 0o600),
            None,
            Action.UPDATE,
            "was here before, and gen did not write it",
            id="a foreign file is a conflict",
        ),
        pytest.param(SEED, None, None, Action.CREATE, None, id="a seeded file is created once"),
        pytest.param(
            SEED,
            None,
            written(b"new\n"),
            Action.KEEP,
            None,
            id="a seeded file that was deleted stays so",
        ),
        pytest.param(
            SEED,
            Actual(b"mine\n", 0o644),
            written(b"new\n"),
            Action.KEEP,
            None,
            id="a seeded file is the user's",
        ),
    ],
)
def test_a_generated_file_is_written_unless_it_is_the_users(
    artifact: Artifact,
    actual: Actual | None,
    entry: Written | None,
    action: Action,
    conflict: str | None,
) -> None:
    [change] = plan([artifact], {PATH: actual} if actual else {}, {PATH: entry} if entry else {})
    assert (change.action, change.conflict) == (action, conflict)


@pytest.mark.parametrize(
    ("actual", "entry", "expected"),
    [
        pytest.param(
            Actual(b"old\n", 0o600),
            written(b"old\n"),
            [(Action.DELETE, None)],
            id="what gen wrote goes",
        ),
        pytest.param(
            Actual(b"mine\n", 0o600),
            written(b"old\n"),
            [(Action.DELETE, "was edited since gen wrote it")],
            id="an edited one is a conflict",
        ),
        pytest.param(None, written(b"old\n"), [], id="what is gone already is no change"),
    ],
)
def test_a_file_that_is_not_generated_any_more_is_deleted(
    actual: Actual | None, entry: Written, expected: list[tuple[Action, str | None]]
) -> None:
    changes = plan([], {PATH: actual} if actual else {}, {PATH: entry})
    assert [(change.action, change.conflict) for change in changes] == expected
