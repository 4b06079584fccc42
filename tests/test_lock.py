"""A lock comes from git, so from anybody."""

import json
from pathlib import PurePosixPath
from typing import Any

import pytest

from generator import lock
from generator.artifact import Artifact, Owner
from generator.errors import GenError

ARTIFACT = Artifact(PurePosixPath("ssh/mila.conf"), b"Host mila\n", 0o600)


def test_a_lock_tells_what_was_written_and_from_what() -> None:
    read = lock.parse(lock.of("mila", [ARTIFACT], {"person": {"user": "ada"}}), "mila.lock")
    assert read.inputs == {"person": {"user": "ada"}}
    assert read.files == {ARTIFACT.path: lock.Written(lock.digest(b"Host mila\n"), 0o600, Owner.MANAGED)}


def test_a_lock_has_a_line_for_each_value_and_the_same_bytes_each_time() -> None:
    first = lock.of("mila", [ARTIFACT], {"b": 1, "a": 2})
    assert first == lock.of("mila", [ARTIFACT], {"a": 2, "b": 1})
    assert b'\n    "a": 2,\n    "b": 1\n' in first


def changed(**values: Any) -> bytes:
    record = json.loads(lock.of("mila", [ARTIFACT], {}))
    return json.dumps(record | values).encode()


FILE = {"sha256": "0", "mode": "0600", "owner": "managed"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"<<<<<<< HEAD\n{}\n=======\n", id="merge conflict"),
        pytest.param(b"", id="empty"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param(changed(files={"../x": FILE}), id="a path above the folder"),
        pytest.param(changed(files={"a/../../x": FILE}), id="a path that climbs out"),
        pytest.param(changed(files={"/etc/passwd": FILE}), id="an absolute path"),
        pytest.param(changed(files={"": FILE}), id="an empty path"),
        pytest.param(changed(files={"a\nb": FILE}), id="a path with a line break"),
        pytest.param(changed(files={"a": {**FILE, "mode": "rw"}}), id="no mode"),
        pytest.param(changed(files={"a": {**FILE, "owner": "root"}}), id="no owner of ours"),
        pytest.param(changed(files={"a": []}), id="no record"),
    ],
)
def test_a_lock_that_gen_did_not_write_is_refused(content: bytes) -> None:
    with pytest.raises(GenError, match=r"^\.gen/mila\.lock: is no lock that gen wrote"):
        lock.parse(content, ".gen/mila.lock")


def test_a_lock_of_another_format_says_which_gen_reads_it() -> None:
    with pytest.raises(GenError, match="is of format 99, this gen reads 1"):
        lock.parse(changed(format=99), ".gen/mila.lock")
