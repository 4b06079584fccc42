"""The cause of each difference between a file and its artifact; some differences are no drift."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.workspace.drift import Cause, drifts
from generator.workspace.lock import Lock, RecordedInputs, RecordedSpec, Written
from generator.workspace.plan import Actual, plan

PATH = PurePosixPath("ssh/mila.conf")
KEY_DIGESTS = {"hosts.mila.port": "1", "title": "2"}
INPUTS = RecordedInputs(
    "0.1.0", "aa", RecordedSpec("site_specs/mila.yaml", "bb", KEY_DIGESTS), {}, ()
)


def with_keys(key_digests: dict[str, str]) -> RecordedInputs:
    return replace(INPUTS, spec=replace(INPUTS.spec, key_digests=key_digests))


CHANGED = with_keys({"hosts.mila.port": "9", "title": "2"})
OLD = Actual(b"old\n", 0o600)


def drift_of(
    actual: Actual | None,
    current: RecordedInputs | None = INPUTS,
    written: bytes | None = b"old\n",
    generated: bytes | None = b"new\n",
    owner: Owner = Owner.MANAGED,
) -> list[tuple[Cause, str]]:
    files = {PATH: Written(digest(written), "0600")} if written is not None else {}
    artifacts = []
    if generated is not None and current:
        artifacts.append(Artifact(PATH, generated, 0o600, owner=owner))
    changes = plan(artifacts, {PATH: actual} if actual else {}, files)
    drift_list = drifts(Lock("mila", INPUTS, files), current, changes)
    return [(drift.cause, drift.reason) for drift in drift_list]


STALE = "differs from the compiled spec"


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        pytest.param(CHANGED, "the spec (hosts.mila.port) changed", id="a key of the spec"),
        pytest.param(
            with_keys({"title": "2"}), "the spec (hosts.mila.port) changed", id="a key was removed"
        ),
        pytest.param(
            with_keys({**KEY_DIGESTS, "a": "1", "b": "1", "c": "1", "d": "1"}),
            "the spec (a, b, c and 1 more) changed",
            id="many keys were added",
        ),
        pytest.param(
            replace(INPUTS, gen_version="0.2.0"),
            "the version of gen (0.1.0 → 0.2.0) changed",
            id="the tool",
        ),
        pytest.param(
            replace(INPUTS, templates_digest="cc"), "the templates changed", id="a template"
        ),
        pytest.param(
            replace(CHANGED, gen_version="0.2.0", templates_digest="cc"),
            "the spec (hosts.mila.port) and the version of gen (0.1.0 → 0.2.0)"
            " and the templates changed",
            id="all of them",
        ),
    ],
)
def test_an_unedited_file_is_stale_if_an_input_changed(
    current: RecordedInputs, reason: str
) -> None:
    assert drift_of(OLD, current) == [(Cause.STALE, f"{STALE}: {reason}")]


@pytest.mark.parametrize(
    ("actual", "current", "written", "expected"),
    [
        pytest.param(
            Actual(b"mine\n", 0o600),
            INPUTS,
            b"new\n",
            (Cause.EDITED, "was edited since gen wrote it"),
            id="edited",
        ),
        pytest.param(
            Actual(b"mine\n", 0o600),
            CHANGED,
            b"old\n",
            (
                Cause.EDITED,
                "was edited since gen wrote it; since then the spec (hosts.mila.port) changed",
            ),
            id="edited, and the spec changed",
        ),
        pytest.param(
            # The file has the digest of the lock, but no input explains why it differs from the
            # artifact: someone edited both, to hide the edit.
            OLD,
            INPUTS,
            b"old\n",
            (Cause.EDITED, "was edited, and its digest in the lock with it"),
            id="lock edited, too",
        ),
        pytest.param(
            Actual(b"mine\n", 0o600),
            INPUTS,
            None,
            (Cause.EDITED, "was here before, and gen did not write it"),
            id="not in the lock",
        ),
        pytest.param(
            # git writes this on a checkout with core.autocrlf.
            Actual(b"new\r\n", 0o600),
            INPUTS,
            b"new\n",
            (
                Cause.EDITED,
                "has the line ends of Windows and no other difference;"
                " .gitattributes prevents that",
            ),
            id="line ends",
        ),
        pytest.param(None, INPUTS, b"new\n", (Cause.MISSING, "was deleted"), id="deleted"),
        pytest.param(
            None,
            CHANGED,
            None,
            (Cause.STALE, "does not exist yet: the spec (hosts.mila.port) changed"),
            id="new since the spec changed",
        ),
        pytest.param(
            Actual(b"new\n", 0o755),
            INPUTS,
            b"new\n",
            (Cause.MODE, "its mode is 0755, not 0600"),
            id="executable",
        ),
    ],
)
def test_a_generated_file_differs_for_one_cause(
    actual: Actual | None,
    current: RecordedInputs,
    written: bytes | None,
    expected: tuple[Cause, str],
) -> None:
    assert drift_of(actual, current, written) == [expected]


@pytest.mark.parametrize(
    ("actual", "current", "expected"),
    [
        pytest.param(
            OLD, CHANGED, [(Cause.ORPHANED, "is no longer generated")], id="generated no more"
        ),
        pytest.param(
            OLD,
            INPUTS,
            [(Cause.ORPHANED, "is no longer generated")],
            id="only the lock says that it ever was",
        ),
        pytest.param(
            OLD,
            None,
            [
                (
                    Cause.ORPHANED,
                    "its spec, site_specs/mila.yaml, is gone or belongs to another site",
                )
            ],
            id="the spec of its site is gone",
        ),
        pytest.param(
            Actual(b"mine\n", 0o600),
            None,
            [
                (
                    Cause.ORPHANED,
                    "its spec, site_specs/mila.yaml, is gone or belongs to another site;"
                    " was edited since gen wrote it",
                )
            ],
            id="edited, too",
        ),
        pytest.param(None, None, [], id="gone itself"),
    ],
)
def test_a_file_that_is_not_generated_is_orphaned(
    actual: Actual | None, current: RecordedInputs | None, expected: list[tuple[Cause, str]]
) -> None:
    assert drift_of(actual, current, generated=None) == expected


@pytest.mark.parametrize(
    ("actual", "current", "owner"),
    [
        pytest.param(Actual(b"new\n", 0o600), INPUTS, Owner.MANAGED, id="the same"),
        pytest.param(
            Actual(b"new\n", 0o600), CHANGED, Owner.MANAGED, id="the same, though the spec changed"
        ),
        pytest.param(
            # git keeps the executable bit alone: every checkout turns 0600 into 0644.
            Actual(b"new\n", 0o644),
            INPUTS,
            Owner.MANAGED,
            id="a mode that git does not keep",
        ),
        # gen writes a seeded file once; from then on it is the user's.
        pytest.param(Actual(b"mine\n", 0o755), CHANGED, Owner.SEEDED, id="a seeded file, edited"),
        pytest.param(None, CHANGED, Owner.SEEDED, id="a seeded file, deleted"),
    ],
)
def test_a_difference_that_is_not_drift(
    actual: Actual | None, current: RecordedInputs, owner: Owner
) -> None:
    assert drift_of(actual, current, owner=owner) == []
