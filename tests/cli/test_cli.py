"""`gen` as a user types it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gen, running
from syrupy.assertion import SnapshotAssertion

from generator import __version__, resources
from generator.cli import app
from generator.loading.countries import CODES

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gen:
    """Run gen in an empty folder, with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    return running(monkeypatch, capsys.readouterr)


def files(folder: Path = Path()) -> dict[str, bytes]:
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            contents[str(path.relative_to(folder))] = path.read_bytes()
    return contents


@pytest.mark.parametrize("site", ["mila", "musica"])
def test_site_writes_every_file_and_prints_next_steps(
    gen: Gen, site: str, snapshot: SnapshotAssertion
) -> None:
    result = gen("site", site, "--out", ".")
    assert (result.status, result.out) == (0, "")
    assert (list(files()), result.err) == snapshot


def test_the_next_steps_create_the_ssh_directory_only_if_it_is_missing(gen: Gen) -> None:
    # ssh fails at the first shared connection if it cannot make its socket there. For mila the
    # next steps run ssh-keygen, which makes the directory.
    hint = "mkdir -m 700 ~/.ssh"
    assert hint in gen("site", "musica").err
    assert hint not in gen("site", "mila").err
    Path("~/.ssh").expanduser().mkdir()
    assert hint not in gen("site", "musica").err


def test_a_second_time_changes_no_byte(gen: Gen) -> None:
    gen("site", "musica", "--user", "ada")
    before = files()
    result = gen("site", "musica", "--user", "ada")
    assert result.status == 0
    assert files() == before
    assert "  same      ssh/musica.conf" in result.err


def test_all_regenerates_every_site_of_a_tree_with_its_recorded_values(
    gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen("site", "mila", "--user", "ada", "--set", "slurm.partition=main", "--out", "a/b")
    gen("site", "musica", "--user", "grace")
    before = files()
    Path("a/b/.env.mila").unlink()
    Path("ssh/musica.conf").chmod(0o644)
    # A colleague or CI runs --all: the values are those of the locks, not of whoever runs it.
    monkeypatch.setenv("GEN_USER", "somebody else")
    result = gen("site", "--all")
    assert (result.status, files()) == (0, before)
    # What decides where users connect comes first.
    assert result.err == (
        "From .gen/musica.lock: spec catalogue:musica, user grace, project musica-pipelines\n"
        'From a/b/.gen/mila.lock: --set slurm.partition="main", spec catalogue:mila, user ada,'
        " project mila-pipelines\n"
        "  mode      ssh/musica.conf\n"
        "  new       a/b/.env.mila\n"
        "2 sites regenerated, 2 files changed\n"
    )


def test_all_refuses_an_edited_file_of_any_site_before_it_writes_one(gen: Gen) -> None:
    gen("site", "mila", "--out", "a")
    gen("site", "musica", "--out", "b")
    Path("a/.env.mila").unlink()
    Path("b/ssh/musica.conf").write_text("mine")
    result = gen("site", "--all")
    assert (result.status, result.err.splitlines()[0]) == (
        2,
        "b/ssh/musica.conf: was edited since gen wrote it",
    )
    assert not Path("a/.env.mila").exists()
    assert gen("site", "--all", "--force").status == 0
    assert "mine" not in Path("b/ssh/musica.conf").read_text()
    assert gen("check").status == 0


def test_all_deletes_a_site_without_a_spec_only_with_force(gen: Gen) -> None:
    # Without --force gen refuses: the spec may have moved, or be on another branch.
    spec = Path("site_specs/mila.yaml")
    spec.parent.mkdir()
    spec.write_bytes((resources.CATALOGUE / "mila.yaml").read_bytes())
    gen("site", str(spec))
    spec.unlink()
    before = files()
    assert gen("check").status == 1
    refused = gen("site", "--all")
    assert (refused.status, files()) == (2, before)
    assert "its spec, site_specs/mila.yaml, is gone" in refused.err
    assert gen("site", "--all", "--force").status == 0
    # The project's own files are the user's; only the wiring of the site was generated.
    project = {path: text for path, text in before.items() if path.startswith("mila-pipelines/")}
    del project["mila-pipelines/src/mila_pipelines/sites/mila.toml"]
    assert files() == project


def test_all_can_be_previewed(gen: Gen) -> None:
    gen("site", "mila", "--out", "a")
    Path("a/.env.mila").unlink()
    before = files()
    result = gen("site", "--all", "--dry-run")
    assert "+++ b/a/.env.mila" in result.out
    assert (result.status, files()) == (0, before)


NO_SITE = "has no generated site; generate one with: gen site SITE --out"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["site"], "name a site (gen list prints them), or use --all", id="no site"),
        pytest.param(
            ["site", "mila", "--all"],
            "reads its values from the locks; remove SITE",
            id="a site with all",
        ),
        pytest.param(
            ["site", "--all", "--identity-file", "/x", "--set", "a=b"],
            "reads its values from the locks; remove --set",
            id="options",
        ),
        pytest.param(
            ["site", "--all"],
            NO_SITE,
            id="all of nothing",
        ),
        pytest.param(
            ["check"],
            NO_SITE,
            id="check of nothing",
        ),
        pytest.param(
            ["diff"],
            NO_SITE,
            id="diff of nothing",
        ),
        pytest.param(["check", "nowhere"], "nowhere: is not a directory", id="check of no folder"),
        pytest.param(
            ["review", "main"], "this directory is not in one", id="review of no repository"
        ),
        pytest.param(["check", "--format", "xml"], "'xml' is not one of", id="an unknown format"),
    ],
)
def test_an_impossible_request_is_an_error_with_the_status_2(
    gen: Gen, arguments: list[str], message: str
) -> None:
    result = gen(*arguments)
    assert (result.status, result.out) == (2, "")
    # typer wraps its own messages and draws a frame around them.
    assert message in " ".join(re.sub(r"[│╭╮╰╯─]", "", result.err).split())


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        pytest.param(
            ["musica", "--user", "ada", "--email", "a@b.org"],
            "user, email",
            id="who you are",
        ),
        pytest.param(
            ["musica", "--set", "auth.renew_before=1h"],
            '--set auth.renew_before="1h"',
            id="a change of the spec",
        ),
        pytest.param(["musica", "--account", "p1"], None, id="a value that no certificate needs"),
        pytest.param(["mila", "--user", "ada"], None, id="a site without certificates"),
    ],
)
def test_values_that_the_timer_will_lack_are_printed(
    gen: Gen, arguments: list[str], values: str | None
) -> None:
    # systemd and ssh start `gen refresh` without the options of this run.
    printed = []
    for line in gen("site", *arguments).err.splitlines():
        if line.startswith("The timer and ssh run "):
            printed.append(line)
    expected = (
        f"The timer and ssh run gen refresh {arguments[0]} without these options: {values}."
        " Add them to your profile, or repeat them at gen install."
    )
    assert printed == ([expected] if values else [])


