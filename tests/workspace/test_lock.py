"""A lock comes from git, so from anybody."""

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import pytest

from generator.compiler import digests
from generator.compiler.artifact import Artifact, Owner
from generator.errors import GenError
from generator.schema.project import Project
from generator.workspace import lock

ARTIFACT = Artifact(PurePosixPath("ssh/mila.conf"), b"Host mila\n", 0o600)


RECIPE = lock.Recipe(
    "0.1.0",
    "aa",
    "catalogue:mila",
    "bb",
    {"auth.method": "cc"},
    {"user": "ada"},
    ("slurm.qos=null",),
)


def test_a_lock_tells_what_was_written_and_from_what() -> None:
    read = lock.parse(lock.of("mila", [ARTIFACT], RECIPE), "mila.lock")
    assert (read.site, read.recipe, read.recipe.catalogue) == ("mila", RECIPE, "mila")
    assert read.files == {
        ARTIFACT.path: lock.Written(digests.digest(b"Host mila\n"), 0o600, Owner.MANAGED)
    }


def test_a_lock_tells_of_the_project_and_not_of_what_is_the_users_in_it() -> None:
    recipe = replace(RECIPE, project=Project(PurePosixPath("p"), "a", alone=True))
    seed = Artifact(PurePosixPath("p/pyproject.toml"), b"", 0o644, owner=Owner.SEEDED)
    wiring = Artifact(PurePosixPath("p/src/a/sites/mila.toml"), b"", 0o644)
    read = lock.parse(lock.of("mila", [wiring, seed], recipe), "mila.lock")
    assert (read.recipe, list(read.files)) == (recipe, [wiring.path])


def test_a_lock_has_a_line_for_each_value_and_the_same_bytes_each_time() -> None:
    turned = replace(RECIPE, keys={"b": "1", "a": "2"})
    first = lock.of("mila", [ARTIFACT], replace(RECIPE, keys={"a": "2", "b": "1"}))
    assert first == lock.of("mila", [ARTIFACT], turned)
    assert b'\n        "a": "2",\n        "b": "1"\n' in first


def test_every_value_of_a_spec_has_a_digest_of_its_own() -> None:
    assert list(digests.key_digests({"a": {"b": 1, "c": [1]}, "d": "x"})) == ["a.b", "a.c", "d"]
    assert digests.key_digests({"a": 1}) != digests.key_digests({"a": "1"})


def test_our_side_of_a_merge_conflict_is_what_git_calls_ours() -> None:
    content = b"a\n<<<<<<< HEAD\nours\n||||||| base\nwas\n=======\ntheirs\n>>>>>>> branch\nz\n"
    assert lock.conflicted(content)
    assert lock.ours(content) == b"a\nours\nz\n"
    assert not lock.conflicted(lock.ours(content))


def changed(**values: Any) -> bytes:
    record = json.loads(lock.of("mila", [ARTIFACT], RECIPE))
    return json.dumps(record | values).encode()


INPUTS = json.loads(lock.of("mila", [ARTIFACT], RECIPE))["inputs"]
FILE = {"sha256": "0", "mode": "0600", "owner": "managed"}


def wired(folder: str, package: str = "a", files: dict[str, Any] | None = None) -> bytes:
    project = {"folder": folder, "package": package, "alone": False}
    return changed(inputs={**INPUTS, "project": project}, files=files or {})


@pytest.mark.parametrize(
    "content",
    [
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
        pytest.param(changed(site="../x"), id="a site that is a path"),
        pytest.param(changed(inputs={}), id="no inputs"),
        pytest.param(
            changed(inputs={**INPUTS, "profile": {"user": ["x"]}}), id="a profile that is none"
        ),
        pytest.param(wired("p/../.."), id="a project that climbs out"),
        pytest.param(wired("/p"), id="a project at an absolute path"),
        pytest.param(wired("p\n"), id="a project with a line break"),
        pytest.param(wired("p", package="a/b"), id="a package that is a path"),
        pytest.param(
            wired("p", files={"p/src/a/sites/other.toml": FILE}), id="the wiring of another site"
        ),
        pytest.param(
            wired("p", files={"p/pyproject.toml": FILE}),
            id="a file of the project that is the user's",
        ),
    ],
)
def test_a_lock_that_gen_did_not_write_is_refused(content: bytes) -> None:
    with pytest.raises(GenError, match=r"^\.gen/mila\.lock: is no lock that gen wrote"):
        lock.parse(content, ".gen/mila.lock")


def test_a_merge_conflict_in_a_lock_is_recognised() -> None:
    with pytest.raises(
        GenError, match="has a merge conflict; gen site --all --out DIR makes it anew"
    ):
        lock.parse(b"<<<<<<< HEAD\n{}\n=======\n", ".gen/mila.lock")


def test_a_lock_of_another_format_says_which_gen_reads_it() -> None:
    with pytest.raises(GenError, match="is of format 99, this gen reads 1"):
        lock.parse(changed(format=99), ".gen/mila.lock")
