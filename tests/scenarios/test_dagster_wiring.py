"""What dagster-slurm runs and what ssh reads agree, at every site; no keyword is lost, no variable idle or hidden."""

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath

import dagster_slurm as ds
import pytest
from dotenv import dotenv_values
from sshd import TEST_USER

from generator import resources
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import dagster_project, env_file, ssh_config
from generator.loading import validate
from generator.loading.catalogue import shipped
from generator.schema.profile import SiteProfile
from generator.schema.project import Project

pytestmark = pytest.mark.system

SITES = sorted(shipped())

# Keywords as `ssh -G` prints them.
PLACE = ("hostname", "port", "user")
KEY = ("identityfile", "identitiesonly", "certificatefile")
TRUST = ("stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "knownhostscommand")

COMMANDS = """
import json, os, sys
from all_sites.site import chosen, connection
commands = {}
for site, variables in json.load(sys.stdin).items():
    os.environ.update(variables)
    commands[site] = connection(chosen()).get_ssh_base_command()
    for name in variables:
        del os.environ[name]
print(json.dumps(commands))
"""


@dataclass(frozen=True)
class Made:
    """What gen makes of all sites for one person, and the command of dagster-slurm for each."""

    folder: Path
    profile: SiteProfile
    commands: Mapping[str, list[str]]

    def config(self, site: str) -> str:
        """Return the path of `ssh/SITE.conf`."""
        return str(self.folder / "ssh" / f"{site}.conf")

    def settings(self, *arguments: str) -> dict[str, list[str]]:
        """Return what ssh would do with some arguments; both home folders are `~`."""
        done = subprocess.run(
            ["ssh", "-G", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        lines = (
            done.stdout.replace(str(self.profile.home), "~")
            .replace(TEST_USER.pw_dir, "~")
            .splitlines()
        )
        found: dict[str, list[str]] = {}
        for keyword, _, value in (line.partition(" ") for line in lines):
            found.setdefault(keyword, []).append(value)
        beside = {
            f"{key}-cert.pub" for key in found.get("identityfile", [])
        }  # which ssh takes without being told
        found["certificatefile"] = [
            path for path in found.get("certificatefile", []) if path not in beside
        ]
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Compile every site for ada, into one project; her keys are there, but empty."""
    folder = tmp_path_factory.mktemp("wiring")
    profile = SiteProfile(
        user="ada",
        account="p1",
        project="p1",
        client_id="c1",
        home=str(folder),
        accept_unverified=True,
    )
    project = Project(PurePosixPath(), "all_sites")
    variables = {}
    for name in SITES:
        account = Account(validate.site(resources.CATALOGUE / f"{name}.yaml"), profile)
        for artifact in (*dagster_project.emit(account, project), *ssh_config.emit(account)):
            write(folder / artifact.path, artifact.content)
        variables[name] = environment(account)
        write(folder / variables[name].get("SLURM_EDGE_NODE_KEY_PATH", "none"), b"")
    for artifact in seeds():
        write(folder / artifact.path, artifact.content)
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        input=json.dumps(variables),
        capture_output=True,
        text=True,
        cwd=folder / "src",
        env={"HOME": str(folder)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Made(folder, profile, json.loads(done.stdout))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def environment(account: Account) -> dict[str, str]:
    """Return what `.env.SITE` sets."""
    [artifact] = env_file.emit(account)
    return {
        name: value or ""
        for name, value in dotenv_values(stream=StringIO(artifact.content.decode())).items()
    }


@pytest.mark.parametrize("name", SITES)
def test_dagster_slurm_reaches_and_trusts_the_machine_that_ssh_does(made: Made, name: str) -> None:
    spec = validate.site(resources.CATALOGUE / f"{name}.yaml")
    alias, host = spec.usual_host.alias, spec.usual_host.host
    theirs, ours = (
        made.settings("-F", "none", *made.commands[name][1:]),
        made.settings("-F", made.config(name), alias),
    )
    assert agreed(theirs, ours) == agreed(ours, ours)
    if host.via:
        command = shlex.split(
            theirs["proxycommand"][0].replace("%%", "%").replace("~", str(made.folder))
        )
        command = command[1 : command.index("-W")] + command[-1:]
        theirs, ours = (
            made.settings("-F", "none", *command),
            made.settings("-F", made.config(name), host.via),
        )
        assert agreed(theirs, ours) == agreed(ours, ours)


def agreed(
    found: Mapping[str, list[str]], ours: Mapping[str, list[str]]
) -> dict[str, list[str] | None]:
    """Return what has to agree: where, and as far as gen says it, by which key and with whom."""
    by_key = ours["identitiesonly"] == ["yes"]
    pinned = ours["stricthostkeychecking"] == ["true"]
    return {
        key: found.get(key)
        for key in (*PLACE, *(KEY if by_key else ()), *(TRUST if pinned else ()))
    }


def seeds() -> Iterator[Artifact]:
    """Yield what a new project is seeded with."""
    return dagster_project.seeds(
        validate.site(resources.CATALOGUE / "musica.yaml"), Project(PurePosixPath(), "all_sites")
    )


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield the Python of a project."""
    for artifact in seeds():
        if artifact.path.suffix == ".py":
            yield str(artifact.path), ast.parse(artifact.content)


def test_every_keyword_that_a_class_of_dagster_slurm_is_called_with_is_a_field_of_it() -> None:
    """It drops what it does not know without a word."""
    seen = set()
    for path, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            fields = getattr(getattr(ds, name.removeprefix("ds."), None), "model_fields", None)
            if not name.startswith("ds.") or fields is None:
                continue
            seen.add(name)
            keywords = {keyword.arg for keyword in call.keywords if keyword.arg}
            assert keywords <= set(fields), f"{path}:{call.lineno}: {name}"
    assert seen >= {
        "ds.SSHConnectionResource",
        "ds.SlurmQueueConfig",
        "ds.RayLauncher",
        "ds.SlurmSessionResource",
    }


PAGE = Path(__file__).parents[2] / "docs" / "dagster-project.md"
VARIABLE = re.compile("[A-Z]+(?:_[A-Z]+)+")


def documented() -> list[re.Pattern[str]]:
    """Return what the names in the table of the project's page stand for; `…` is any ending, PREFIX the site's."""
    cells = re.findall(r"^\| (`[A-Z].*?) \|", PAGE.read_text(), flags=re.MULTILINE)
    names = [name for cell in cells for name in re.findall("`([A-Z_…]+)`", cell)]
    return [re.compile(name.replace("PREFIX", "[A-Z]+").replace("…", "[A-Z_]+")) for name in names]


def example() -> set[str]:
    """Return the variables of the project's `.env.example`, which are commented out."""
    [artifact] = (artifact for artifact in seeds() if artifact.path.name == ".env.example")
    return set(re.findall("^# ([A-Z_]+)=", artifact.content.decode(), flags=re.MULTILINE))


def read() -> set[str]:
    """Return the variables that the code of the project names."""
    nodes = [
        node for path, tree in modules() if not path.startswith("tests/") for node in ast.walk(tree)
    ]
    texts = {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in texts if VARIABLE.fullmatch(text)}


def test_every_variable_of_a_site_has_a_reader_that_is_documented(made: Made) -> None:
    accounts = (
        Account(validate.site(resources.CATALOGUE / f"{name}.yaml"), made.profile) for name in SITES
    )
    names = {variable.name for account in accounts for variable in env_file.variables(account)}
    assert {
        name for name in names if not any(known.fullmatch(name) for known in documented())
    } == set()


def test_every_variable_that_the_project_reads_is_documented_and_in_its_example() -> None:
    names = read()
    assert {
        name for name in names if not any(known.fullmatch(name) for known in documented())
    } == set()
    assert names - example() == {"DATA_DIR"}  # which the assets set
    assert read_by_dagster_slurm(example() - names) == example() - names


def read_by_dagster_slurm(names: set[str]) -> set[str]:
    """Return those of some variables whose names stand in its code."""
    code = "".join(path.read_text() for path in Path(ds.__file__).parent.rglob("*.py"))
    return {name for name in names if f'"{name}"' in code}
