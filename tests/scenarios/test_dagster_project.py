"""A user creates a project with gen from its wheel, follows its README, and goes on working.

The virtual environments are new, with one exception. A package that the user asks for comes from
the environment of the tests if it has that version, so that pip does not fetch half a gigabyte
again. pip fetches the rest.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from console_blocks import examples
from venvs import lend_packages

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


class ProjectUser:
    """A user with an empty home directory, who has installed gen and types commands."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.type("python3 -m venv gen")
        lend_packages(directory / "gen", "dg")
        self.type(f"gen/bin/pip install --quiet {ROOT}")

    def type(self, commands: str, subdirectory: str = ".", **environment: str) -> str:
        """Type commands, which must succeed, in a directory, and return their output."""
        # A virtual environment made with the Python of another one would see the packages of
        # neither.
        python = Path(sys._base_executable).parent  # type: ignore[attr-defined]
        variables = {
            "PATH": f"{self.directory}/gen/bin:{python}:/usr/bin:/bin",
            "HOME": f"{self.directory}/home",
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        for name, value in os.environ.items():
            # A machine may reach PyPI only through a mirror with its own CA.
            if name.startswith(("PIP_", "SSL_")):
                variables[name] = value
        result = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self.directory / subdirectory,
            env=variables | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=560,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    def files(self, project: str) -> dict[str, bytes]:
        """Return the files of a project, without those that its commands make."""
        root = self.directory / project
        files = {}
        for path in root.rglob("*"):
            generated = {".venv", "data", "dagster_home", "__pycache__"} & set(path.parts)
            if path.is_file() and not generated:
                files[str(path.relative_to(root))] = path.read_bytes()
        return files


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> ProjectUser:
    return ProjectUser(tmp_path_factory.mktemp("user"))


@pytest.mark.parametrize("site", ["musica", "mila"])
def test_the_three_commands_of_the_readme_install_load_and_run(
    user: ProjectUser, site: str
) -> None:
    package = user.type("gen/bin/python -c 'import generator; print(generator.__file__)'")
    assert str(user.directory / "gen") in package
    # A site of its own directory has a project of its own.
    user.type(f"gen site {site} --out {site}")
    project = f"{site}/{site}-pipelines"
    directory = user.directory / project
    readme = (directory / "README.md").read_text()
    block = readme.partition("```sh\n")[2].partition("```")[0]
    install, check, run = block.splitlines()
    # After the first of these commands the packages are lent, so that pip finds them.
    create_venv, _, install_packages = install.partition(" && ")
    user.type(create_venv, project)
    lend_packages(directory / ".venv", "dg")
    user.type(install_packages, project)
    output = user.type(check, project)
    assert "All definitions loaded successfully" in output
    run_output = user.type(run, project)
    if site == "mila":
        # The tutorial has the same three commands.
        tutorial = {example.command: example for example in examples(ROOT / "docs/tutorial.md")}
        assert install in tutorial
        tutorial[check].check(output)
        tutorial[run].check(run_output)
        first_line = "head -1 data/corpus.csv"
        tutorial[first_line].check(user.type(first_line, project))
    # The run is where `make dev` looks for runs.
    assert (directory / "dagster_home" / "history").is_dir()
    assert (directory / "data" / "corpus.csv").read_text().startswith("module,bytes\n")


def test_a_project_of_any_name_loads(user: ProjectUser) -> None:
    user.type("gen project 'Überblick v1.2 (Mila)' --site mila")
    dg = user.directory / "musica/musica-pipelines" / ".venv" / "bin" / "dg"
    output = user.type(f"{dg} check defs", "uberblick-v1-2-mila", PYTHONPATH="src")
    assert "All definitions loaded" in output


def test_changes_of_the_user_stay_and_the_project_loads_after_its_site_changed(
    user: ProjectUser,
) -> None:
    definitions = user.directory / "musica/musica-pipelines" / "src" / "musica_pipelines" / "defs"
    corpus = definitions / "corpus.py"
    corpus.write_text("# mine\n" + corpus.read_text())
    # A file that the user deleted must not come back.
    (definitions / "complexity.py").unlink()
    before = user.files("musica/musica-pipelines")
    user.type("gen site musica --out musica")
    assert user.files("musica/musica-pipelines") == before
    user.type("gen site musica --out musica --set slurm.partition=zen4_0768")
    after = user.files("musica/musica-pipelines")
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {"src/musica_pipelines/sites/musica.toml"}
    project = "musica/musica-pipelines"
    assert "All definitions loaded" in user.type(".venv/bin/dg check defs", project)


def test_the_tests_of_the_project_pass(user: ProjectUser) -> None:
    # The project has a second site, whose login asks for a second factor.
    user.type("gen site mila --out mila --project mila/mila-pipelines")
    user.type("gen site musica --out mila --project mila/mila-pipelines")
    user.type(".venv/bin/python -m pytest -q", "mila/mila-pipelines")
