"""The Dagster project: its compiled file, its seeds, and its cookiecutter template."""

import ast
import logging
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import dagster_slurm as ds
import pytest
from catalogue_sites import SLURM_SITES, SNAPSHOT_SITES
from depth import sample
from running import Gen, running
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension

from generator import resources
from generator.compiler import scaffold
from generator.compiler.account import Account
from generator.compiler.compile import compile_site
from generator.compiler.emitters import dagster_project, ssh_config
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import change
from generator.schema.hosts import RevokedKeys
from generator.schema.profile import SiteProfile
from generator.schema.project import Project, package, slug
from generator.schema.site import SiteSpec

WIRING = PurePosixPath("p/src/p/sites")
CLASSES: dict[str, Any] = {
    "ssh": ds.SSHConnectionResource,
    "ray": ds.RayLauncher,
    "spark": ds.SparkLauncher,
}


@pytest.fixture
def gen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gen:
    """Run gen in an empty directory, with an empty home directory."""
    monkeypatch.chdir(tmp_path)
    # A profile of whoever runs the tests would fill in values.
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return running(monkeypatch, capsys.readouterr)


@cache
def site(name: str, *changes: str) -> SiteSpec:
    path = resources.CATALOGUE / f"{name}.yaml"
    root = yaml_document.parse(path.read_bytes(), str(path))
    return validate.spec(root, str(path), [change(text) for text in changes])


def wiring(spec: SiteSpec, profile: SiteProfile | None = None) -> dict[str, Any]:
    """Return the content of a site's file in a project."""
    account = Account(spec, profile or SiteProfile())
    [artifact] = dagster_project.emit(account, Project(PurePosixPath("p"), "p"))
    return tomllib.loads(artifact.content.decode())


def of_file(snapshot: SnapshotAssertion, name: str) -> SnapshotAssertion:
    """Give a snapshot the extension of a file.

    Python files get another one: pytest would collect a `.py` file, and ruff would check it.
    """
    extension = name.rpartition(".")[2].lower()
    if extension == "py":
        extension = "python"
    attributes = {"file_extension": extension}
    return snapshot.use_extension(
        type(f"{extension}File", (SingleFileSnapshotExtension,), attributes)
    )


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_every_filled_in_file_of_a_project(name: str, snapshot: SnapshotAssertion) -> None:
    # A file without a placeholder is the file of the template, and needs no second copy here.
    project = Project(PurePosixPath(f"{name}-pipelines"), f"{name}_pipelines")
    templates = {path.read_bytes() for path in resources.PROJECT.rglob("*") if path.is_file()}
    for seed in dagster_project.seeds(site(name), project):
        if seed.content in templates:
            continue
        snapshot_name = str(seed.path.relative_to(project.folder)).replace("/", " ")
        assert seed.content == of_file(snapshot, seed.path.name)(name=snapshot_name)


@pytest.mark.parametrize("name", [name for name in SNAPSHOT_SITES if name in SLURM_SITES])
def test_the_wiring_of_every_site(name: str, ada: SiteProfile, snapshot: SnapshotAssertion) -> None:
    # The profile accepts weak sources, so that every table is there.
    [artifact] = dagster_project.emit(Account(site(name), ada), Project(PurePosixPath(), "p"))
    assert artifact.content == of_file(snapshot, "site.toml")


@pytest.mark.parametrize("name", sample(SLURM_SITES, 30))
def test_every_key_of_the_wiring_is_a_field_of_dagster_slurm_that_accepts_its_value(
    name: str, ada: SiteProfile, tmp_path: Path
) -> None:
    tables = wiring(site(name), ada)
    # dagster-slurm refuses the path of a key that does not exist.
    (tmp_path / "key").touch()
    for table, model in CLASSES.items():
        fields = tables.get(table, {})
        assert set(fields) <= set(model.model_fields)
        if table == "ssh":
            jump_host = fields.pop("jump_host", {})
            assert set(jump_host) <= set(model.model_fields)
            fields |= {"user": "ada", "key_path": str(tmp_path / "key")}
        # An empty text stands for None, which TOML does not have.
        model(**{key: value or None for key, value in fields.items()})
    for request in tables["requests"].values():
        # The project turns these into CPUs and memory of the job, and into a type of GPU.
        fields = set(request) - {"cpus_per_gpu", "mem_per_gpu", "gres"}
        assert fields <= set(ds.SlurmQueueConfig.model_fields)


