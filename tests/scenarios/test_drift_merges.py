"""Merges and checkouts of a repository of five sites: conflicts, stale merges, line ends."""

import json
from pathlib import Path

import pytest
from history import DIRECTORIES, commit, git, lock, replace, spec
from running import Gen


def regenerate_on_branch(gen: Gen, branch: str, *changes: tuple[str, str]) -> None:
    """Change the spec of aster on a branch of its own, and regenerate all sites."""
    git("switch", "--quiet", "--create", branch, "main")
    for part, replacement in changes:
        replace(spec("aster"), part, replacement)
    assert gen("site", "--all").status == 0
    commit(branch)


# merge.conflictStyle of git: diff3 and zdiff3 also write the base, as a third side.
@pytest.fixture(params=["merge", "diff3", "zdiff3"])
def conflict_in_lock(writing_gen: Gen, request: pytest.FixtureRequest) -> None:
    """Merge two branches that changed and regenerated one site; the lock has a conflict."""
    regenerate_on_branch(writing_gen, "ports", ("port: 2222", "port: 2200"))
    regenerate_on_branch(
        writing_gen,
        "queues",
        ("partition: long", "partition: main"),
        ("timeout: 600", "timeout: 300"),
    )
    git("-c", f"merge.conflictStyle={request.param}", "merge", "--quiet", "ports", status=1)
    # The two sets of keys are far apart in the spec, so only the lock, which has a digest of all of
    # it, conflicts.
    assert git("diff", "--name-only", "--diff-filter=U") == ".gen/aster.lock\n"


def test_a_check_names_the_conflict_in_a_lock(conflict_in_lock: None, reading_gen: Gen) -> None:
    result = reading_gen("check")
    assert result.status == 2
    assert result.out == (
        ".gen/aster.lock:1: refused: has a merge conflict;"
        " run gen site --all --out DIR to regenerate it\n"
    )
    assert reading_gen("diff").status == 2


def test_to_regenerate_all_sites_resolves_the_conflict(
    conflict_in_lock: None, writing_gen: Gen, reading_gen: Gen
) -> None:
    result = writing_gen("site", "--all")
    assert result.status == 0, result.err
    assert reading_gen("check").status == 0
    commit("Merge ports")
    env = Path(".env.aster").read_text()
    assert "SLURM_EDGE_NODE_PORT=2200\n" in env
    assert "SLURM_PARTITION=main\n" in env
    assert "backup" not in result.err


@pytest.mark.parametrize(
    ("side", "port"),
    [pytest.param("--ours", 2022, id="ours"), pytest.param("--theirs", 2200, id="theirs")],
)
def test_a_conflict_in_lock_spec_and_files_is_resolved_by_resolving_the_spec(
    writing_gen: Gen, reading_gen: Gen, side: str, port: int
) -> None:
    regenerate_on_branch(writing_gen, "one", ("port: 2222", "port: 2200"))
    regenerate_on_branch(writing_gen, "two", ("port: 2222", "port: 2022"))
    git("merge", "--quiet", "one", status=1)
    assert reading_gen("check").status == 2
    assert reading_gen("site", "--all").status == 2
    git("checkout", side, "--", "site_specs/aster.yaml")
    assert writing_gen("site", "--all").status == 0
    assert reading_gen("check").status == 0
    assert f"PORT={port}\n" in Path(".env.aster").read_text()


def test_a_merge_without_conflict_can_be_stale(writing_gen: Gen, reading_gen: Gen) -> None:
    note = ("site: aster\n", "site: aster\nnote: Closed in August.\n")
    regenerate_on_branch(writing_gen, "one", note)
    git("switch", "--quiet", "--create", "two", "main")
    replace(spec("cedar"), "partition: batch", "partition: wide")
    commit("two")
    git("merge", "--quiet", "--no-edit", "one")
    assert reading_gen("check").out.startswith("teams/a/.env.cedar: stale: ")


def clone_as_on_windows(attributes: str) -> None:
    """Clone the repository with these attributes, and the line ends that Windows checks out."""
    Path(".gitattributes").write_text(attributes)
    commit("Attributes")
    # Git for Windows sets this by default.
    git("clone", "--quiet", "--config", "core.autocrlf=true", ".", "../clone")


def test_a_checkout_with_windows_line_ends_has_a_message_of_its_own(
    reading_gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone_as_on_windows("")
    monkeypatch.chdir("../clone")
    result = reading_gen("check", "--format", "json")
    findings = json.loads(result.out)["findings"]
    assert result.status == 1
    message = "has the line ends of Windows and no other difference; .gitattributes prevents that"
    assert {(item["rule"], item["message"]) for item in findings} == {("edited", message)}
    files = 0
    for site in DIRECTORIES:
        files += len(json.loads(lock(site).read_bytes())["files"])
    assert len(findings) == files


def test_attributes_prevent_windows_line_ends(
    reading_gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone_as_on_windows("* -text\n")
    monkeypatch.chdir("../clone")
    assert reading_gen("check").status == 0


def test_every_kind_of_file_with_a_conflict_gets_one_error_that_names_it(
    writing_gen: Gen, reading_gen: Gen
) -> None:
    regenerate_on_branch(writing_gen, "one", ("port: 2222", "port: 2200"))
    regenerate_on_branch(writing_gen, "two", ("port: 2222", "port: 2022"))
    git("merge", "--quiet", "one", status=1)
    conflicted = git("diff", "--name-only", "--diff-filter=U").splitlines()
    assert conflicted == [
        ".env.aster",
        ".gen/aster.lock",
        "site_specs/aster.yaml",
        "ssh/aster.conf",
    ]
    line = spec("aster").read_text().splitlines().index("<<<<<<< HEAD") + 1
    problem = "has a merge conflict; keep one of the sides and delete the markers"
    result = reading_gen("validate", str(spec("aster")))
    assert (result.status, result.out) == (2, "")
    assert result.err.splitlines()[0] == f"{spec('aster')}:{line}: {problem}"
    review = reading_gen("review", "main")
    assert review.status == 2
    refused = [line for line in review.out.splitlines() if "has a merge conflict" in line]
    assert [line.split(":")[0] for line in refused] == [str(spec("aster")), str(lock("aster"))]

    # The lock comes first: without it, gen cannot know the files.
    git("checkout", "--ours", "--", "site_specs/aster.yaml", ".gen/aster.lock")
    findings = json.loads(reading_gen("check", "--format", "json").out)["findings"]
    message = "has a merge conflict; gen site --all --force replaces the file"
    assert [(item["rule"], item["file"], item["message"]) for item in findings] == [
        ("edited", ".env.aster", message),
        ("edited", "ssh/aster.conf", message),
    ]


@pytest.mark.parametrize("path", [".gen/accepted.yaml", ".gen/config.yaml"])
def test_a_conflict_in_a_list_or_a_configuration_is_one_error_that_names_it(
    reading_gen: Gen, path: str
) -> None:
    Path(path).write_text("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n")
    result = reading_gen("check")
    assert result.status == 2
    lines = [line for line in (result.out + result.err).splitlines() if path in line]
    assert len(lines) == 1
    problem = "has a merge conflict; keep one of the sides and delete the markers"
    assert lines[0].startswith(f"{path}:1: ")
    assert lines[0].endswith(problem)


def test_equals_signs_below_a_title_are_no_conflict(reading_gen: Gen) -> None:
    spec("aster").write_text(f"# Aster\n# =======\n{spec('aster').read_text()}")
    assert reading_gen("validate", str(spec("aster"))).status == 0
