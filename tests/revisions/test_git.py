"""Revisions that git cannot compare are refused, with the command that fixes it."""

import shutil
from pathlib import Path

import pytest
from history import commit, git, replace, spec
from running import Gen

pytestmark = pytest.mark.system


def propose() -> None:
    """Change a spec on main, after a branch with another change started there."""
    git("switch", "--quiet", "--create", "proposal")
    replace(spec("elder"), "port: 8022", "port: 22")
    commit("Proposal")
    git("switch", "--quiet", "main")
    replace(spec("aster"), "port: 2222", "port: 2223")
    commit("Main moves on")


def test_a_shallow_clone_is_refused_and_the_same_clone_with_history_is_reviewed(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    propose()
    origin = f"file://{tmp_path / 'repo'}"
    # The default of actions/checkout: the last commit alone.
    git("clone", "--quiet", "--depth=1", "--no-single-branch", origin, str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    git("switch", "--quiet", "proposal")
    result = writing_gen("review", "origin/main")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "origin/main: this clone is shallow and lacks the commit where the branch started;"
        " fetch the history with: git fetch --unshallow (in CI, add fetch-depth: 0 to the"
        " checkout)\n"
    )
    git("fetch", "--quiet", "--unshallow")
    result = writing_gen("review", "origin/main")
    assert result.status == 0
    # Main's own change, 2222 to 2223, is not part of the proposal.
    assert "8022 → 22" in result.out
    assert "2223" not in result.out


def test_a_branch_without_a_common_commit_is_refused(reading_gen: Gen) -> None:
    # Without a common commit, all of main would count as deleted.
    git("checkout", "--quiet", "--orphan", "unrelated")
    commit("Unrelated")
    result = reading_gen("review", "main")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "main: has no commit in common with the branch under review; start the branch from"
        " there with: git rebase --onto main --root\n"
    )


def test_a_bare_repository_is_refused(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    propose()
    # git diff works there, so a review would list no file, and report no change.
    git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    monkeypatch.chdir(tmp_path / "bare")
    result = writing_gen("review", "main", "proposal")
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        "gen review needs the files of a repository, and this directory is in no work tree;"
        " make one with: git worktree add ../review && cd ../review\n"
    )


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("site_specs/aster.yaml", "/etc/hostname", id="a spec"),
        pytest.param("site_specs", "../outside", id="the directory of specs"),
        pytest.param(".gen/aster.lock", "../../outside/aster.lock", id="a lock"),
        pytest.param("ssh/aster.conf", "/etc/hostname", id="a generated file"),
        pytest.param("ssh/extra.conf", "/etc/hostname", id="a file beside ours"),
    ],
)
def test_a_link_out_of_the_repository_is_reported_and_never_followed(
    reading_gen: Gen, tmp_path: Path, path: str, target: str
) -> None:
    outside = tmp_path / "outside"
    shutil.copytree("site_specs", outside)
    shutil.copy(".gen/aster.lock", outside)
    for file in outside.iterdir():
        # A word that is only outside, so that it shows if gen reads there.
        file.write_text(file.read_text().replace("aster.example", "secret.example"))
    if Path(path).is_dir():
        shutil.rmtree(path)
    Path(path).unlink(missing_ok=True)
    Path(path).symlink_to(target)
    # git stores a link as text, and a reader of the work tree would follow it.
    in_work_tree = reading_gen("review", "main", "--fail-on", "trust")
    assert in_work_tree.status in (1, 2)
    assert path in in_work_tree.out + in_work_tree.err
    git("switch", "--quiet", "--create", "proposal")
    commit("A link")
    committed = reading_gen("review", "main", "proposal", "--fail-on", "trust")
    for result in (in_work_tree, committed):
        output = result.out + result.err
        assert "secret.example" not in output
        assert Path("/etc/hostname").read_text().strip() not in output
    assert (committed.status, committed.out) == (in_work_tree.status, in_work_tree.out)


def test_a_submodule_whose_objects_are_not_here_is_still_a_finding(
    writing_gen: Gen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git("init", "--quiet", directory=library)
    for number in range(2):
        (library / "aster.yaml").write_text(f"# {number}\n{spec('aster').read_text()}")
        git("add", "--all", directory=library)
        git("commit", "--quiet", "--message=Specs", directory=library)
    # git forbids local paths since CVE-2022-39253.
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git("checkout", "--quiet", "HEAD~", directory=Path("lib"))
    commit("A submodule")
    git("switch", "--quiet", "--create", "proposal")
    git("checkout", "--quiet", "-", directory=Path("lib"))
    commit("It moves")
    clone = tmp_path / "clone"
    # Without its submodules, as CI has it.
    git("clone", "--quiet", "--no-local", ".", str(clone))
    monkeypatch.chdir(clone)
    assert not list(Path("lib").iterdir())
    result = writing_gen("review", "origin/main", "--fail-on", "trust")
    assert result.status == 1
    assert "lib:1: trust: the submodule moved to another commit" in result.out


@pytest.mark.parametrize(
    ("fail_on", "status"),
    [
        pytest.param("", 0, id="none"),
        pytest.param("trust", 0, id="trust"),
        pytest.param("access", 1, id="access"),
        pytest.param("any", 1, id="any"),
    ],
)
def test_a_change_of_access_fails_from_the_weight_access_on(
    reading_gen: Gen, fail_on: str, status: int
) -> None:
    replace(spec("cedar"), "partition: batch", "partition: wide")
    options = ("--fail-on", fail_on) if fail_on else ()
    result = reading_gen("review", "main", *options)
    assert result.status == status, result.err
    message = f"\n--fail-on {fail_on}: 1 finding for a reviewer to approve\n"
    assert (message in result.err) is (status == 1)


@pytest.mark.parametrize("fail_on", ["trust", "access", "any"])
def test_a_change_of_trust_fails_at_every_weight(reading_gen: Gen, fail_on: str) -> None:
    replace(spec("aster"), "port: 2222", "port: 2223")
    assert reading_gen("review", "main", "--fail-on", fail_on).status == 1


def test_a_change_of_prose_fails_only_at_any(reading_gen: Gen) -> None:
    replace(spec("aster"), "title: Aster cluster", "title: Aster Cluster")
    statuses = {}
    for fail_on in ("trust", "access", "any"):
        statuses[fail_on] = reading_gen("review", "main", "--fail-on", fail_on).status
    assert statuses == {"trust": 0, "access": 0, "any": 1}


def test_nothing_fails_without_a_change(reading_gen: Gen) -> None:
    assert reading_gen("review", "main", "--fail-on", "any").status == 0