# A user who comments everything out has an empty YAML document, which is null and not a mapping.
@pytest.mark.parametrize("text", ["", "\n", "# user: ada\n\n  # home: /home/ada\n"])
def test_an_empty_profile_has_no_values(gen: Gen, text: str) -> None:
    Path("profile.yaml").write_text(text)
    assert gen("site", "mila", "--profile", "profile.yaml").status == 0


def test_a_site_that_closes_has_a_warning(gen: Gen) -> None:
    for arguments in (["site", "uppmax-bianca"], ["show", "uppmax-bianca"], ["list"]):
        result = gen(*arguments)
        assert "retiring" in result.out + result.err
    assert "retiring" not in gen("site", "mila").err


def test_several_sites_share_a_directory(gen: Gen) -> None:
    gen("site", "musica")
    before = files()
    gen("site", "mila")
    after = files()
    assert before.items() <= after.items()
    assert {".gen/mila.lock", ".gen/musica.lock", "ssh/mila.conf", "ssh/musica.conf"} <= set(after)


def test_a_spec_may_be_a_path(gen: Gen, tmp_path: Path) -> None:
    spec = tmp_path / "own.yaml"
    spec.write_bytes(
        (resources.CATALOGUE / "mila.yaml").read_bytes().replace(b"site: mila\n", b"site: own\n")
    )
    assert gen("site", str(spec)).status == 0
    assert json.loads(Path(".gen/own.lock").read_text())["inputs"]["spec"]["path"] == "../own.yaml"


def test_the_lock_names_a_site_of_the_catalogue_without_a_path(gen: Gen) -> None:
    gen("site", "mila", "--user", "ada", "--set", "slurm.partition=main")
    inputs = json.loads(Path(".gen/mila.lock").read_text())["inputs"]
    assert inputs["spec"]["path"] == "catalogue:mila"
    assert inputs["profile"] == {"user": "ada"}
    assert inputs["overrides"] == ['slurm.partition="main"']