@pytest.mark.parametrize("name", sample(SLURM_SITES, 30))
def test_the_wiring_has_no_value_of_a_user(name: str) -> None:
    # So a team can share it.
    assert wiring(site(name), profile_of("ada")) == wiring(site(name), profile_of("grace"))


def profile_of(user: str) -> SiteProfile:
    return SiteProfile(
        user=user,
        email=f"{user}@example.org",
        home=f"/home/{user}",
        account=f"a-{user}",
        client_id=user,
    )


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_the_pins_are_those_of_the_ssh_config(name: str, ada: SiteProfile) -> None:
    [conf] = ssh_config.emit(Account(site(name), ada))
    # With the names of a Host block, ssh itself may refuse a key.
    text = re.sub(r' usual\(\) .*? return 1; };| usual "\$4" && exit;', "", conf.content.decode())
    # The machine that runs Dagster may have no installed file, and ssh there runs the command.
    text = text.replace(f"/dev/null ~/.ssh/gen.d/{name}.known_hosts", "/dev/null")
    for option in wiring(site(name), ada)["ssh"]["extra_opts"]:
        setting = option.removeprefix("-o").replace("=", " ", 1)
        assert f"    {setting}\n" in text


def test_a_host_without_pins_has_the_revoked_keys() -> None:
    key = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
    revoked = RevokedKeys(source=("docs",), reason="published", fingerprints=(key,))
    spec = site("musica").model_copy(update={"revoked_keys": {"leaked": revoked}})
    fields = wiring(spec)["ssh"]
    hash_format, command = fields["extra_opts"]
    assert hash_format == "-oFingerprintHash=sha256"
    assert command.startswith("-oKnownHostsCommand=/bin/sh -c ")
    assert f"case $f in {key}) " in command
    # About other keys dagster-slurm decides by an option of its own.
    assert "host_key_checking" not in fields


def test_the_wiring_has_no_pins_that_are_not_trusted() -> None:
    assert not {"extra_opts", "host_key_checking"} & set(wiring(site("musica"))["ssh"])


@pytest.mark.parametrize(
    ("name", "change_text", "table", "expected"),
    [
        pytest.param(
            "musica",
            'ray.ray_start_args=["--include-dashboard=false"]',
            "ray",
            {
                "pre_start_commands": ['ulimit -n 65536 || ulimit -n "$(ulimit -Hn)"'],
                "ray_start_args": ["--include-dashboard=false"],
            },
            id="a list of Ray",
        ),
        pytest.param(
            "mila",
            "spark.executor_memory=8g",
            "spark",
            {"executor_memory": "8g"},
            id="a text of Spark",
        ),
        pytest.param(
            "mila",
            "ray.worker_cpu_bind=omit",
            "ray",
            # TOML has no null, so an empty text stands for None.
            {"worker_cpu_bind": ""},
            id="an empty text for None",
        ),
    ],
)
def test_a_change_of_the_spec_changes_a_field(
    name: str, change_text: str, table: str, expected: dict[str, Any]
) -> None:
    assert wiring(site(name, change_text))[table] == expected


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        pytest.param("musica", "asks", None, id="a certificate, which asks for nothing"),
        pytest.param("mila", "asks", "for a second factor", id="a second factor"),
        pytest.param(
            "olcf-frontier",
            "impossible",
            "each login asks the user for input, and connections may not be shared",
            id="a password without a shared connection",
        ),
        pytest.param(
            "vsc-kuleuven-wice",
            "impossible",
            # The message is in the file, so that the project can print it without gen.
            "jobs need --clusters, which dagster-slurm does not pass",
            id="a cluster name",
        ),
        pytest.param(
            "cirrus",
            "needs",
            ["SLURM_EDGE_NODE_USER", "SLURM_ACCOUNT", "SLURM_QOS"],
            id="an account and a QoS",
        ),
    ],
)
def test_the_wiring_names_the_needs_of_a_login_and_of_a_job(
    name: str, key: str, expected: str | list[str] | None
) -> None:
    assert wiring(site(name)).get(key) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("my pipelines", "my-pipelines", id="blank"),
        pytest.param("v1.2 Überblick", "v1-2-uberblick", id="dot and umlaut"),
        pytest.param("__x__", "x", id="underscores"),
        pytest.param("2026", "2026", id="digits"),
        # str.casefold, which NFKD alone does not do.
        pytest.param("Straße", "strasse", id="sharp s"),
    ],
)
def test_a_name_becomes_a_valid_package(name: str, expected: str) -> None:
    assert slug(name) == expected
    assert package(slug(name)).isidentifier()


