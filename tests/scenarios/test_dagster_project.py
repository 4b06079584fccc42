"""A person makes a project with gen from its wheel, types the commands of the project's README, and goes on working.

The virtual environments are fresh but for one thing: what is pinned or asked for is found, at its version, among the
packages of the tests, so that half a gigabyte is not fetched a second time. pip fetches what differs.
"""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


# As pip writes it.
DG = """\
#!{venv}/bin/python
from {module} import {function}

if __name__ == "__main__":
    {function}()
"""


def lend(venv: Path) -> None:
    """Let a virtual environment see the packages of the tests behind its own, and run `dg`."""
    [packages] = venv.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    [dg] = entry_points(group="console_scripts", name="dg")
    (venv / "bin" / "dg").write_text(DG.format(venv=venv, module=dg.module, function=dg.attr))
    (venv / "bin" / "dg").chmod(0o755)


class Person:
    """Somebody with an empty home folder, who has gen and types commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.type("python3 -m venv gen")
        lend(folder / "gen")
        self.type(f"gen/bin/pip install --quiet {ROOT}")

    def type(self, commands: str, place: str = ".", **more: str) -> str:
        """Type commands in a folder, which must succeed, and return what they print."""
        python = Path(sys._base_executable).parent  # type: ignore[attr-defined]
        machine = {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))
        }
        own = {
            "PATH": f"{self.folder}/gen/bin:{python}:/usr/bin:/bin",
            "HOME": f"{self.folder}/home",
        }
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self.folder / place,
            env=machine | own | {"DAGSTER_DISABLE_TELEMETRY": "1"} | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=560,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def files(self, project: str) -> dict[str, bytes]:
        """Return what a project consists of."""
        paths = [path for path in (self.folder / project).rglob("*") if path.is_file()]
        own = [path for path in paths if not {".venv", "data", "__pycache__"} & {*path.parts}]
        return {str(path.relative_to(self.folder / project)): path.read_bytes() for path in own}


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(tmp_path_factory.mktemp("person"))


@pytest.mark.parametrize("site", ["musica", "mila"])
def test_the_three_commands_of_the_readme_install_load_and_run(person: Person, site: str) -> None:
    assert str(person.folder / "gen") in person.type(
        "gen/bin/python -c 'import generator; print(generator.__file__)'"
    )
    person.type(f"gen site {site} --out .")
    project = f"{site}-pipelines"
    readme = (person.folder / project / "README.md").read_text()
    install, check, run = readme.partition("```sh\n")[2].partition("```")[0].splitlines()
    make, _, fill = install.partition(" && ")
    person.type(make, project)
    lend(person.folder / project / ".venv")
    person.type(fill, project)
    assert "All definitions loaded successfully" in person.type(check, project)
    person.type(run, project)
    assert (
        (person.folder / project / "data" / "corpus.csv").read_text().startswith("module,bytes\n")
    )


def test_a_project_of_any_name_loads(person: Person) -> None:
    person.type("gen project 'Überblick v1.2 (Mila)' --site mila")
    dg = person.folder / "musica-pipelines" / ".venv" / "bin" / "dg"
    assert "All definitions loaded" in person.type(
        f"{dg} check defs", "uberblick-v1-2-mila", PYTHONPATH="src"
    )


def test_what_the_person_changed_stays_and_the_project_loads_after_its_site_changed(
    person: Person,
) -> None:
    package = person.folder / "musica-pipelines" / "src" / "musica_pipelines"
    (package / "defs" / "corpus.py").write_text(
        "# mine\n" + (package / "defs" / "corpus.py").read_text()
    )
    (package / "defs" / "complexity.py").unlink()
    before = person.files("musica-pipelines")
    person.type("gen site musica --out .")
    assert person.files("musica-pipelines") == before
    person.type("gen site musica --out . --set slurm.partition=zen4_0768")
    after = person.files("musica-pipelines")
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == {
        "src/musica_pipelines/sites/musica.toml"
    }
    assert "All definitions loaded" in person.type(".venv/bin/dg check defs", "musica-pipelines")


def test_the_tests_of_the_project_pass(person: Person) -> None:
    """The second site is one that its login asks for a second factor."""
    person.type(
        "gen site mila --out . --project mila-pipelines && gen site musica --out . --project mila-pipelines"
    )
    person.type(".venv/bin/python -m pytest -q", "mila-pipelines")