def test_a_set_is_merged_and_validated_again(gen: Gen) -> None:
    gen("site", "musica", "--set", "slurm.partition=zen4_0768")
    assert "SLURM_PARTITION=zen4_0768\nSLURM_QOS=dev_zen4_0768\n" in Path(".env.musica").read_text()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(
            "slurm.partition=zen4_768",
            "--set slurm.partition: the site has no partition zen4_768; did you mean zen4_0768?",
            id="an unknown partition",
        ),
        pytest.param(
            "slurm.partitoin=x",
            "--set slurm.partitoin: there is no such key; did you mean partition?",
            id="an unknown key",
        ),
        pytest.param(
            "foo.bar=1", "--set foo.bar: foo: there is no such key", id="an unknown first key"
        ),
        pytest.param("title.x=1", "--set title.x: title: is not a text", id="a key below a text"),
        pytest.param(
            "slurm.partition",
            "--set slurm.partition: write KEY.KEY=VALUE, as in --set slurm.partition=zen4_0768",
            id="no value",
        ),
        pytest.param("slurm.walltime=[", "--set slurm.walltime:1: ", id="no YAML"),
        pytest.param(
            "hosts.musica.port=70000",
            "--set hosts.musica.port: input should be less than or equal to 65535",
            id="a value that is out of range",
        ),
        pytest.param(
            "hosts.musica={host: h.example.org, port: 70000}",
            "--set hosts.musica: hosts.musica.port: input should be less than or equal to 65535",
            id="a value below the key of the option",
        ),
    ],
)
def test_a_set_that_is_wrong_is_named_as_the_option_it_came_from(
    gen: Gen, value: str, message: str
) -> None:
    result = gen("site", "musica", "--set", value)
    assert result.status == 2
    assert result.err.startswith(message)
    assert files() == {}


def test_dry_run_prints_a_patch_that_git_applies_and_writes_nothing(gen: Gen) -> None:
    gen("site", "mila", "--user", "ada")
    subprocess.run(["git", "init", "--quiet"], check=True)
    result = gen("site", "mila", "--user", "grace", "--set", "slurm.partition=main", "--dry-run")
    assert (result.status, Path("ssh/mila.conf").read_text().count("User ada")) == (0, 5)
    # The modules of the project are compared too, and do not change.
    assert re.search(r"\n3 of \d+ files would change; nothing was written\n$", result.err)
    subprocess.run(["git", "apply", "-"], input=result.out, text=True, check=True)
    again = gen("site", "mila", "--user", "grace", "--set", "slurm.partition=main", "--dry-run")
    assert again.out == ""


def test_an_edited_file_is_refused_before_anything_is_written(gen: Gen) -> None:
    gen("site", "mila", "--user", "ada")
    with Path("ssh/mila.conf").open("a") as file:
        file.write("# mine\n")
    before = files()
    result = gen("site", "mila", "--user", "grace")
    assert result.status == 2
    assert result.err.splitlines()[0] == "ssh/mila.conf: was edited since gen wrote it"
    assert files() == before


def test_force_replaces_an_edited_file_and_keeps_a_backup(gen: Gen) -> None:
    gen("site", "mila")
    edited = Path("ssh/mila.conf").read_bytes() + b"# mine\n"
    Path("ssh/mila.conf").write_bytes(edited)
    result = gen("site", "mila", "--force")
    assert result.status == 0
    [backup] = re.findall(r"backup +(\S+)", result.err)
    assert Path(backup).read_bytes() == edited
    assert b"# mine" not in Path("ssh/mila.conf").read_bytes()


def test_a_file_that_was_there_before_is_refused(gen: Gen) -> None:
    Path(".env.mila").write_text("TOKEN=secret\n")
    result = gen("site", "mila")
    assert result.status == 2
    assert result.err.startswith(".env.mila: was here before, and gen did not write it\n")
    assert files() == {".env.mila": b"TOKEN=secret\n"}


def test_files_that_a_site_lost_are_removed(gen: Gen) -> None:
    # The option pins host keys from a weak source. Without it the known_hosts file must go: ssh
    # would go on to trust the keys.
    gen("site", "musica", "--accept-unverified")
    assert "ssh/musica.known_hosts" in files()
    result = gen("site", "musica", "--unset", "accept-unverified")
    assert "  removed   ssh/musica.known_hosts" in result.err
    assert "ssh/musica.known_hosts" not in files()


