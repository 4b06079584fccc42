"""The Dagster project: what is compiled, what is seeded, and that the template is one of cookiecutter's own."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import dagster_slurm as ds
import pytest
from running import Gen, running
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator import resources
from generator.compiler.account import Account
from generator.compiler.compile import compile_site
from generator.compiler.emitters import dagster_project, ssh_config
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import change
from generator.schema.profile import SiteProfile
from generator.schema.project import Project, package, slug
from generator.schema.site import SiteSpec

SITES = sorted(path.stem for path in resources.CATALOGUE.glob("*.yaml"))
WIRING = PurePosixPath("p/src/p/sites")
CLASSES: dict[str, Any] = {
    "ssh": ds.SSHConnectionResource,
    "queue": ds.SlurmQueueConfig,
    "devel": ds.SlurmQueueConfig,
    "ray": ds.RayLauncher,
    "spark": ds.SparkLauncher,
}


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gen:
    """Run gen in an empty folder, with an empty home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return running(monkeypatch, capsys.readouterr)


@cache
def site(name: str, *changes: str) -> SiteSpec:
    path = resources.CATALOGUE / f"{name}.yaml"
    root = yaml_document.parse(path.read_bytes(), str(path))
    return validate.spec(root, str(path), [change(text) for text in changes])


def wiring(spec: SiteSpec, profile: SiteProfile | None = None) -> dict[str, Any]:
    [made] = dagster_project.emit(
        Account(spec, profile or SiteProfile()), Project(PurePosixPath("p"), "p")
    )
    return tomllib.loads(made.content.decode())


def of_file(snapshot: SnapshotAssertion, name: str) -> SnapshotAssertion:
    """Give a snapshot the name's own ending; Python's would have it taken for a test and for code of ours."""
    ending = re.sub("^py$", "python", name.rpartition(".")[2].lower())
    return snapshot.use_extension(
        type(f"{ending}File", (SingleFileSnapshotExtension,), {"file_extension": ending})
    )


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_every_file_of_a_project(name: str, snapshot: SnapshotAssertion) -> None:
    project = Project(PurePosixPath(f"{name}-pipelines"), f"{name}_pipelines")
    for seed in dagster_project.seeds(site(name), project):
        assert seed.content == of_file(snapshot, seed.path.name)(
            name=str(seed.path.relative_to(project.folder)).replace("/", " ")
        )


@pytest.mark.parametrize("name", SITES)
def test_the_wiring_of_every_site(name: str, ada: SiteProfile, snapshot: SnapshotAssertion) -> None:
    """With the pins that only a person accepts, so that every table is seen."""
    [made] = dagster_project.emit(Account(site(name), ada), Project(PurePosixPath(), "p"))
    assert made.content == of_file(snapshot, "site.toml")


@pytest.mark.parametrize("name", SITES)
def test_every_key_of_the_wiring_is_a_field_that_takes_its_value(
    name: str, ada: SiteProfile, tmp_path: Path
) -> None:
    made = wiring(site(name), ada)
    (tmp_path / "key").touch()
    for table, known in CLASSES.items():
        fields = made.get(table, {})
        assert set(fields) <= set(known.model_fields)
        if table == "ssh":
            jump = fields.pop("jump_host", {})
            assert set(jump) <= set(known.model_fields)
            fields |= {"user": "ada", "key_path": str(tmp_path / "key")}
        known(**{key: None if value == "" else value for key, value in fields.items()})


@pytest.mark.parametrize("name", SITES)
def test_what_a_team_shares_holds_nothing_of_a_person(name: str) -> None:
    one, other = (
        SiteProfile(
            user=user,
            email=f"{user}@example.org",
            home=f"/home/{user}",
            account=f"a-{user}",
            client_id=user,
        )
        for user in ("ada", "grace")
    )
    assert wiring(site(name), one) == wiring(site(name), other)


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_the_pins_are_those_of_the_ssh_config(name: str, ada: SiteProfile) -> None:
    [conf] = ssh_config.emit(Account(site(name), ada))
    for option in wiring(site(name), ada)["ssh"]["extra_opts"]:
        assert f"    {option.removeprefix('-o').replace('=', ' ', 1)}\n" in conf.content.decode()


def test_without_trusted_pins_a_known_hosts_file_decides() -> None:
    assert not {"extra_opts", "host_key_checking"} & set(wiring(site("musica"))["ssh"])


