"""A lock comes from git, so from anybody: gen refuses everything that gen does not write."""

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
SPEC = lock.RecordedSpec("catalogue:mila", "bb", {"auth.method": "cc"})
INPUTS = lock.RecordedInputs("0.1.0", "aa", SPEC, {"user": "ada"}, ("slurm.qos=null",))
FIX = "run gen site mila --force to regenerate it"


# One value a line keeps the diff of a lock readable, and lets git merge two branches that changed
# different files.
def test_a_lock_is_json_with_a_line_for_each_value() -> None:
    project = Project(PurePosixPath("p"), "a")
    content = lock.encode("mila", [ARTIFACT], replace(INPUTS, project=project))
    assert (
        content.decode()
        == f"""\
{{
  "files": {{
    "ssh/mila.conf": {{
      "mode": "0600",
      "sha256": "{digests.digest(b"Host mila" + bytes([10]))}"
    }}
  }},
  "format_version": "2.0",
  "inputs": {{
    "gen_version": "0.1.0",
    "overrides": [
      "slurm.qos=null"
    ],
    "profile": {{
      "user": "ada"
    }},
    "project": {{
      "alone": false,
      "folder": "p",
      "package": "a"
    }},
    "spec": {{
      "key_digests": {{
        "auth.method": "cc"
      }},
      "path": "catalogue:mila",
      "sha256": "bb"
    }},
    "templates_digest": "aa"
  }},
  "site": "mila"
}}
"""
    )


def test_parse_reads_the_output_of_encode() -> None:
    parsed = lock.parse(lock.encode("mila", [ARTIFACT], INPUTS), "mila.lock")
    sha256 = digests.digest(b"Host mila\n")
    assert parsed == lock.Lock("mila", INPUTS, {ARTIFACT.path: lock.Written(sha256, "0600")})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("catalogue:mila", "mila", id="catalogue"),
        pytest.param("site_specs/mila.yaml", None, id="a file"),
    ],
)
def test_a_spec_has_a_catalogue_name_if_it_is_from_there(path: str, expected: str | None) -> None:
    assert replace(SPEC, path=path).catalogue_name == expected


def test_a_lock_records_the_managed_files_of_a_project_and_no_seeded_ones() -> None:
    inputs = replace(INPUTS, project=Project(PurePosixPath("p"), "a", alone=True))
    seed = Artifact(PurePosixPath("p/pyproject.toml"), b"", 0o644, owner=Owner.SEEDED)
    wiring = Artifact(PurePosixPath("p/src/a/sites/mila.toml"), b"", 0o644)
    parsed = lock.parse(lock.encode("mila", [wiring, seed], inputs), "mila.lock")
    assert (parsed.inputs, list(parsed.files)) == (inputs, [wiring.path])


def test_the_bytes_of_a_lock_do_not_depend_on_the_order_of_its_values() -> None:
    ordered = replace(INPUTS, spec=replace(SPEC, key_digests={"a": "2", "b": "1"}))
    reversed_order = replace(INPUTS, spec=replace(SPEC, key_digests={"b": "1", "a": "2"}))
    encoded = lock.encode("mila", [ARTIFACT], ordered)
    assert encoded == lock.encode("mila", [ARTIFACT], reversed_order)


def test_each_value_of_a_spec_has_its_own_digest() -> None:
    assert list(digests.key_digests({"a": {"b": 1, "c": [1]}, "d": "x"})) == ["a.b", "a.c", "d"]
    # A change of type alone is a change of the spec too.
    assert digests.key_digests({"a": 1}) != digests.key_digests({"a": "1"})


def test_our_side_of_a_merge_conflict_is_the_side_that_git_calls_ours() -> None:
    # With merge.conflictStyle=diff3 git adds the base as a third side.
    content = b"a\n<<<<<<< HEAD\nours\n||||||| base\nwas\n=======\ntheirs\n>>>>>>> branch\nz\n"
    assert lock.has_conflict_markers(content)
    assert lock.our_side(content) == b"a\nours\nz\n"
    assert not lock.has_conflict_markers(lock.our_side(content))


RECORD = json.loads(lock.encode("mila", [ARTIFACT], INPUTS))
FILE = {"sha256": "0", "mode": "0600"}


def changed(**values: Any) -> bytes:
    return json.dumps(RECORD | values).encode()


def with_inputs(**values: Any) -> bytes:
    return changed(inputs=RECORD["inputs"] | values)


def with_project(folder: str, package: str = "a", files: dict[str, Any] | None = None) -> bytes:
    project = {"folder": folder, "package": package, "alone": False}
    return changed(inputs=RECORD["inputs"] | {"project": project}, files=files or {})