def test_a_lock_with_a_merge_conflict_is_refused_and_written_again_with_force(gen: Gen) -> None:
    gen("site", "mila")
    good = files()
    Path(".gen/mila.lock").write_text("<<<<<<< HEAD\n")
    assert gen("site", "mila").status == 2
    assert gen("site", "mila", "--force").status == 0
    assert files() == good


PROFILE = """\
user: ada
home: /home/ada
sites:
  musica: { user: xy12345, email: ada@example.org, set: { slurm.partition: zen4_0768 } }
"""


def test_the_profile_is_found_and_its_site_entry_and_the_options_win(gen: Gen) -> None:
    path = Path(os.environ["HOME"]) / ".config/gen/profile.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(PROFILE)
    gen("site", "musica")
    gen("site", "mila", "--user", "grace")
    musica, mila = Path(".env.musica").read_text(), Path(".env.mila").read_text()
    assert "SLURM_EDGE_NODE_USER=xy12345\n" in musica
    assert "SLURM_PARTITION=zen4_0768\n" in musica
    assert json.loads(Path(".gen/musica.lock").read_text())["inputs"]["overrides"] == [
        'slurm.partition="zen4_0768"'
    ]
    assert "SLURM_EDGE_NODE_USER=grace\n" in mila
    assert "SLURM_EDGE_NODE_KEY_PATH=/home/ada/.ssh/id_mila\n" in mila


def test_the_profile_follows_xdg_and_the_option(
    gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # XDG Base Directory Specification: XDG_CONFIG_HOME replaces ~/.config.
    (tmp_path / "xdg/gen").mkdir(parents=True)
    (tmp_path / "xdg/gen/profile.yaml").write_text("user: fromxdg\n")
    (tmp_path / "other.yaml").write_text("user: other\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    gen("site", "mila")
    assert "User fromxdg\n" in Path("ssh/mila.conf").read_text()
    gen("site", "mila", "--profile", str(tmp_path / "other.yaml"))
    assert "User other\n" in Path("ssh/mila.conf").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "usr: ada\n",
            "p.yaml:1: usr: there is no such key; did you mean user?",
            id="an unknown key",
        ),
        pytest.param(
            "user: 5\n", 'p.yaml:1: user: is not a text; put it in quotes: "5"', id="a number"
        ),
        pytest.param(
            "sites:\n  mila:\n    user: a b\n",
            "p.yaml:3: sites.mila.user: 'a b' is not a user name",
            id="not a user name",
        ),
        pytest.param(
            "- x\n", "p.yaml:1: is not a mapping; write lines of KEY: VALUE", id="no mapping"
        ),
        pytest.param(
            "sites: {mila: {set: {slurm.partition: nope}}}\n",
            "profile, sites.mila.set.slurm.partition: slurm.partition: the site has no"
            " partition nope",
            id="a set",
        ),
    ],
)
def test_a_profile_with_a_fault_names_file_line_and_key(gen: Gen, text: str, message: str) -> None:
    Path("p.yaml").write_text(text)
    result = gen("site", "mila", "--profile", "p.yaml")
    assert (result.status, result.err) == (2, f"{message}\n")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        pytest.param("--user", "a b", "--user: 'a b' is not a user name", id="user"),
        pytest.param("--email", "nobody", "--email: 'nobody' is not an e-mail address", id="email"),
        pytest.param(
            "--identity-file",
            # gen writes the path into files that no shell reads, so the variable would stay as it
            # is.
            "$HOME/k",
            "--identity-file: '$HOME/k' is not a path",
            id="identity file",
        ),
    ],
)
def test_an_option_with_a_fault_is_named(gen: Gen, option: str, value: str, message: str) -> None:
    result = gen("site", "mila", option, value)
    assert result.status == 2
    assert result.err.startswith(message)


@pytest.mark.parametrize("word", ["musca", "MUSICA"])
def test_an_unknown_site_gets_a_hint(gen: Gen, word: str) -> None:
    result = gen("show", word)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"{word}: no such site; did you mean musica? Otherwise run gen list, or give the path of"
        " a spec\n"
    )


def test_an_unknown_site_that_resembles_no_other_gets_advice(gen: Gen) -> None:
    result = gen("show", "zzzzzzz")
    assert result.err == "zzzzzzz: no such site; run gen list, or give the path of a spec\n"