@pytest.mark.parametrize(
    ("name", "overlay", "table", "expected"),
    [
        pytest.param(
            "musica",
            'ray.ray_start_args=["--include-dashboard=false"]',
            "ray",
            {
                "pre_start_commands": ["ulimit -n 65536"],
                "ray_start_args": ["--include-dashboard=false"],
            },
            id="dashboard off",
        ),
        pytest.param(
            "mila", "spark.executor_memory=8g", "spark", {"executor_memory": "8g"}, id="spark"
        ),
        pytest.param("mila", "ray.worker_cpu_bind=omit", "ray", {"worker_cpu_bind": ""}, id="none"),
        pytest.param(
            "mila",
            "slurm.signal=B:TERM@120",
            "queue",
            {"partition": "long", "signal_before_timeout": "TERM@120"},
            id="signal",
        ),
    ],
)
def test_one_line_of_an_overlay_changes_a_field(
    name: str, overlay: str, table: str, expected: dict[str, Any]
) -> None:
    assert wiring(site(name, overlay))[table] == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        pytest.param("musica", "asks", None, id="a certificate asks nothing"),
        pytest.param("mila", "asks", "for a second factor", id="second factor"),
        pytest.param(
            "olcf-frontier", "impossible", "connections may not be shared", id="no sharing"
        ),
        pytest.param("vsc-kuleuven-wice", "impossible", "--clusters", id="clusters"),
        pytest.param("cirrus", "needs", "SLURM_ACCOUNT", id="account"),
    ],
)
def test_what_a_site_asks_for(name: str, key: str, expected: str | None) -> None:
    found = wiring(site(name)).get(key, "")
    assert found == "" if expected is None else expected in found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("my pipelines", "my-pipelines", id="blank"),
        pytest.param("v1.2 Überblick", "v1-2-uberblick", id="dot and umlaut"),
        pytest.param("__x__", "x", id="underscores"),
        pytest.param("2026", "2026", id="digits"),
        pytest.param("Straße", "strasse", id="sharp s"),
    ],
)
def test_any_name_becomes_a_package(name: str, expected: str) -> None:
    assert slug(name) == expected
    assert package(slug(name)).isidentifier()


@pytest.mark.parametrize(
    "name", ["数据", "", "...", "class", "Dagster", "ray", "tests", "numpy", "yaml"]
)
def test_a_name_that_no_package_can_have_is_refused(name: str) -> None:
    with pytest.raises(GenError, match=re.escape(repr(name))):
        slug(name)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_the_users_stays_and_what_the_spec_says_changes(gen: Gen, tmp_path: Path) -> None:
    gen("site", "musica", "--out", "a")
    package = tmp_path / "a/musica-pipelines/src/musica_pipelines"
    (package / "defs/corpus.py").write_text("# mine\n")
    (package / "defs/complexity.py").unlink()
    before = files(tmp_path / "a/musica-pipelines")
    result = gen("site", "musica", "--out", "a", "--set", "slurm.partition=zen4_0768")
    after = files(tmp_path / "a/musica-pipelines")
    assert result.status == 0
    assert {path for path in {*before, *after} if before.get(path) != after.get(path)} == {
        "src/musica_pipelines/sites/musica.toml"
    }
    assert gen("check", "a").status == 0


def test_an_edited_wiring_is_drift_and_all_else_is_not(gen: Gen, tmp_path: Path) -> None:
    gen("site", "mila", "--out", "a")
    (tmp_path / "a/mila-pipelines/pyproject.toml").unlink()
    assert gen("check", "a").status == 0
    wired = tmp_path / "a/mila-pipelines/src/mila_pipelines/sites/mila.toml"
    wired.write_text(wired.read_text().replace("2222", "22"))
    result = gen("check", "a")
    assert (result.status, "sites/mila.toml" in result.out) == (1, True)
    assert gen("site", "--all", "--out", "a", "--force").status == 0
    assert gen("check", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines/pyproject.toml").exists()


def test_a_project_takes_a_second_site_and_gen_remembers_it(gen: Gen, tmp_path: Path) -> None:
    gen("site", "musica", "--out", "a")
    before = files(tmp_path / "a/musica-pipelines")
    assert gen("site", "mila", "--out", "a", "--project", "a/musica-pipelines").status == 0
    assert gen("site", "mila", "--out", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines").exists()
    assert set(files(tmp_path / "a/musica-pipelines")) - set(before) == {
        "src/musica_pipelines/sites/mila.toml"
    }
    assert gen("check", "a").status == 0


def test_a_project_alone_is_all_that_is_made(gen: Gen, tmp_path: Path) -> None:
    assert gen("project", "My Pipes", "--site", "mila").status == 0
    assert {path.name for path in tmp_path.iterdir()} - {"home"} == {"my-pipes"}
    assert not (tmp_path / "my-pipes/ssh").exists()
    assert gen("check", "my-pipes").status == 0
    assert gen("site", "--all", "--out", "my-pipes").status == 0
    assert not (tmp_path / "my-pipes/ssh").exists()
    again = gen("project", "My Pipes", "--site", "mila", "--set", "slurm.partition=main")
    assert (again.status, "changed" in again.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ("site", "mila", "--project", "nowhere"),
            "--project nowhere: gen did not create this project",
            id="none",
        ),
        pytest.param(
            ("site", "mila", "--out", "a", "--project", "b"), "b: is not below a", id="elsewhere"
        ),
        pytest.param(("project", "b", "--site", "mila"), "b: already exists", id="somebody else's"),
        pytest.param(
            ("project", "json", "--site", "mila"),
            "a meaning of its own for json",
            id="a module of Python's",
        ),
        pytest.param(
            ("site", "mila", "--project", "b", "--no-project"), "contradicts --project", id="both"
        ),
    ],
)
def test_what_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], said: str, gen: Gen, tmp_path: Path
) -> None:
    (tmp_path / "b/src/b/sites").mkdir(parents=True)
    result = gen(*arguments)
    assert (result.status, said in result.err) == (2, True), result.err
    assert files(tmp_path) == {}