@pytest.mark.parametrize(
    # No letters, keywords, and packages that the project itself imports.
    "name",
    ["数据", "", "...", "class", "Dagster", "ray", "tests", "numpy", "yaml"],
)
def test_a_name_that_cannot_be_a_package_is_refused(name: str) -> None:
    with pytest.raises(GenError, match=re.escape(repr(name))):
        slug(name)


def files(directory: Path) -> dict[str, bytes]:
    contents = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            contents[str(path.relative_to(directory))] = path.read_bytes()
    return contents


def test_a_second_run_changes_the_wiring_and_no_file_of_the_user(gen: Gen, tmp_path: Path) -> None:
    gen("site", "musica", "--out", "a")
    package = tmp_path / "a/musica-pipelines/src/musica_pipelines"
    (package / "defs/corpus.py").write_text("# mine\n")
    # Deleted on purpose: it must not come back.
    (package / "defs/complexity.py").unlink()
    before = files(tmp_path / "a/musica-pipelines")
    result = gen("site", "musica", "--out", "a", "--set", "slurm.partition=zen4_0768")
    after = files(tmp_path / "a/musica-pipelines")
    assert result.status == 0
    wiring_path = "src/musica_pipelines/sites/musica.toml"
    assert before.pop(wiring_path) != after.pop(wiring_path)
    assert before == after
    assert gen("check", "a").status == 0


def test_only_an_edited_wiring_is_drift(gen: Gen, tmp_path: Path) -> None:
    gen("site", "mila", "--out", "a")
    # Seeded files are the user's, so the lack of one is no drift.
    (tmp_path / "a/mila-pipelines/pyproject.toml").unlink()
    assert gen("check", "a").status == 0
    wiring_file = tmp_path / "a/mila-pipelines/src/mila_pipelines/sites/mila.toml"
    wiring_file.write_text(wiring_file.read_text().replace("2222", "22"))
    result = gen("check", "a")
    assert (result.status, "sites/mila.toml" in result.out) == (1, True)
    assert gen("site", "--all", "--out", "a", "--force").status == 0
    assert gen("check", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines/pyproject.toml").exists()


def test_gen_remembers_the_project_of_a_second_site(gen: Gen, tmp_path: Path) -> None:
    gen("site", "musica", "--out", "a")
    before = files(tmp_path / "a/musica-pipelines")
    assert gen("site", "mila", "--out", "a", "--project", "a/musica-pipelines").status == 0
    assert gen("site", "mila", "--out", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines").exists()
    assert set(files(tmp_path / "a/musica-pipelines")) - set(before) == {
        "src/musica_pipelines/sites/mila.toml"
    }
    assert gen("check", "a").status == 0


def test_gen_project_writes_only_the_project(gen: Gen, tmp_path: Path) -> None:
    assert gen("project", "My Pipes", "--site", "mila").status == 0
    assert {path.name for path in tmp_path.iterdir()} - {"home"} == {"my-pipes"}
    assert not (tmp_path / "my-pipes/ssh").exists()
    assert gen("check", "my-pipes").status == 0
    assert gen("site", "--all", "--out", "my-pipes").status == 0
    assert not (tmp_path / "my-pipes/ssh").exists()
    again = gen("project", "My Pipes", "--site", "mila", "--set", "slurm.partition=main")
    assert (again.status, "changed" in again.err) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("site", "mila", "--project", "nowhere"),
            "--project nowhere: gen did not create this project;"
            " create one with gen project NAME --site SITE\n",
            id="no project",
        ),
        pytest.param(
            ("site", "mila", "--out", "a", "--project", "b"),
            "--project b: is not below a; name a directory that holds it with --out\n",
            id="another directory",
        ),
        pytest.param(
            ("project", "b", "--site", "mila"),
            "b: already exists, and gen project did not create it; choose another name\n",
            id="a directory of the user",
        ),
        pytest.param(
            # The package of the project would hide the module of Python for everything in it.
            ("project", "json", "--site", "mila"),
            "'json': json is the name of a Python package or keyword; choose another name\n",
            id="a module of Python",
        ),
        pytest.param(
            ("site", "mila", "--project", "b", "--no-project"),
            "Invalid value for --no-project: contradicts --project ",
            id="options that contradict",
        ),
    ],
)
def test_gen_refuses_before_it_writes_anything(
    arguments: tuple[str, ...], message: str, gen: Gen, tmp_path: Path
) -> None:
    # A directory that looks like a project, and that gen did not make.
    (tmp_path / "b/src/b/sites").mkdir(parents=True)
    result = gen(*arguments)
    assert result.status == 2
    assert message in result.err
    assert files(tmp_path) == {}


