"""Before the first login: permissions as ssh wants them, and a key pair only where one is needed and wanted."""

from dataclasses import replace
from pathlib import Path

import pytest

from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.compiler.result import FirstLogin
from generator.install.key_pair import key_pair, loose, tighten
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

LOGIN = FirstLogin(
    alias="rig",
    key="~/.ssh/id_rig",
    make_key="ssh-keygen -t ed25519 -f ~/.ssh/id_rig",
    submit="in the form of the portal",
    max_keys=4,
    credential=(),
)
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"


def put(home: Path, name: str, mode: int, content: str = "") -> Path:
    path = home / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "content", "wanted"),
    [
        pytest.param(".ssh/config", 0o664, "", 0o644, id="a config that the group can write to"),
        pytest.param(".ssh/config", 0o666, "", 0o644, id="a config that all can write to"),
        pytest.param(".ssh/id_mila", 0o644, KEY, 0o600, id="a private key that all can read"),
        pytest.param(".ssh/work-key", 0o640, KEY, 0o600, id="a private key with a name of its own"),
    ],
)
def test_what_others_may_do_too_much_with_is_found_and_mended(
    name: str, mode: int, content: str, wanted: int, tmp_path: Path
) -> None:
    path = put(tmp_path, name, mode, content)
    (found,) = loose(tmp_path)
    assert (found.path, found.wanted) == (path, wanted)
    assert found.message.startswith(f"~/{name}: others can ")
    assert found.message.endswith(f"; chmod {wanted:o} ~/{name}")
    tighten(loose(tmp_path))
    assert path.stat().st_mode & 0o777 == wanted
    assert loose(tmp_path) == ()


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    put(tmp_path, ".ssh/config", 0o600)
    (tmp_path / ".ssh").chmod(0o755)
    (found,) = loose(tmp_path)
    assert found.message == "~/.ssh: others can look into it; chmod 700 ~/.ssh"
    tighten((found,))
    assert (tmp_path / ".ssh").stat().st_mode & 0o777 == 0o700


def test_an_included_file_that_ssh_would_refuse_is_found(tmp_path: Path) -> None:
    put(tmp_path, ".ssh/config", 0o600, "Include more.conf\n")
    put(tmp_path, ".ssh/more.conf", 0o662, "Host a\n")
    assert [found.name for found in loose(tmp_path)] == ["~/.ssh/more.conf"]


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [
        pytest.param(".ssh/config", 0o644, "", id="a config that others can read"),
        pytest.param(".ssh/id_mila.pub", 0o644, "ssh-ed25519 AAAA\n", id="a public key"),
        pytest.param(".ssh/id_mila", 0o400, KEY, id="a private key that cannot even be written"),
        pytest.param(".ssh/known_hosts", 0o644, "localhost ssh-ed25519 AAAA\n", id="known hosts"),
    ],
)
def test_what_ssh_takes_is_left_alone(name: str, mode: int, content: str, tmp_path: Path) -> None:
    put(tmp_path, name, mode, content)
    assert loose(tmp_path) == ()


def test_without_a_folder_there_is_nothing_to_mend(tmp_path: Path) -> None:
    assert loose(tmp_path) == ()


@pytest.mark.parametrize(
    ("login", "there"),
    [
        pytest.param(replace(LOGIN, make_key=None), None, id="a way in without a key pair"),
        pytest.param(LOGIN, "id_rig", id="the key is there"),
        pytest.param(LOGIN, "id_rig.pub", id="its private half is in an agent"),
    ],
)
def test_no_key_is_offered_where_none_is_needed(
    login: FirstLogin, there: str | None, tmp_path: Path
) -> None:
    if there:
        put(tmp_path, f".ssh/{there}", 0o600, "as it was")

    def ask(question: str) -> bool:
        pytest.fail(question)

    key_pair(login, tmp_path, ask, print)
    assert not there or (tmp_path / ".ssh" / there).read_text() == "as it was"


def test_whoever_says_no_is_told_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = list[str]()

    def ask(question: str) -> bool:
        asked.append(question)
        return False

    key_pair(LOGIN, tmp_path, ask, print)
    assert asked == ["rig needs a key pair. Make it with ssh-keygen -t ed25519 -f ~/.ssh/id_rig?"]
    assert capsys.readouterr().out == "Later: ssh-keygen -t ed25519 -f ~/.ssh/id_rig\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("site", "command"),
    [
        pytest.param(
            "mila", "ssh-keygen -t ed25519 -f ~/.ssh/id_mila", id="a site that takes a public key"
        ),
        pytest.param(
            "isambard-ai", "ssh-keygen -t ed25519 -f ~/.ssh/id_isambard-ai", id="one that signs it"
        ),
        pytest.param("nersc-perlmutter", None, id="one whose command makes the key too"),
        pytest.param("musica", None, id="one where step makes it"),
    ],
)
def test_a_key_pair_is_made_where_the_way_in_needs_one(
    site: str, command: str | None, ada: SiteProfile
) -> None:
    assert first_login(Account(validate.site(CATALOGUE / f"{site}.yaml"), ada)).make_key == command