def test_a_project_that_was_taken_away_or_moved_comes_anew(gen: Gen, tmp_path: Path) -> None:
    gen("site", "mila", "--out", "a")
    before = files(tmp_path / "a")
    (tmp_path / "a/mila-pipelines").rename(tmp_path / "moved")
    assert gen("site", "mila", "--out", "a").status == 0
    assert files(tmp_path / "a") == before


def test_a_project_does_not_take_over_what_gen_site_wrote(gen: Gen, tmp_path: Path) -> None:
    gen("site", "musica", "--out", "work")
    before = files(tmp_path / "work")
    result = gen("project", "work", "--site", "musica")
    assert (result.status, "and gen project did not create it" in result.err) == (2, True), (
        result.err
    )
    assert files(tmp_path / "work") == before


def test_what_gen_site_wrote_into_a_project_stays_there(gen: Gen, tmp_path: Path) -> None:
    gen("project", "alone", "--site", "musica")
    assert gen("site", "musica", "--out", "alone").status == 0
    before = files(tmp_path / "alone")
    assert {"ssh/musica.conf", ".env.musica"} <= set(before)
    assert gen("project", "alone", "--site", "musica").status == 0
    assert files(tmp_path / "alone") == before


def test_a_folder_of_somebody_else_gets_no_project_unasked(gen: Gen, tmp_path: Path) -> None:
    (tmp_path / "mila-pipelines").mkdir()
    (tmp_path / "mila-pipelines/mine").touch()
    result = gen("site", "mila")
    assert (result.status, "--project" in result.err, "--no-project" in result.err) == (
        2,
        True,
        True,
    ), result.err
    assert set(files(tmp_path)) == {"mila-pipelines/mine"}
    assert gen("site", "mila", "--no-project").status == 0


