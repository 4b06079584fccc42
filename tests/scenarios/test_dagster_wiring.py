"""dagster-slurm and ssh agree at every site, and no variable or keyword is unknown or unused."""

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
from catalogue_sites import SLURM_SITES
from depth import sample
from dotenv import dotenv_values
from sshd import TEST_USER

from generator import resources
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import dagster_project, env_file, ssh_config
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.project import Project

pytestmark = pytest.mark.system

SITES = sample(SLURM_SITES, 40)
# One project with all sites: the project has a file for each, and chooses by a variable.
PROJECT = Project(PurePosixPath(), "all_sites")

# Keywords as `ssh -G` prints them.
ADDRESS = ("hostname", "port", "user")
KEY = ("identityfile", "identitiesonly", "certificatefile")
_KNOWN_HOSTS = re.compile(r" ~/\.ssh/gen\.d/[a-z0-9-]+\.known_hosts$")
# What only the command of a Host block has: with the site's own names, ssh itself may refuse.
_OTHER_NAMES = re.compile(r' usual\(\) .*? return 1; };| usual "\$4" && exit;')
TRUST = ("stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "knownhostscommand")

PRINT_COMMANDS = """
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

Settings = Mapping[str, list[str]]


def account_at(name: str, profile: SiteProfile) -> Account:
    return Account(validate.site(resources.CATALOGUE / f"{name}.yaml"), profile)


@dataclass(frozen=True)
class Wiring:
    """The files of all sites for one user, and for each site the ssh command of dagster-slurm."""

    directory: Path
    profile: SiteProfile
    commands: Mapping[str, list[str]]

    def with_config(self, site: str, host: str) -> Settings:
        """Return the settings of ssh for a host with the generated config of a site."""
        return self._settings("-F", str(self.directory / "ssh" / f"{site}.conf"), host)

    def without_config(self, *arguments: str) -> Settings:
        """Return the settings of ssh for some arguments, with no config."""
        return self._settings("-F", "none", *arguments)

    def _settings(self, *arguments: str) -> Settings:
        result = subprocess.run(
            ["ssh", "-G", *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert result.returncode == 0, result.stderr
        output = result.stdout
        # The config says ~, dagster-slurm an absolute path, and ssh resolves ~ by passwd.
        for home in (str(self.profile.home), TEST_USER.pw_dir):
            output = output.replace(home, "~")
        settings: dict[str, list[str]] = {}
        for line in output.splitlines():
            keyword, _, value = line.partition(" ")
            settings.setdefault(keyword, []).append(value)
        # ssh also reads the certificate beside a key without being asked to.
        certificates = set(settings.get("certificatefile", []))
        certificates -= {f"{key}-cert.pub" for key in settings.get("identityfile", [])}
        settings["certificatefile"] = sorted(certificates)
        return settings


@pytest.fixture(scope="module")
def wiring(tmp_path_factory: pytest.TempPathFactory) -> Wiring:
    """Compile every site for ada, into one project; her key files exist and are empty."""
    directory = tmp_path_factory.mktemp("wiring")
    profile = SiteProfile(
        user="ada",
        account="p1",
        allocation="p1",
        client_id="c1",
        home=str(directory),
        accept_unverified=True,
    )
    variables = {}
    for name in SITES:
        account = account_at(name, profile)
        for artifact in dagster_project.emit(account, PROJECT):
            write(directory / artifact.path, artifact.content)
        for artifact in ssh_config.emit(account):
            write(directory / artifact.path, artifact.content)
        variables[name] = environment_of(account)
        # ssh ignores the file of -i with a warning if it does not exist.
        key = variables[name].get("SLURM_EDGE_NODE_KEY_PATH")
        if key:
            write(directory / key, b"")
    for artifact in seeds():
        write(directory / artifact.path, artifact.content)
    result = subprocess.run(
        # One process for all sites, because the import of dagster takes seconds.
        [sys.executable, "-c", PRINT_COMMANDS],
        input=json.dumps(variables),
        capture_output=True,
        text=True,
        cwd=directory / "src",
        env={"HOME": str(directory)},
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return Wiring(directory, profile, json.loads(result.stdout))


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def environment_of(account: Account) -> dict[str, str]:
    """Return the variables that `.env.SITE` sets."""
    [artifact] = env_file.emit(account)
    values = dotenv_values(stream=StringIO(artifact.content.decode()))
    return {name: value or "" for name, value in values.items()}


@pytest.mark.parametrize("name", SITES)
def test_dagster_slurm_connects_to_the_same_machine_as_ssh_and_trusts_the_same_key(
    wiring: Wiring, name: str
) -> None:
    spec = validate.site(resources.CATALOGUE / f"{name}.yaml")
    alias, host = spec.usual_host.alias, spec.usual_host.host
    of_dagster = wiring.without_config(*wiring.commands[name][1:])
    of_ssh = wiring.with_config(name, alias)
    assert relevant(of_dagster, of_ssh) == relevant(of_ssh, of_ssh)
    if host.via:
        jump = jump_arguments(wiring, of_dagster)
        of_dagster = wiring.without_config(*jump)
        of_ssh = wiring.with_config(name, host.via)
        assert relevant(of_dagster, of_ssh) == relevant(of_ssh, of_ssh)


def jump_arguments(wiring: Wiring, settings: Settings) -> list[str]:
    """Return the ssh arguments of a ProxyCommand, `ssh ARGUMENTS -W HOST:PORT JUMP`."""
    command = settings["proxycommand"][0].replace("%%", "%").replace("~", str(wiring.directory))
    arguments = shlex.split(command)
    return arguments[1 : arguments.index("-W")] + arguments[-1:]


def relevant(settings: Settings, of_ssh: Settings) -> dict[str, list[str] | None]:
    """Return the settings that must agree: the address, and key and trust if ssh has them set."""
    # Where the config of ssh leaves key or trust to the user, dagster-slurm may use its own.
    keywords = [*ADDRESS]
    if of_ssh["identitiesonly"] == ["yes"]:
        keywords += KEY
    if of_ssh["stricthostkeychecking"] == ["true"]:
        keywords += TRUST
    values = {keyword: settings.get(keyword) for keyword in keywords}
    if "knownhostscommand" in values:
        commands = values["knownhostscommand"] or []
        values["knownhostscommand"] = [_OTHER_NAMES.sub("", command) for command in commands]
    if "userknownhostsfile" in values:
        # The file has whole keys, all of which the command accepts, for clients without it.
        files = values["userknownhostsfile"] or []
        values["userknownhostsfile"] = [_KNOWN_HOSTS.sub("", names) for names in files]
    return values


def seeds() -> Iterator[Artifact]:
    """Yield the files that a new project starts with, and its glue."""
    spec = validate.site(resources.CATALOGUE / "musica.yaml")
    yield from dagster_project.seeds(spec, PROJECT)
    yield from dagster_project.glue(PROJECT)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the syntax tree of each Python file of a project."""
    for artifact in seeds():
        if artifact.path.suffix == ".py":
            yield str(artifact.path), ast.parse(artifact.content)


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def test_the_project_calls_each_class_of_dagster_slurm_with_fields_that_it_has() -> None:
    # dagster-slurm ignores the other keywords without a message.
    checked = set()
    for path, tree in modules():
        for call in calls(tree):
            name = ast.unparse(call.func)
            if not name.startswith("ds."):
                continue
            fields = getattr(getattr(ds, name.removeprefix("ds."), None), "model_fields", None)
            # A function, or a class without pydantic: Python itself refuses unknown keywords.
            if fields is None:
                continue
            checked.add(name)
            for keyword in call.keywords:
                # A starred argument has no name.
                if keyword.arg:
                    assert keyword.arg in fields, f"{path}:{call.lineno}: {name}"
    assert checked >= {
        "ds.SSHConnectionResource",
        "ds.SlurmQueueConfig",
        "ds.SparkLauncher",
    }


PAGE = Path(__file__).parents[2] / "docs" / "dagster-project.md"
VARIABLE = re.compile("[A-Z]+(?:_[A-Z]+)+")


def documented_names() -> list[re.Pattern[str]]:
    """Return patterns for the names in the table of the page.

    There `…` stands for any ending, and PREFIX for the prefix of the site.
    """
    patterns = []
    for cell in re.findall(r"^\| (`[A-Z].*?) \|", PAGE.read_text(), flags=re.MULTILINE):
        for name in re.findall("`([A-Z_…]+)`", cell):
            pattern = name.replace("PREFIX", "[A-Z]+").replace("…", "[A-Z_]+")
            patterns.append(re.compile(pattern))
    return patterns


def undocumented(names: set[str]) -> set[str]:
    remaining = set(names)
    for pattern in documented_names():
        remaining = {name for name in remaining if not pattern.fullmatch(name)}
    return remaining


def example_names() -> set[str]:
    """Return the variables in `.env.example` of the project, which are commented out."""
    [artifact] = (artifact for artifact in seeds() if artifact.path.name == ".env.example")
    return set(re.findall("^# ([A-Z_]+)=", artifact.content.decode(), flags=re.MULTILINE))


def names_in_the_code() -> set[str]:
    """Return the variables that the code of the project names, without its tests."""
    names = set()
    for path, tree in modules():
        # Tests of the project set variables that the project itself never reads.
        if path.startswith("tests/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return {name for name in names if VARIABLE.fullmatch(name)}


def test_the_page_documents_every_variable_of_every_site(wiring: Wiring) -> None:
    names = set()
    for site in SITES:
        for variable in env_file.variables(account_at(site, wiring.profile)):
            names.add(variable.name)
    assert undocumented(names) == set()


def test_the_page_and_the_example_have_every_variable_that_the_project_reads() -> None:
    names = names_in_the_code()
    assert undocumented(names) == set()
    # The assets set the directory. The others are for the `.env` of gen site: in that of a project
    # they would tie it to one site.
    not_personal = {"DATA_DIR", "SLURM_EDGE_NODE_HOST", "SLURM_EDGE_NODE_PORT"}
    not_personal |= {"SLURM_PARTITION", "SLURM_QOS"}
    not_personal |= {"SLURM_DEPLOYMENT_BASE_PATH", "SLURM_DATA_PATH"}
    not_personal |= {"RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}
    assert names - example_names() == not_personal
    # dagster-slurm reads all others of the example.
    assert names_in_dagster_slurm(example_names() - names) == example_names() - names


def names_in_dagster_slurm(names: set[str]) -> set[str]:
    """Return those of some variables that the code of dagster-slurm names."""
    # dagster-slurm has no list of its variables, so its source is searched.
    code = "".join(path.read_text() for path in Path(ds.__file__).parent.rglob("*.py"))
    return {name for name in names if f'"{name}"' in code}