def test_a_missing_spec_is_an_error(gen: Gen) -> None:
    result = gen("site", "./nope.yaml")
    assert (result.status, result.err) == (2, "nope.yaml: no such file or directory\n")


@pytest.mark.parametrize(
    "command", [("site", "mila"), ("list",), ("show", "mila")], ids=["site", "list", "show"]
)
def test_a_missing_directory_of_specs_is_an_error(gen: Gen, command: tuple[str, ...]) -> None:
    result = gen(*command, "--specs", "nope")
    assert (result.status, result.err) == (2, "--specs nope: is not a directory\n")


def test_an_output_path_that_is_a_file_is_an_error(gen: Gen) -> None:
    Path("file").touch()
    result = gen("site", "mila", "--out", "file")
    assert (result.status, result.err) == (2, "--out file: is not a directory\n")


def test_specs_of_the_directory_come_before_the_catalogue(gen: Gen) -> None:
    Path("site_specs").mkdir()
    # A team corrects a spec of the catalogue by a copy; a command that preferred the catalogue
    # would ignore the correction.
    text = (resources.CATALOGUE / "mila.yaml").read_text().replace("Mila cluster", "Our Mila")
    Path("site_specs/mila.yaml").write_text(text)
    assert "Our Mila" in gen("list").out
    Path("more").mkdir()
    Path("more/mila.yaml").write_text(text.replace("Our Mila", "Their Mila"))
    assert "Their Mila" in gen("list", "--specs", "more").out


def test_list_names_a_broken_spec_and_shows_the_others(gen: Gen) -> None:
    Path("site_specs").mkdir()
    Path("site_specs/broken.yaml").write_text("site: broken\n")
    result = gen("list")
    assert result.status == 2
    assert "site_specs/broken.yaml:1: hosts: is missing" in result.err
    assert "musica" in result.out


@pytest.mark.parametrize("site", ["mila", "musica"])
def test_show_fits_eighty_columns(gen: Gen, site: str, snapshot: SnapshotAssertion) -> None:
    assert gen("show", site).out == snapshot


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        pytest.param(
            ("site", "mila", "--json"),
            {"format_version", "site", "files", "backups", "missing_values", "unpinned_host_keys"},
            id="site",
        ),
        pytest.param(("list", "--json"), {"format_version", "sites"}, id="list"),
        pytest.param(("show", "mila", "--json"), {"format_version", "spec"}, id="show"),
        pytest.param(
            ("validate", str(resources.CATALOGUE / "mila.yaml"), "--json"),
            {"format_version", "files"},
            id="validate",
        ),
    ],
)
# Programs parse stdout; a remark among it would break them.
def test_json_is_on_stdout_alone(gen: Gen, arguments: tuple[str, ...], keys: set[str]) -> None:
    result = gen(*arguments)
    assert result.status == 0
    assert json.loads(result.out).keys() == keys


def test_the_committed_schema_is_current(gen: Gen) -> None:
    assert gen("schema").out == (REPOSITORY / "docs/site-spec.schema.json").read_text()