def test_the_locks_of_a_project_stay_in_one_place(
    gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gen("site", "musica")
    gen("project", "alone", "--site", "musica")
    before = files(tmp_path)
    assert (again := gen("site", "mila", "--project", "alone")).status == 2
    assert f"add --out {tmp_path / 'alone'}" in again.err
    monkeypatch.chdir(tmp_path / "musica-pipelines")
    assert (below := gen("site", "mila", "--project", ".")).status == 2
    assert f"add --out {tmp_path}" in below.err
    assert files(tmp_path) == before


def test_the_wiring_names_the_command_that_makes_it_anew(gen: Gen, tmp_path: Path) -> None:
    gen("project", "alone", "--site", "mila")
    wired = (tmp_path / "alone/src/alone/sites/mila.toml").read_text().splitlines()[0]
    command = wired.rpartition(" then run: gen ")[2]
    assert command == "project alone --site mila"
    assert gen(*command.split()).status == 0
    assert gen("check", "alone").status == 0


def test_no_project_when_none_is_wanted(gen: Gen, tmp_path: Path) -> None:
    assert gen("site", "mila", "--no-project", "--out", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines").exists()


@pytest.mark.system
def test_the_pins_of_a_jump_host_reach_its_own_ssh(
    need: Callable[..., None], tmp_path: Path
) -> None:
    """The first ssh expands the `%` signs of the ProxyCommand that holds them; a stand-in for the second shows it."""
    need("ssh")
    mila = Account(site("mila"), SiteProfile())
    pins: Any = dagster_project._trust
    own, inner = (pins(mila, mila.site.usual_host, sign)["extra_opts"] for sign in ("%", "%%"))
    jump = ds.SSHConnectionResource(host="jump", user="ada", extra_opts=inner)
    command = ds.SSHConnectionResource(host="h", user="ada", jump_host=jump).get_ssh_base_command()
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/shown\n")
    (tmp_path / "ssh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    command[0] = shutil.which("ssh") or ""
    subprocess.run([*command, "true"], env=environment, capture_output=True, timeout=60)
    assert (tmp_path / "shown").read_text().splitlines()[: len(own)] == own


TEMPLATE = tomllib.loads(
    (resources.PROJECT / "{{cookiecutter.__slug}}/pyproject.toml")
    .read_text()
    .replace("{{ cookiecutter", "{{cookiecutter")
)
PINS = [
    pin
    for pin in [
        *TEMPLATE["project"]["dependencies"],
        *(pin for extra in TEMPLATE["project"]["optional-dependencies"].values() for pin in extra),
    ]
    if "==" in pin
]


@pytest.mark.parametrize("pin", PINS)
def test_what_is_pinned_is_what_is_tested(pin: str) -> None:
    name, _, wanted = pin.partition("==")
    assert version(name.partition("[")[0]) == wanted


def test_the_tasks_of_pixi_are_those_that_dagster_slurm_runs() -> None:
    client = object.__new__(ds.SlurmPipesClient)
    client.logger = __import__("logging").getLogger()
    asked = {
        client._get_pack_command(full_build=full, target_platform=platform)[-1]
        for full in (True, False)
        for platform in ("linux-64", "linux-aarch64")
    }
    assert asked == set(TEMPLATE["tool"]["pixi"]["tasks"])


def modules() -> Iterator[Path]:
    yield from (resources.PROJECT / "{{cookiecutter.__slug}}/src").rglob("*.py")


@pytest.mark.parametrize("module", sorted(modules()), ids=lambda path: path.name)
def test_python_of_the_template_holds_no_placeholder(module: Path) -> None:
    assert "cookiecutter" not in module.read_text()
    ast.parse(module.read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as cookiecutter's own command makes it from the template, with two sites added."""
    folder = tmp_path_factory.mktemp("template")
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    cookiecutter = [
        sys.executable,
        "-m",
        "cookiecutter",
        "--no-input",
        str(resources.PROJECT),
        "name=Two Sites",
    ]
    subprocess.run(
        cookiecutter, cwd=folder, env=environment, check=True, capture_output=True, timeout=120
    )
    return folder / "two-sites"


def test_the_key_of_a_jump_host_is_the_users_where_both_take_one() -> None:
    """A key of its own would win over the one that the user names."""
    assert "key_path" not in wiring(site("isambard-ai"))["ssh"]["jump_host"]


def test_the_template_alone_makes_a_package_of_digits(tmp_path: Path) -> None:
    cookiecutter = [
        sys.executable,
        "-m",
        "cookiecutter",
        "--no-input",
        str(resources.PROJECT),
        "name=2026",
    ]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        cookiecutter, cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=120
    )
    assert (tmp_path / "2026/src/_2026/definitions.py").exists()


def test_the_readme_calls_a_site_as_ssh_does() -> None:
    spec = site("cscs-daint")
    [readme] = (
        seed
        for seed in dagster_project.seeds(spec, Project(PurePosixPath(), "p"))
        if str(seed.path) == "README.md"
    )
    assert f"ssh {spec.usual_host.alias} 'cd FOLDER" in readme.content.decode()


def test_cookiecutter_makes_of_the_template_what_gen_makes(project: Path) -> None:
    made = dagster_project.seeds(site("musica"), Project(PurePosixPath(), "two_sites"))
    same = {
        path: text for path, text in files(project).items() if path != "README.md"
    }  # has the name as it was typed
    assert same == {
        str(seed.path): seed.content
        for seed in made
        if seed.path.name != "README.md" or len(seed.path.parts) > 1
    }


@pytest.mark.long
@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"])
def test_what_is_generated_is_in_order_as_it_stands(command: str, project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_seeds_are_no_artifacts_of_a_comparison(name: str) -> None:
    """`gen check` compiles without them, and so without cookiecutter."""
    spec = site(name)
    plain = compile_site(spec, SiteProfile())
    assert (
        len(compile_site(spec, SiteProfile(), Project(PurePosixPath("p"), "p"))) == len(plain) + 1
    )
