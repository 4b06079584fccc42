"""Programs other than ssh read the configuration of every site, and that of a user with it.

One line that a program does not know would make it refuse the whole file, for every host.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import sshconf
from catalogue_sites import SITES
from config_readers import READERS, Pair, answers

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.loading import validate
from generator.schema.profile import SiteProfile

pytestmark = pytest.mark.system

ADA = SiteProfile(user="ada", email="ada@example.org", allocation="p1")
USER_LINES = "\nHost other\n    HostName other.example.org\n"


@pytest.fixture(scope="module")
def prepared_readers() -> dict[str, list[str]]:
    """Return the commands of the readers that earlier tests prepared."""
    return {}


@pytest.fixture(params=list(READERS))
def reader(
    request: pytest.FixtureRequest,
    need: Callable[..., None],
    prepared_readers: dict[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """Return the command of a reader."""
    programs, prepare = READERS[request.param]
    need(*programs)
    if request.param not in prepared_readers:
        prepared_readers[request.param] = prepare(tmp_path_factory.mktemp("reader"))
    return prepared_readers[request.param]


@pytest.fixture(scope="module")
def site_files(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[str, str]]:
    """Return the file of each site, with the alias and the name of its usual host."""
    directory = tmp_path_factory.mktemp("sites")
    files: dict[Path, tuple[str, str]] = {}
    for name in SITES:
        account = Account(validate.site(resources.CATALOGUE / f"{name}.yaml"), ADA)
        host_blocks = list(ssh_config.blocks(account))
        first = next(block for block in host_blocks if block.names)
        (artifact,) = ssh_config.emit(account)
        file = directory / f"{name}.conf"
        file.write_bytes(artifact.content)
        files[file] = (first.names[0], first.settings[0][1])
    return files


def test_a_file_of_a_site_is_read_alone(
    reader: list[str], site_files: dict[Path, tuple[str, str]]
) -> None:
    pairs = [(file, alias) for file, (alias, _) in site_files.items()]
    host_names = [host_name for _, host_name in site_files.values()]
    assert answers(reader, pairs) == host_names


def test_a_user_who_includes_the_file_of_a_site_keeps_the_own_hosts(
    reader: list[str],
    site_files: dict[Path, tuple[str, str]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    # paramiko passes over an Include, so it has no HostName for the alias.
    follows = "paramiko" not in request.node.name
    pairs: list[Pair] = []
    expected: list[str] = []
    for file, (alias, host_name) in site_files.items():
        config = tmp_path / file.name
        config.write_text(f"Include {file}\n{USER_LINES}")
        pairs += [(config, alias), (config, "other")]
        expected += [host_name if follows else alias, "other.example.org"]
    assert answers(reader, pairs) == expected


def test_a_line_that_no_program_knows_is_refused(reader: list[str], tmp_path: Path) -> None:
    # Otherwise the tests above would say nothing.
    config = tmp_path / "config"
    config.write_text(f'Match !nonsense\n    User "ada\n{USER_LINES}')
    assert answers(reader, [(config, "other")]) != ["other.example.org"]


def test_sshconf_lists_the_hosts_of_a_site_and_of_the_user(
    site_files: dict[Path, tuple[str, str]], tmp_path: Path
) -> None:
    # Of a name in two Host blocks it has the settings of one, so only the names are compared.
    for file, (alias, _) in site_files.items():
        assert alias in " ".join(sshconf.read_ssh_config(file).hosts()).split()
        config = tmp_path / file.name
        config.write_text(f"Include {file}\n{USER_LINES}")
        names = " ".join(sshconf.read_ssh_config(config).hosts()).split()
        assert {alias, "other"} <= set(names)
