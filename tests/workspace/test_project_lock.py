"""The lock of a project, by which fixes of the glue reach it: one owner for all its sites."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from project import TOOLS, Project
from running import Gen, running

from generator import __version__, resources
from generator.compiler import scaffold
from generator.compiler.emitters import dagster_project

NewerGen = Callable[[str, str, str], Path]

MODULES = "src/musica_pipelines"


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gen:
    """Run gen in an empty directory, with an empty home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return running(monkeypatch, capsys.readouterr)


@pytest.fixture
def newer_gen(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NewerGen]:
    """Return a function that changes the template, as a newer gen would have it.

    It returns the directory of the changed template.
    """
    template = tmp_path_factory.mktemp("newer") / "template"
    shutil.copytree(resources.PROJECT, template)

    # The template does not change while gen runs, so these are cached.
    def forget() -> None:
        scaffold.glue.cache_clear()
        scaffold.template_digest.cache_clear()

    def change(name: str, old: str, new: str) -> Path:
        monkeypatch.setattr(scaffold, "PROJECT", template)
        [file] = template.glob(f"{{{{*}}}}/{name}")
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        forget()
        [root] = template.glob("{{*}}")
        return root

    forget()
    yield change
    forget()


def module(name: str) -> Path:
    return Path("musica-pipelines", MODULES, name)


# A comment changes the digest of the module and nothing that it does.
FIX = ("src/*/site.py", "import os\n", "import os  # fixed\n")
NEWER_ASSET = (
    "src/*/defs/corpus.py",
    "A payload in plain Python, and",
    "A payload in Python, without a launcher, and",
)


def test_a_fix_of_the_glue_reaches_an_old_project(gen: Gen, newer_gen: NewerGen) -> None:
    gen("site", "musica")
    mine = Path("musica-pipelines/README.md")
    # A file that gen wrote once and that is the user's since.
    mine.write_text("mine\n")
    newer_gen(*FIX)
    report = gen("check")
    assert (report.status, report.out) == (
        1,
        f"musica-pipelines/{MODULES}/site.py:4: stale:"
        " differs from the compiled spec: the templates changed\n",
    )
    result = gen("site", "musica")
    assert f"changed   musica-pipelines/{MODULES}/site.py" in result.err
    assert "import os  # fixed\n" in module("site.py").read_text()
    assert mine.read_text() == "mine\n"
    assert gen("check").status == 0


@pytest.mark.parametrize(
    "command", [("site", "--all"), ("project", "musica-pipelines", "--update")]
)
def test_other_commands_bring_the_fix_too(
    command: tuple[str, ...], gen: Gen, newer_gen: NewerGen
) -> None:
    gen("site", "musica")
    newer_gen(*FIX)
    assert gen(*command).status == 0
    assert "import os  # fixed\n" in module("site.py").read_text()
    assert gen("check").status == 0


def test_the_patch_of_gen_diff_brings_the_fix(gen: Gen, newer_gen: NewerGen) -> None:
    gen("site", "musica")
    newer_gen(*FIX)
    patch = gen("diff").out
    # The reader of the patch is git itself, which refuses one that does not fit.
    subprocess.run(["git", "apply", "-"], input=patch, text=True, check=True)
    assert gen("check").status == 0


