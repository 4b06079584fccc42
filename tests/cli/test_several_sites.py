"""`gen site SITE…`: several sites in one directory, and the Dagster project that they share."""

import json
from pathlib import Path

from homes import spec, tree
from running import Gen


def projects() -> list[str]:
    """Return the Dagster projects below the current directory."""
    return sorted(path.parent.name for path in Path().glob("*/pyproject.toml"))


def wired_sites(project: str) -> list[str]:
    """Return the sites that a project is wired to."""
    return sorted(path.stem for path in Path(project).glob("src/*/sites/*.toml"))


def test_several_sites_in_one_command_share_one_project(gen: Gen) -> None:
    result = gen("site", "musica", "mila", "--user", "ada")
    assert result.status == 0
    assert projects() == ["musica-pipelines"]
    assert wired_sites("musica-pipelines") == ["mila", "musica"]
    assert result.err.count("MUSICA (Multi-Site Computer Austria), in .") == 1
    assert result.err.count("Mila cluster, in .") == 1
    shared = (
        "  # the Dagster project that the sites here share; its README has three commands\n"
        "  cd musica-pipelines\n"
    )
    assert shared in result.err
    assert "cd musica-pipelines   # a Dagster project; its README" in result.err


def test_a_later_site_joins_the_project_that_is_there(gen: Gen) -> None:
    gen("site", "musica")
    before = tree(Path("musica-pipelines"))
    result = gen("site", "mila")
    assert projects() == ["musica-pipelines"]
    assert wired_sites("musica-pipelines") == ["mila", "musica"]
    assert "20 files of a Dagster project" not in result.err
    after = tree(Path("musica-pipelines"))
    assert before.items() <= after.items() | {(".", before["."])}
    # The choice is recorded, so a later run changes nothing.
    files = tree(Path())
    assert gen("site", "mila").status == 0
    assert tree(Path()) == files


def test_sites_with_projects_of_their_own_keep_them(gen: Gen) -> None:
    # A directory of before, where each site got a project.
    gen("site", "musica", "--out", "a")
    gen("site", "mila", "--out", "b")
    for name in ("mila-pipelines", ".gen/mila.lock"):
        (Path("b") / name).rename(Path("a") / name)
    assert gen("site", "mila", "--out", "a").status == 0
    assert wired_sites("a/mila-pipelines") == ["mila"]
    # With two projects, gen does not choose: the third site gets its own.
    assert gen("site", "narval", "--out", "a").status == 0
    assert wired_sites("a/narval-pipelines") == ["narval"]


def test_no_project_leaves_an_existing_one_alone(gen: Gen) -> None:
    gen("site", "mila", "--user", "ada")
    before = tree(Path("mila-pipelines"))
    result = gen("site", "mila", "--user", "grace", "--no-project")
    assert result.status == 0
    assert tree(Path("mila-pipelines")) == before
    assert "mila-pipelines" not in result.err
    # The project still has the site, so its file there is neither unknown nor out of date.
    assert gen("check").status == 0
    assert gen("site", "mila").status == 0
    assert wired_sites("mila-pipelines") == ["mila"]


def test_a_project_that_a_run_left_alone_is_out_of_date_until_the_next_run(gen: Gen) -> None:
    gen("site", "mila", "--user", "ada")
    changed = ("site", "mila", "--set", "slurm.partition=main")
    assert gen(*changed, "--no-project").status == 0
    report = gen("check")
    assert report.status == 1
    wiring = "mila-pipelines/src/mila_pipelines/sites/mila.toml"
    reason = "was edited, and its digest in the lock with it; or gen site --no-project left it"
    assert f"{wiring}:39: edited: {reason} out of date" in report.out
    assert "rm " not in report.out
    assert gen("site", "mila").status == 0
    assert gen("check").status == 0


def test_a_refusal_of_one_site_leaves_all_sites_as_they_were(gen: Gen) -> None:
    gen("site", "mila")
    Path("ssh/mila.conf").write_text("# mine\n")
    before = tree(Path())
    result = gen("site", "narval", "mila")
    assert result.status == 2
    assert "ssh/mila.conf: was edited since gen wrote it" in result.err
    assert tree(Path()) == before


def test_a_site_that_is_named_twice_is_written_once(gen: Gen) -> None:
    path = spec(Path())
    result = gen("site", str(path), f"./{path}", "--no-project")
    assert (result.status, result.err.count("The ours cluster, in .")) == (0, 1)


def test_two_specs_of_one_site_are_refused(gen: Gen) -> None:
    Path("other").mkdir()
    first, second = spec(Path()), spec(Path("other"), country="AT")
    result = gen("site", str(first), str(second))
    assert (result.status, result.err) == (
        2,
        "ours: ours.yaml and other/ours.yaml are different specs of this site; name one of them\n",
    )
    assert not Path("ssh").exists()


def test_json_of_several_sites_lists_them(gen: Gen) -> None:
    report = json.loads(gen("site", "musica", "mila", "--json").out)
    assert [site["site"] for site in report["sites"]] == ["musica", "mila"]
    alone = json.loads(gen("site", "mila", "--json").out)
    assert alone["site"] == "mila"