def test_every_shipped_spec_names_the_schema_on_its_first_line() -> None:
    for path in resources.CATALOGUE.glob("*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../docs/site-spec.schema.json"
        assert (path.parent / "../docs/site-spec.schema.json").resolve().is_file()


def test_validate_asks_the_questions_of_a_reviewer_with_strict(gen: Gen) -> None:
    spec = str(resources.CATALOGUE / "vulcan.yaml")
    result = gen("validate", "--strict", spec)
    assert (result.status, result.out) == (1, "")
    assert (
        "hosts.vulcan: does the site publish host keys? The spec has none, so ssh asks"
        in result.err
    )
    assert result.err.endswith("1 checked, all sound, 1 open question\n")
    [check] = json.loads(gen("validate", "--strict", "--json", spec).out)["files"]
    assert (check["path"], check["faults"], len(check["questions"])) == (spec, [], 1)
    assert gen("validate", spec).status == 0


def test_new_site_writes_a_spec_of_the_answers_that_are_given(gen: Gen) -> None:
    answers = {
        "title": "Ours",
        "hosts.ours.host": "login.example.org",
        "sources.login.url": "https://hpc.example.org",
        "auth.method": "keyboard",
    }
    options: list[str] = []
    for key, answer in answers.items():
        options += ["--set", f"{key}={answer}"]
    result = gen("new-site", "ours", *options)
    assert (result.status, result.err.splitlines()[0]) == (0, "  new       site_specs/ours.yaml")
    schema = "site-spec.schema.json"
    first, *_ = Path("site_specs/ours.yaml").read_text().splitlines()
    assert first == (
        f"# yaml-language-server: $schema={schema} (made here by: gen schema > {schema})"
    )
    questions = gen("validate", "--strict", "site_specs/ours.yaml").err
    assert "auth: where is this from" not in questions
    assert gen("site", "ours").status == 0
    assert "Ours" in gen("list").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["ours"], "title: is missing; there is no terminal to ask on", id="no answers"
        ),
        pytest.param(["../ours"], "NAME ../ours: write lowercase letters", id="a path"),
        pytest.param(["Ours"], "NAME Ours: write lowercase letters", id="capitals"),
        pytest.param(
            # ssh would read a host name that starts with a dash as an option, and run the command.
            ["ours", "--set", "title=Ours", "--set", "hosts.ours.host=-oProxyCommand=x"],
            "site_specs/ours.yaml:6: hosts.ours.host: '-oProxyCommand=x' is not a host name",
            id="an answer that does not fit",
        ),
    ],
)
def test_new_site_writes_nothing_if_an_answer_is_missing_or_wrong(
    gen: Gen, arguments: list[str], message: str
) -> None:
    result = gen("new-site", *arguments)
    assert (result.status, files()) == (2, {})
    assert message in result.err


def test_new_site_names_the_schema_of_the_repository_where_it_is(gen: Gen) -> None:
    Path("docs").mkdir()
    Path("docs/site-spec.schema.json").touch()
    gen("new-site", "ours", "--set", "title=Ours", "--set", "hosts.ours.host=login.example.org")
    first, *_ = Path("site_specs/ours.yaml").read_text().splitlines()
    assert first == "# yaml-language-server: $schema=../docs/site-spec.schema.json"


def test_new_site_keeps_the_sources_of_set(gen: Gen) -> None:
    options = []
    for answer in (
        "title=Ours",
        "hosts.ours.host=login.example.org",
        "sources.login.url=https://hpc.example.org",
        "sources.keys.url=https://hpc.example.org/keys",
        "auth.source=keys",
    ):
        options += ["--set", answer]
    assert gen("new-site", "ours", *options).status == 0
    spec = Path("site_specs/ours.yaml").read_text()
    assert spec.count("source: keys\n") == 1
    assert spec.count("source: login\n") == 2


def test_new_site_leaves_an_existing_spec_alone(gen: Gen) -> None:
    Path("site_specs").mkdir()
    Path("site_specs/ours.yaml").write_text("mine")
    result = gen("new-site", "ours")
    assert (result.status, files()) == (2, {"site_specs/ours.yaml": b"mine"})
    assert result.err == ("site_specs/ours.yaml: already exists; edit it, or choose another name\n")


def test_new_site_asks_on_a_terminal_and_asks_again_after_a_wrong_answer(tmp_path: Path) -> None:
    # The answers are typed ahead: a terminal keeps them until they are read. So the test needs no
    # waiting for each question. An empty line takes the default.
    typed = [
        "Ours",
        "",
        "Austria",
        "AT",
        "",
        "https://hpc.example.org",
        "-x",
        "login.example.org",
        "",
        "publickey",
        "",
    ]
    terminal, stdin = os.openpty()
    os.write(terminal, "".join(f"{line}\n" for line in typed).encode())
    done = subprocess.run(
        [sys.executable, "-m", "generator", "new-site", "ours"],
        stdin=stdin,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        timeout=60,
        check=True,
    )
    os.close(terminal)
    os.close(stdin)
    assert "'Austria' is not a country code of two uppercase letters (ISO 3166)" in done.stderr
    assert "'-x' is not a host name" in done.stderr
    spec = (tmp_path / "site_specs/ours.yaml").read_text()
    assert "country: AT\n" in spec
    assert "url: https://hpc.example.org\n" in spec
    assert "source: login\n" in spec