def test_a_project_that_was_moved_is_made_again(gen: Gen, tmp_path: Path) -> None:
    gen("site", "mila", "--out", "a")
    before = files(tmp_path / "a")
    # The lock names the old place, and gen does not look for the new one.
    (tmp_path / "a/mila-pipelines").rename(tmp_path / "moved")
    assert gen("site", "mila", "--out", "a").status == 0
    assert files(tmp_path / "a") == before


def test_gen_project_does_not_use_the_output_directory_of_gen_site(
    gen: Gen, tmp_path: Path
) -> None:
    gen("site", "musica", "--out", "work")
    before = files(tmp_path / "work")
    result = gen("project", "work", "--site", "musica")
    assert result.status == 2
    assert "and gen project did not create it" in result.err
    assert files(tmp_path / "work") == before


def test_gen_project_keeps_the_files_of_gen_site(gen: Gen, tmp_path: Path) -> None:
    gen("project", "alone", "--site", "musica")
    assert gen("site", "musica", "--out", "alone").status == 0
    before = files(tmp_path / "alone")
    assert {"ssh/musica.conf", ".env.musica"} <= set(before)
    assert gen("project", "alone", "--site", "musica").status == 0
    assert files(tmp_path / "alone") == before


def test_gen_makes_no_project_in_a_directory_of_the_user(gen: Gen, tmp_path: Path) -> None:
    (tmp_path / "mila-pipelines").mkdir()
    (tmp_path / "mila-pipelines/mine").touch()
    result = gen("site", "mila")
    assert result.status == 2
    assert "--project" in result.err
    assert "--no-project" in result.err
    assert set(files(tmp_path)) == {"mila-pipelines/mine"}
    assert gen("site", "mila", "--no-project").status == 0


