"""A site without Slurm has its queues shown, and no variable and no project that need Slurm."""

from pathlib import Path
from typing import Any

import pytest
from homes import spec
from running import Gen

from generator.schema.batch import SCHEDULER_NAMES

PBS: dict[str, Any] = {
    "scheduler": "pbs",
    "batch": {
        "submit": "qsub",
        "queues": {"debug": {"max_walltime": "01:00:00", "max_nodes": 2, "gpu": "A100"}},
        "accounts": {"required": True},
    },
}
FLUX: dict[str, Any] = {"scheduler": "flux", "batch": {"submit": "flux batch"}}
HTCONDOR: dict[str, Any] = {"scheduler": "htcondor", "batch": {"submit": "condor_submit"}}
SITES = {"PBS": PBS, "Flux": FLUX, "HTCondor": HTCONDOR}
LEFT_OUT = "gen leaves out SLURM_* variables and the Dagster project, which need Slurm"


def written(directory: Path = Path()) -> dict[str, str]:
    """Return the text of every file below a directory."""
    return {str(path): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "parts"), SITES.items(), ids=SITES)
def test_a_site_without_slurm_gets_its_ssh_files_and_one_line_that_says_why(
    gen: Gen, name: str, parts: dict[str, Any]
) -> None:
    path = spec(Path(), **parts)
    result = gen("site", str(path), "--user", "ada", "--out", "out")
    assert result.status == 0
    assert f"\nScheduler of the site: {name}; {LEFT_OUT}\n" in result.err
    files = written(Path("out"))
    assert sorted(files) == ["out/.gen/ours.lock", "out/ssh/ours.conf"]
    assert "SLURM" not in "".join(files.values())
    assert "Missing values" not in result.err
    assert gen("check").status == 0


@pytest.mark.parametrize(("name", "parts"), SITES.items(), ids=SITES)
def test_the_page_of_the_site_says_the_same(
    gen: Gen, name: str, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In 80 columns the sentence takes two lines.
    monkeypatch.setenv("COLUMNS", "200")
    result = gen("show", str(spec(Path(), **parts)))
    assert f"\nScheduler: {name}; {LEFT_OUT}\n" in result.out


def test_the_page_of_the_site_has_its_queues_and_its_account_rule(gen: Gen) -> None:
    page = gen("show", str(spec(Path(), **PBS))).out
    assert "Queues\n" in page
    assert "debug" in page
    assert "01:00:00" in page
    assert "jobs must name an account" in page
    assert "submit: qsub" in page


def test_a_site_with_slurm_has_variables_a_project_and_no_such_line(gen: Gen) -> None:
    result = gen("site", str(spec(Path())), "--user", "ada", "--out", "out")
    assert "Scheduler" not in result.err
    files = written(Path("out"))
    assert "SLURM_EDGE_NODE_USER=ada" in files["out/.env.ours"]
    assert "out/ours-pipelines/README.md" in files
    assert "Scheduler" not in gen("show", "ours.yaml").out


def test_a_project_that_the_user_asks_for_is_refused(gen: Gen) -> None:
    path = spec(Path(), **PBS)
    result = gen("project", "mine", "--site", str(path))
    assert (result.status, result.err) == (
        2,
        "ours: its scheduler is PBS, and a Dagster project submits jobs to Slurm; "
        "run gen site ours without a project\n",
    )
    assert not Path("mine").exists()


def test_a_site_that_leaves_slurm_loses_its_variables_and_its_file_in_the_project(gen: Gen) -> None:
    path = spec(Path())
    gen("site", str(path))
    spec(Path(), **PBS)
    assert gen("site", "--all").status == 0
    assert not Path(".env.ours").exists()
    assert not Path("ours-pipelines/src/ours_pipelines/sites/ours.toml").exists()
    assert Path("ours-pipelines/README.md").exists()
    assert gen("check").status == 0
    assert gen("site", str(path)).status == 0


def test_the_list_has_the_scheduler_for_programs(gen: Gen) -> None:
    spec(Path(), **PBS)
    assert '"scheduler": "pbs"' in gen("list", "--specs", ".", "--json").out


def test_every_scheduler_has_a_name() -> None:
    assert all(SCHEDULER_NAMES.values())