def check_defs(directory: Path, site: str) -> tuple[int, str]:
    """Run `dg check defs` in a project at a site; return its status and its output."""
    project = Project(directory.absolute(), Path().absolute())
    result = subprocess.run(
        [str(TOOLS / "dg"), "check", "defs"],
        cwd=project.directory,
        env=project.environment | {"SLURM_SUPERCOMPUTER_SITE": site},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("command", "fix"),
    [
        pytest.param(
            "site {}",
            "in the directory of its .gen/, run: gen site mila",
            id="of gen site",
        ),
        pytest.param(
            "project musica-pipelines --site {}",
            "in the parent directory, run: gen project musica-pipelines --site mila",
            id="of gen project",
        ),
    ],
)
def test_a_file_of_an_older_format_is_refused_with_the_command_that_fixes_it(
    command: str, fix: str, gen: Gen, newer_gen: NewerGen, monkeypatch: pytest.MonkeyPatch
) -> None:
    for site in ("musica", "mila"):
        assert gen(*command.format(site).split()).status == 0
    directory = Path("musica-pipelines")
    mine = directory / MODULES / "defs" / "corpus.py"
    mine.write_text(f"# mine\n{mine.read_text()}")
    older = dagster_project.FORMAT
    newer_gen("src/*/site.py", f"FORMAT = {older}", f"FORMAT = {older + 1}")
    monkeypatch.setattr(dagster_project, "FORMAT", older + 1)
    # The sites share the modules, so the file of the other site is the older one then.
    assert gen(*command.format("musica").split()).status == 0
    assert check_defs(directory, "musica")[0] == 0
    status, output = check_defs(directory, "mila")
    assert status == 1
    message = f"sites/mila.toml has format {older}, and this project reads {older + 1}; {fix}"
    assert message in output
    # The command is pasted, in the directory that the message names.
    assert gen(*shlex.split(fix.rpartition(" run: gen ")[2])).status == 0
    assert check_defs(directory, "mila")[0] == 0
    assert mine.read_text().startswith("# mine\n")
    assert gen("check", *(["musica-pipelines"] if "project" in command else [])).status == 0


def test_several_sites_have_one_owner_of_the_glue(gen: Gen) -> None:
    gen("site", "musica")
    gen("site", "mila", "--project", "musica-pipelines")
    modules = {f"{MODULES}/{name}" for name in scaffold.glue()}
    assert (
        set(json.loads(Path("musica-pipelines/.gen/project.json").read_text())["glue"]) == modules
    )
    for site in ("musica", "mila"):
        # With an owner in each lock, two sites would report one edit twice.
        assert f"{MODULES}/site.py" not in Path(f".gen/{site}.lock").read_text()
    with module("site.py").open("a") as file:
        file.write("# mine\n")
    report = gen("check")
    assert (report.status, report.out.count("edited: was edited since gen wrote it")) == (1, 1)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("site", "musica"), id="site"),
        pytest.param(("site", "--all"), id="all sites"),
        pytest.param(("project", "musica-pipelines", "--update"), id="update"),
    ],
)
def test_an_edited_module_is_refused_and_kept_as_a_backup_with_force(
    command: tuple[str, ...], gen: Gen
) -> None:
    gen("site", "musica")
    text = module("site.py").read_text()
    module("site.py").write_text(text + "# mine\n")
    refused = gen(*command)
    assert (refused.status, module("site.py").read_text()) == (2, text + "# mine\n")
    assert f"{module('site.py')}: was edited since gen wrote it" in refused.err
    forced = gen(*command, "--force")
    assert (forced.status, module("site.py").read_text()) == (0, text)
    [backup] = Path().glob("**/.gen/backup/**/site.py.*")
    assert backup.read_text() == text + "# mine\n"


def test_a_project_of_an_older_gen_gets_a_lock(gen: Gen) -> None:
    gen("site", "musica")
    # Projects from before the lock have no such directory.
    shutil.rmtree("musica-pipelines/.gen")
    report = gen("check")
    assert (report.status, report.out) == (
        1,
        "musica-pipelines/.gen/project.json:1: missing: the project has no lock\n",
    )
    assert gen("site", "--all").status == 0
    assert gen("check").status == 0


def test_a_deleted_module_comes_back_and_a_deleted_asset_does_not(gen: Gen) -> None:
    gen("site", "musica")
    # The modules call each other; an asset of the user's choice does not have to exist.
    module("requests.py").unlink()
    module("defs/corpus.py").unlink()
    assert "requests.py:1: missing: was deleted" in gen("check").out
    gen("site", "musica")
    assert module("requests.py").exists()
    assert not module("defs/corpus.py").exists()