def test_validate_counts_and_fails(gen: Gen) -> None:
    Path("bad.yaml").write_text("site: bad\n")
    result = gen("validate", str(resources.CATALOGUE / "mila.yaml"), "bad.yaml")
    assert result.status == 2
    assert "bad.yaml:1: hosts: is missing" in result.err
    assert result.err.endswith("2 checked, 1 with faults\n")
    assert gen("validate", str(resources.CATALOGUE / "mila.yaml")).err == "1 checked, all sound\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("site", "mila", "--bogus"), id="option"),
        pytest.param(("bogus",), id="command"),
        pytest.param(("site",), id="argument"),
    ],
)
def test_wrong_usage_is_2_and_no_traceback(gen: Gen, arguments: tuple[str, ...]) -> None:
    result = gen(*arguments)
    assert (result.status, result.out) == (2, "")
    assert "Traceback" not in result.err


def test_a_bug_keeps_its_traceback_and_has_the_status_70(
    gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise RuntimeError("bug")

    # A real bug is not at hand, so one is put in the place of the parser.
    monkeypatch.setattr(app, "with_command", broken)
    result = gen("list")
    assert result.status == 70
    assert "RuntimeError: bug" in result.err
    assert "internal error" in result.err


def test_an_interrupt_is_130(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "with_command", interrupted)
    assert gen("list").status == 130


def test_version_needs_no_command_line_parser() -> None:
    code = [
        # typer takes most of the time of a start; scripts ask for the version often.
        "import sys; sys.argv = ['gen', '--version']",
        "from generator.__main__ import main; main()",
        "assert 'typer' not in sys.modules",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "; ".join(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"gen {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [
        pytest.param(["list", "--json"], "pydantic rich yaml ruamel jinja2 email", id="list"),
        pytest.param(["show", "mila"], "rich ruamel jinja2 urllib3 email", id="show"),
        pytest.param(["site", "mila"], "rich ruamel urllib3 email", id="site"),
    ],
)
def test_a_command_imports_no_package_that_it_does_not_need(
    gen: Gen, arguments: list[str], modules: str
) -> None:
    # `email` stands for importlib.metadata, which pydantic imports to look for plugins.
    code = (
        f"import sys; sys.argv = ['gen', *{arguments!r}]\n"
        "from generator.__main__ import main\n"
        "try: main()\n"
        f"finally: print(*(set({modules!r}.split()) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == ""


COMPLETE_BASH = """\
eval "$(_GEN_COMPLETE=source_bash gen)"
COMP_WORDS=(%s) COMP_CWORD=2
_gen_completion gen
printf '%%s\\n' "${COMPREPLY[@]}"
"""
COMPLETE_FISH = """\
_GEN_COMPLETE=source_fish gen | source
complete -C "%s"
"""
# _arguments is the function of zsh that shows the completions; here it prints what it is asked to.
COMPLETE_ZSH = """\
compdef() { :; }
_arguments() { print -r -- "$@" }
eval "$(_GEN_COMPLETE=source_zsh gen)"
words=("${(@s: :):-%s}") CURRENT=3
_gen_completion
"""


def completions(shell: str, line: str, home: Path) -> str:
    """Return what a real shell gets for a line, by the script that gen prints for it."""
    script = {"bash": COMPLETE_BASH, "fish": COMPLETE_FISH, "zsh": COMPLETE_ZSH}[shell] % line
    options = {"bash": ["--norc"], "fish": ["--no-config"], "zsh": ["-f"]}[shell]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *options, "-c", script],
        env={"PATH": path, "HOME": str(home), "LANG": "C.UTF-8"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "musica", "title"),
    [
        ("bash", "musica\n", None),
        ("zsh", '"musica":', '"MUSICA (Multi-Site Computer Austria)"'),
        ("fish", "musica\t", "MUSICA (Multi-Site Computer Austria)\n"),
    ],
)
def test_a_shell_completes_commands_sites_and_aliases(
    need: Callable[..., None], tmp_path: Path, shell: str, musica: str, title: str | None
) -> None:
    need(shell)
    sites = completions(shell, "gen show mu", tmp_path)
    assert musica + (title or "") in sites
    assert "mila" not in sites
    assert "--country" in completions(shell, "gen list --co", tmp_path)
    (tmp_path / ".ssh").mkdir()
    # The scripts of the shells would run a command in a name.
    hosts = "Host big it's a\"b $(touch${IFS}x) `touch${IFS}y` b;c\n  User x\n"
    (tmp_path / ".ssh/config").write_text(hosts)
    aliases = completions(shell, "gen import ", tmp_path)
    assert "big" in aliases
    assert not re.search(r"it|touch|b;c", aliases)
    assert not {"x", "y"} & {path.name for path in tmp_path.iterdir()}