def test_a_project_has_its_locks_in_one_directory(
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


def test_the_wiring_names_the_command_that_regenerates_it(gen: Gen, tmp_path: Path) -> None:
    gen("project", "alone", "--site", "mila")
    first_line = (tmp_path / "alone/src/alone/sites/mila.toml").read_text().splitlines()[0]
    # A user copies it from there, so it has to work as it stands.
    command = first_line.rpartition(" then run: gen ")[2]
    assert command == "project alone --site mila"
    assert gen(*command.split()).status == 0
    assert gen("check", "alone").status == 0


def test_the_option_no_project_writes_no_project(gen: Gen, tmp_path: Path) -> None:
    assert gen("site", "mila", "--no-project", "--out", "a").status == 0
    assert not (tmp_path / "a/mila-pipelines").exists()


@pytest.mark.system
def test_the_pins_of_a_jump_host_reach_its_own_ssh(
    need: Callable[..., None], tmp_path: Path
) -> None:
    # The first ssh expands the `%` of its ProxyCommand. A script in place of the second ssh shows
    # its options.
    need("ssh")
    mila = Account(site("mila"), SiteProfile())
    pins: Any = dagster_project._trust
    direct, inner = (pins(mila, mila.site.usual_host, sign)["extra_opts"] for sign in ("%", "%%"))
    jump = ds.SSHConnectionResource(host="jump", user="ada", extra_opts=inner)
    command = ds.SSHConnectionResource(host="h", user="ada", jump_host=jump).get_ssh_base_command()
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/shown\n")
    (tmp_path / "ssh").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    command[0] = shutil.which("ssh") or ""
    subprocess.run([*command, "true"], env=environment, capture_output=True, timeout=60)
    assert (tmp_path / "shown").read_text().splitlines()[: len(direct)] == direct


TEMPLATE = tomllib.loads(
    (resources.PROJECT / "{{cookiecutter.__slug}}/pyproject.toml")
    .read_text()
    .replace("{{ cookiecutter", "{{cookiecutter")
)
REQUIREMENTS = list(TEMPLATE["project"]["dependencies"])
REQUIREMENTS += TEMPLATE["project"]["optional-dependencies"]["cluster"]
REQUIREMENTS += TEMPLATE["dependency-groups"]["dev"]
PINS = [requirement for requirement in REQUIREMENTS if "==" in requirement]


@pytest.mark.parametrize("pin", PINS)
def test_the_pinned_versions_are_the_tested_ones(pin: str) -> None:
    name, _, pinned = pin.partition("==")
    assert version(name.partition("[")[0]) == pinned


def test_the_pixi_tasks_of_the_project_are_those_that_dagster_slurm_runs() -> None:
    # The method needs no more of its object than the logger.
    client = object.__new__(ds.SlurmPipesClient)
    client.logger = logging.getLogger()
    tasks = set()
    for full_build, platform in product([True, False], ["linux-64", "linux-aarch64"]):
        command = client._get_pack_command(full_build=full_build, target_platform=platform)
        tasks.add(command[-1])
    assert tasks == set(TEMPLATE["tool"]["pixi"]["tasks"])


def modules() -> Iterator[Path]:
    yield from (resources.PROJECT / "{{cookiecutter.__slug}}/src").rglob("*.py")


@pytest.mark.parametrize("module", sorted(modules()), ids=lambda path: path.name)
def test_python_files_of_the_template_have_no_placeholder(module: Path) -> None:
    assert "cookiecutter" not in module.read_text()
    ast.parse(module.read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project that the command `cookiecutter` makes from the template."""
    directory = tmp_path_factory.mktemp("template")
    run_cookiecutter(directory, "Two Sites")
    return directory / "two-sites"


def run_cookiecutter(directory: Path, name: str) -> None:
    command = [sys.executable, "-m", "cookiecutter", "--no-input", str(resources.PROJECT)]
    subprocess.run(
        [*command, f"name={name}"],
        cwd=directory,
        env={"HOME": str(directory), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        timeout=120,
    )


def test_a_jump_host_has_no_key_of_its_own_if_the_site_has_the_same() -> None:
    # It would win over the key that the user names.
    assert "key_path" not in wiring(site("isambard-ai"))["ssh"]["jump_host"]


def test_cookiecutter_makes_a_valid_package_from_a_name_of_digits(tmp_path: Path) -> None:
    run_cookiecutter(tmp_path, "2026")
    assert (tmp_path / "2026/src/_2026/definitions.py").exists()


def test_the_readme_uses_the_alias_of_the_site() -> None:
    spec = site("cscs-daint")
    [readme] = (
        seed
        for seed in dagster_project.seeds(spec, Project(PurePosixPath(), "p"))
        if str(seed.path) == "README.md"
    )
    assert f"ssh {spec.usual_host.alias} 'cd DIRECTORY" in readme.content.decode()


def test_cookiecutter_and_gen_make_the_same_project(project: Path) -> None:
    two_sites = Project(PurePosixPath(), "two_sites")
    written = [*dagster_project.seeds(site("musica"), two_sites), *dagster_project.glue(two_sites)]
    by_gen = {str(file.path): file.content for file in written}
    by_cookiecutter = files(project)
    # cookiecutter has the name as it was typed, in the heading.
    assert by_cookiecutter.pop("README.md").replace(b"Two Sites", b"two-sites") == (
        by_gen.pop("README.md")
    )
    assert by_gen == by_cookiecutter


@pytest.mark.parametrize("text", ["{{ cookiecutter.name | upper }}", "{% if x %}", "{# x #}"])
def test_a_template_that_uses_more_of_jinja_is_a_bug(text: str) -> None:
    with pytest.raises(ValueError, match="uses more of Jinja"):
        scaffold.filled(text, {"name": "x"})


# A certificate, a second factor, limits by size, several steps to the login node, and a site where
# dagster-slurm cannot work.
FIVE_SITES = ("musica", "mila", "trillium", "isambard-ai", "olcf-frontier")


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy", "pytest -q"])
def test_a_project_of_five_sites_passes_its_own_checks(
    command: str, gen: Gen, tmp_path: Path
) -> None:
    assert gen("site", *FIVE_SITES).status == 0
    project = tmp_path / "musica-pipelines"
    assert len(list(project.glob("src/*/sites/*.toml"))) == 5
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=project,
        # It runs from its directory, without an installation.
        env=os.environ | {"PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["musica", "mila"])
def test_a_comparison_compiles_no_seeds(name: str) -> None:
    # `gen check` must not read the template: that takes longer than the rest of the command.
    spec = site(name)
    plain = compile_site(spec, SiteProfile())
    with_project = compile_site(spec, SiteProfile(), Project(PurePosixPath("p"), "p"))
    assert len(with_project) == len(plain) + 1