def test_gen_accept_accepts_an_edited_module(gen: Gen) -> None:
    gen("site", "musica")
    with module("site.py").open("a") as file:
        file.write("# mine\n")
    until = ("--until", "2026-12-24", "--reason", "A workaround until the next gen")
    assert gen("accept", str(module("site.py")), *until).status == 0
    report = gen("check")
    assert (report.status, "accepted until 2026-12-24" in report.out) == (0, True)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            f'"{MODULES}/site.py"',
            # The lock comes from a checkout, and gen writes and deletes the modules that it names.
            '"../../home/.ssh/config"',
            "glue.../../home/.ssh/config: gen never writes this module",
            id="a file outside",
        ),
        pytest.param(
            f'"{MODULES}/site.py"',
            f'"{MODULES}/defs/mine.py"',
            f"glue.{MODULES}/defs/mine.py: gen never writes this module",
            id="a module of the user",
        ),
        pytest.param(
            '"README.md"',
            '"../README.md"',
            "base.../README.md: is not a path in the project",
            id="a base outside",
        ),
        pytest.param(
            '"musica_pipelines"',
            '"a/../../b"',
            "package: is not the name of a Python package",
            id="a package",
        ),
    ],
)
def test_a_lock_with_paths_that_gen_never_writes_is_refused(
    old: str, new: str, fault: str, gen: Gen
) -> None:
    gen("site", "musica")
    lock = Path("musica-pipelines/.gen/project.json")
    text = lock.read_text()
    assert old in text
    lock.write_text(text.replace(old, new))
    report = gen("check")
    assert (report.status, report.out) == (2, f"{lock}:1: refused: {fault}\n")
    assert gen("site", "--all").status == 2


def test_after_a_merge_with_a_conflict_in_the_lock_gen_writes_it_again(gen: Gen) -> None:
    gen("site", "musica")
    lock = Path("musica-pipelines/.gen/project.json")
    before = lock.read_text()
    line = f'  "gen_version": "{__version__}",\n'
    # What git leaves when two branches were generated by different versions of gen.
    conflict = f'<<<<<<< HEAD\n{line}=======\n  "gen_version": "9",\n>>>>>>> theirs\n'
    assert line in before
    lock.write_text(before.replace(line, conflict))
    assert "has a merge conflict; run gen site --all --out" in gen("check").out
    assert gen("site", "--all").status == 0
    assert lock.read_text() == before


def test_gen_check_mentions_a_newer_template_without_failing(gen: Gen, newer_gen: NewerGen) -> None:
    gen("site", "musica")
    newer_gen(*NEWER_ASSET)
    report = gen("check")
    assert (report.status, report.out) == (
        0,
        "musica-pipelines/.gen/project.json:1: template: gen has a newer template for this project;"
        " merge it with: gen project musica-pipelines --update\n",
    )
    assert gen("project", "musica-pipelines", "--update").status == 0
    assert gen("check").out == ""


def test_an_update_keeps_edits_and_deletions_and_marks_a_conflict_as_git_does(
    gen: Gen, newer_gen: NewerGen
) -> None:
    gen("site", "musica")
    edited, deleted, conflicting = map(
        module, ("defs/corpus.py", "defs/complexity.py", "payloads/corpus.py")
    )
    edited.write_text(edited.read_text() + "\n\nMINE = 1\n")
    deleted.unlink()
    # The first line is also the one that the template changes.
    conflicting.write_text("# mine\n" + conflicting.read_text().partition("\n")[2])
    newer_gen(*NEWER_ASSET)
    newer_gen("src/*/defs/complexity.py", "A payload that Ray", "A newer payload that Ray")
    newer_gen("src/*/payloads/corpus.py", "List the modules", "List all modules")
    newer_gen("src/*/definitions.py", "What Dagster loads", "All that Dagster loads")
    result = gen("project", "musica-pipelines", "--update")
    assert (result.status, result.err) == (
        1,
        f"The template of gen {__version__}, in musica-pipelines\n"
        f"  changed   {MODULES}/definitions.py\n"
        f"  deleted   {MODULES}/defs/complexity.py"
        "  (by you; the template changed it, and it stays deleted)\n"
        f"  merged    {MODULES}/defs/corpus.py  (your changes are kept)\n"
        f"  conflict  {MODULES}/payloads/corpus.py  (edit it as after git merge)\n"
        f"  backup    .gen/backup/{MODULES}/defs/corpus.py.{digest(gen, edited)}\n"
        f"  backup    .gen/backup/{MODULES}/payloads/corpus.py.{digest(gen, conflicting)}\n"
        f"\nNext: git diff -- {conflicting}, and resolve 1 conflict\n",
    )
    assert NEWER_ASSET[2] in edited.read_text()
    assert edited.read_text().endswith("\n\nMINE = 1\n")
    assert not deleted.exists()
    lines = conflicting.read_text().splitlines()
    assert lines[0] == f"<<<<<<< {MODULES}/payloads/corpus.py (yours)"
    assert lines[1:3] == ["# mine", "======="]
    assert lines[4] == f">>>>>>> {MODULES}/payloads/corpus.py (the newer template)"
    again = gen("project", "musica-pipelines", "--update")
    assert (again.status, again.err.splitlines()[1:]) == (0, ["  The project has it already."])
    assert gen("check").status == 0