def test_a_completion_imports_nothing_slow() -> None:
    environment = {
        **os.environ,
        "_GEN_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "gen show mu",
    }
    command = [sys.executable, "-X", "importtime", "-m", "generator"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "musica\tMUSICA (Multi-Site Computer Austria)\n"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"rich", "pydantic", "ruamel.yaml"})


@pytest.mark.parametrize(
    ("arguments", "listed", "unlisted"),
    [
        pytest.param(["--country", "at"], {"musica", "vsc5"}, {"mila", "lumi"}, id="a country"),
        pytest.param(
            ["--login", "step"], {"musica", "leonardo"}, {"mila", "vsc5"}, id="a way to log in"
        ),
        pytest.param(["--gpu", "h100"], {"mila", "nibi", "musica"}, {"vsc5", "cirrus"}, id="a GPU"),
        pytest.param(["--gpu", ""], {"mila", "vsc5", "lumi"}, {"cirrus"}, id="any GPU"),
        pytest.param(["--scheduler", "pbs"], {"alcf-aurora"}, {"mila", "chtc"}, id="a scheduler"),
        pytest.param(["--pinned"], {"mila", "archer2"}, {"musica", "vsc5"}, id="pinned"),
        pytest.param(
            ["--unpinned"], {"musica", "vsc5"}, {"mila", "archer2"}, id="not pinned, or not unasked"
        ),
        pytest.param(
            ["--country", "CA", "--unpinned"], {"vulcan"}, {"mila", "vsc5"}, id="two at once"
        ),
    ],
)
def test_list_shows_the_sites_that_the_options_select(
    gen: Gen, arguments: list[str], listed: set[str], unlisted: set[str]
) -> None:
    result = gen("list", "--json", *arguments)
    names = {site["site"] for site in json.loads(result.out)["sites"]}
    assert result.status == 0
    assert listed <= names
    assert not unlisted & names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--country", "XX"],
            "--country XX: no site has this country\n  known: AE, ",
            id="a code",
        ),
        pytest.param(
            ["--country", "Canada"],
            "--country Canada: no site has this country; did you mean CA?\n  known: ",
            id="a country by its name",
        ),
        pytest.param(
            ["--country", "Japon"],
            "--country Japon: no site has this country\n  known: ",
            id="a name in another language",
        ),
        pytest.param(
            ["--gpu", "h1000"], "--gpu h1000: no site has this GPU", id="a GPU that no site has"
        ),
        pytest.param(
            ["--pinned", "--unpinned"],
            "--unpinned: contradicts --pinned; use one of them",
            id="a contradiction",
        ),
        pytest.param(
            ["--country", "AT", "--scheduler", "pjm"],
            "no site fits all of these options; leave one of them out",
            id="options that exclude one another",
        ),
    ],
)
def test_list_refuses_options_that_list_nothing(
    gen: Gen, arguments: list[str], message: str
) -> None:
    result = gen("list", *arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(message)
    assert [line for line in result.err.splitlines() if len(line) > 80] == []


def test_each_country_of_the_catalogue_is_known_by_its_name(gen: Gen) -> None:
    sites = json.loads(gen("list", "--json").out)["sites"]
    codes = {site["country"] for site in sites if site["country"]}
    assert codes == set(CODES.values())


def test_a_country_may_be_written_in_small_letters(gen: Gen) -> None:
    assert gen("list", "--country", "at").status == 0


def test_a_row_is_one_line_without_a_terminal(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    # A pipe to grep has no width, and a row that is wrapped is not found whole.
    monkeypatch.delenv("COLUMNS")
    [row] = [line for line in gen("list").out.splitlines() if "musica" in line]
    assert "MUSICA (Multi-Site Computer Austria)" in row


def test_list_names_the_login_methods_of_all_sites(gen: Gen) -> None:
    result = gen("list", "--login", "publickeys")
    assert result.status == 2
    assert result.err.startswith(
        "--login publickeys: no site has this method; did you mean publickey?\n"
        "  known: agent, certificate, "
    )


def test_the_list_of_all_sites_fits_into_80_columns(
    gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = gen("list").out.splitlines()
    assert len(lines) > 130
    assert [line for line in lines if len(line) > 80] == []


def test_a_scheduler_that_no_site_has_is_refused(gen: Gen) -> None:
    result = gen("list", "--scheduler", "pbspro")
    assert result.status == 2
    assert result.err.startswith(
        "--scheduler pbspro: no site has this scheduler; did you mean pbs?"
    )