UNPRINTABLE = "inputs: holds a character that cannot be printed"
NO_PROJECT = "inputs.project: is not a project below the output directory"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "1: is not valid JSON: Expecting value", id="empty"),
        pytest.param(b"[1]", " expected an object, found a list", id="a list"),
        pytest.param(b"\xff", " is not valid UTF-8", id="not UTF-8"),
        # json.loads raises RecursionError here, which is not a ValueError.
        pytest.param(b"[" * 100_000, " is nested too deeply", id="deeply nested"),
        pytest.param(
            b'{"format": 1}',
            " format_version: is missing or not a version",
            id="a lock before format 2.0",
        ),
        pytest.param(
            # The paths below are attacks: `gen site` deletes files of the lock that it generates no
            # more, and `gen check` prints them.
            changed(files={"../x": FILE}),
            " files.../x: gen never writes this file for mila",
            id="a path above the directory",
        ),
        pytest.param(
            changed(files={"a/../../x": FILE}),
            " files.a/../../x: gen never writes this file for mila",
            id="a path that climbs out",
        ),
        pytest.param(
            changed(files={"/etc/passwd": FILE}),
            " files./etc/passwd: gen never writes this file for mila",
            id="an absolute path",
        ),
        pytest.param(changed(files={"": FILE}), " files.: expected a path", id="an empty path"),
        pytest.param(
            # In a log of CI a second line could start with `::error` or end a code block of a
            # report.
            changed(files={"a\nb": FILE}),
            " files.'a\\nb': expected a path",
            id="a path with a line break",
        ),
        pytest.param(
            changed(files={"ssh/mila.conf": {**FILE, "mode": 384}}),
            " files.ssh/mila.conf.mode: expected text, found a whole number",
            id="a mode that is a number",
        ),
        pytest.param(
            changed(files={"ssh/mila.conf": {**FILE, "owner": "root"}}),
            " files.ssh/mila.conf.owner: there is no such key",
            id="an unknown key",
        ),
        pytest.param(
            changed(files={"ssh/mila.conf": []}),
            " files.ssh/mila.conf: expected an object, found a list",
            id="a list for a file",
        ),
        pytest.param(
            # The name becomes a part of file names.
            changed(site="../x"),
            " site: is not the name of a site",
            id="a site that is a path",
        ),
        pytest.param(changed(inputs={}), " inputs.gen_version: is missing", id="no inputs"),
        pytest.param(
            with_inputs(profile={"user": ["x"]}),
            " inputs.profile.user: expected text or true or false, found a list",
            id="a list for a user",
        ),
        pytest.param(with_inputs(profile={"user": "a\nb"}), f" {UNPRINTABLE}", id="a line break"),
        # gen prints the recorded options in a terminal.
        pytest.param(with_inputs(overrides=["a=\x1b"]), f" {UNPRINTABLE}", id="an escape"),
        pytest.param(
            with_inputs(spec=RECORD["inputs"]["spec"] | {"key_digests": {"a\rb": "1"}}),
            f" {UNPRINTABLE}",
            id="a key with a carriage return",
        ),
        pytest.param(with_project("p/../.."), f" {NO_PROJECT}", id="a project that climbs out"),
        pytest.param(with_project("/p"), f" {NO_PROJECT}", id="a project at an absolute path"),
        pytest.param(
            with_project("p\n"),
            " inputs.project.folder: expected a path",
            id="a project with a line break",
        ),
        pytest.param(
            with_project("p", package="a/b"), f" {NO_PROJECT}", id="a package that is a path"
        ),
        pytest.param(
            with_project("p", files={"p/src/a/sites/other.toml": FILE}),
            " files.p/src/a/sites/other.toml: gen never writes this file for mila",
            id="the wiring of another site",
        ),
        pytest.param(
            # gen never deletes a seeded file; a lock that lists one would make it do so.
            with_project("p", files={"p/pyproject.toml": FILE}),
            " files.p/pyproject.toml: gen never writes this file for mila",
            id="a seeded file of the project",
        ),
    ],
)
def test_a_lock_that_gen_did_not_write_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(GenError) as caught:
        lock.parse(content, ".gen/mila.lock")
    assert str(caught.value) == f".gen/mila.lock:{problem}; {FIX}"


def test_a_merge_conflict_in_a_lock_is_named() -> None:
    with pytest.raises(GenError) as caught:
        lock.parse(b"<<<<<<< HEAD\n{}\n=======\n", ".gen/mila.lock")
    assert str(caught.value) == (
        ".gen/mila.lock: has a merge conflict; run gen site --all --out DIR to regenerate it"
    )


def test_a_lock_of_another_format_is_refused_with_both_numbers() -> None:
    with pytest.raises(GenError) as caught:
        lock.parse(changed(format_version="3.0"), ".gen/mila.lock")
    assert str(caught.value) == (
        ".gen/mila.lock: format_version: is 3.0, and this gen reads 2.0;"
        f" use the gen that wrote it, or {FIX}"
    )


def test_the_command_that_regenerates_a_lock_names_its_directory() -> None:
    with pytest.raises(GenError) as caught:
        lock.parse(b"[1]", "teams/our lab/.gen/mila.lock")
    assert str(caught.value) == (
        "teams/our lab/.gen/mila.lock: expected an object, found a list;"
        " run gen site mila --out 'teams/our lab' --force to regenerate it"
    )