def digest(_: Gen, path: Path) -> str:
    """Return the digest in the name of the backup of a file."""
    [backup] = Path("musica-pipelines/.gen/backup").glob(f"**/{path.parent.name}/{path.name}.*")
    return backup.suffix.removeprefix(".")


def test_an_update_of_a_file_with_conflicts_is_refused(gen: Gen, newer_gen: NewerGen) -> None:
    gen("site", "musica")
    asset = module("defs/corpus.py")
    # A second merge would nest the markers of the first.
    asset.write_text("<<<<<<< HEAD\n" + asset.read_text())
    newer_gen(*NEWER_ASSET)
    result = gen("project", "musica-pipelines", "--update")
    message = f"{asset}:1: has a merge conflict; resolve it, then try again"
    assert (result.status, message in result.err) == (2, True)


def test_an_update_brings_new_files_and_keeps_those_that_the_template_drops(
    gen: Gen, newer_gen: NewerGen
) -> None:
    gen("site", "musica")
    template = newer_gen(*NEWER_ASSET)
    (template / "Dockerfile").write_text("FROM scratch\n")
    # The file is the user's by now: gen does not delete it.
    (template / "Makefile").unlink()
    result = gen("project", "musica-pipelines", "--update")
    assert "  new       Dockerfile\n" in result.err
    assert "  dropped   Makefile  (from the template; delete it if you do not use it)" in result.err
    assert Path("musica-pipelines/Dockerfile").read_text() == "FROM scratch\n"
    assert Path("musica-pipelines/Makefile").exists()


def test_a_dry_run_of_an_update_writes_nothing(gen: Gen, newer_gen: NewerGen) -> None:
    gen("site", "musica")
    before = module("defs/corpus.py").read_bytes()
    newer_gen(*NEWER_ASSET)
    result = gen("project", "musica-pipelines", "--update", "--dry-run")
    assert (result.status, NEWER_ASSET[2] in result.out) == (0, True)
    assert module("defs/corpus.py").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("project", "nowhere", "--update"),
            "nowhere: is not a project of gen, or an older gen made it;",
            id="no project",
        ),
        pytest.param(
            ("project", "p", "--update", "--site", "mila"),
            "Invalid value for --update: merges the template of this gen alone; remove --site",
            id="an option of a new project",
        ),
        pytest.param(
            ("project",), "Invalid value for NAME: name a project, or use --update", id="no name"
        ),
        pytest.param(
            ("project", "p"),
            "Invalid value for --site: name the site of the project (gen list prints them),"
            " or use --update",
            id="no site",
        ),
    ],
)
def test_an_update_needs_a_project_and_nothing_else(
    arguments: tuple[str, ...], message: str, gen: Gen
) -> None:
    result = gen(*arguments)
    assert (result.status, message in " ".join(result.err.replace("│", "").split())) == (2, True)
