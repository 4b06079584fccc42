"""Before the first login: permissions that ssh accepts, and a key pair where the site needs one."""

from pathlib import Path

import pytest

from generator.cli import first_login as offers
from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.compiler.result import FirstLogin
from generator.install.permissions import loose_permissions, tighten
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

LOGIN = FirstLogin(
    alias="rig",
    key="~/.ssh/id_rig",
    make_key="ssh-keygen -t ed25519 -f ~/.ssh/id_rig",
    make_rsa_key="ssh-keygen -t rsa -b 3072 -f ~/.ssh/id_rig",
    submit="in the form of the portal",
    max_keys=4,
    credential=(),
)
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
READ = "other users can read it, so ssh ignores this key"
WRITE = "other users can write to it, so ssh refuses it"


def put(home: Path, name: str, mode: int, content: str = "") -> Path:
    path = home / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("name", "mode", "content", "fixed_mode", "problem"),
    [
        pytest.param(".ssh/config", 0o664, "", 0o644, WRITE, id="group can write to the config"),
        pytest.param(".ssh/config", 0o666, "", 0o644, WRITE, id="all can write to the config"),
        pytest.param(".ssh/id_mila", 0o644, KEY, 0o600, READ, id="all can read a private key"),
        # The content decides: users name their keys as they like.
        pytest.param(".ssh/work-key", 0o640, KEY, 0o600, READ, id="a key with another name"),
    ],
)
def test_loose_permissions_are_found_and_fixed(
    name: str, mode: int, content: str, fixed_mode: int, problem: str, tmp_path: Path
) -> None:
    path = put(tmp_path, name, mode, content)
    (permission,) = loose_permissions(tmp_path)
    assert (permission.path, permission.mode) == (path, fixed_mode)
    assert permission.message == f"~/{name}: {problem}; chmod {fixed_mode:o} ~/{name}"
    tighten([permission])
    assert path.stat().st_mode & 0o777 == fixed_mode
    assert loose_permissions(tmp_path) == ()


def test_only_the_owner_may_list_the_ssh_directory(tmp_path: Path) -> None:
    put(tmp_path, ".ssh/config", 0o600)
    (tmp_path / ".ssh").chmod(0o755)
    (permission,) = loose_permissions(tmp_path)
    assert permission.message == "~/.ssh: other users can list it; chmod 700 ~/.ssh"
    tighten([permission])
    assert (tmp_path / ".ssh").stat().st_mode & 0o777 == 0o700


def test_an_included_file_that_ssh_would_refuse_is_found(tmp_path: Path) -> None:
    put(tmp_path, ".ssh/config", 0o600, "Include more.conf\n")
    # ssh checks the mode of each included file too, and then fails for every host.
    put(tmp_path, ".ssh/more.conf", 0o662, "Host a\n")
    (permission,) = loose_permissions(tmp_path)
    assert permission.name == "~/.ssh/more.conf"


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [
        pytest.param(".ssh/config", 0o644, "", id="a config that others can read"),
        pytest.param(".ssh/id_mila.pub", 0o644, "ssh-ed25519 AAAA\n", id="a public key"),
        pytest.param(".ssh/id_mila", 0o400, KEY, id="a read-only private key"),
        pytest.param(".ssh/known_hosts", 0o644, "localhost ssh-ed25519 AAAA\n", id="known hosts"),
    ],
)
def test_permissions_that_ssh_accepts_are_left_alone(
    name: str, mode: int, content: str, tmp_path: Path
) -> None:
    put(tmp_path, name, mode, content)
    assert loose_permissions(tmp_path) == ()


def test_without_an_ssh_directory_there_is_nothing_to_fix(tmp_path: Path) -> None:
    assert loose_permissions(tmp_path) == ()


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer no to every question, and return the questions."""
    questions: list[str] = []

    def answer_no(question: str) -> bool:
        questions.append(question)
        return False

    def choose_none(question: str, *choices: str) -> None:
        questions.append(f"{question} {'/'.join(choices)}")

    monkeypatch.setattr(offers, "agreed", answer_no)
    monkeypatch.setattr(offers, "chosen", choose_none)
    return questions


@pytest.mark.parametrize(
    ("login", "existing"),
    [
        pytest.param(LOGIN._replace(make_key=None), (), id="a method without a key pair"),
        pytest.param(LOGIN, ("id_rig", "id_rig.pub"), id="the key pair exists"),
        # Or on a token: a new pair would overwrite the only copy of the public key.
        pytest.param(LOGIN, ("id_rig.pub",), id="the private half is in an agent"),
    ],
)
def test_no_key_pair_is_offered_where_none_is_needed(
    login: FirstLogin, existing: tuple[str, ...], tmp_path: Path, questions: list[str]
) -> None:
    for name in existing:
        put(tmp_path, f".ssh/{name}", 0o600, "unchanged")
    offers.offer_key_pair(login, tmp_path)
    assert questions == []
    for name in existing:
        assert (tmp_path / ".ssh" / name).read_text() == "unchanged"


def test_a_key_on_a_disk_that_is_not_mounted_is_not_replaced(
    tmp_path: Path, questions: list[str]
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rig").symlink_to("/nowhere/id_rig")
    offers.offer_key_pair(LOGIN, tmp_path)
    assert questions == []


def test_a_missing_public_key_is_derived_after_a_question(
    tmp_path: Path, questions: list[str]
) -> None:
    put(tmp_path, ".ssh/id_rig", 0o600, KEY)
    offers.offer_key_pair(LOGIN, tmp_path)
    command = "ssh-keygen -y -f ~/.ssh/id_rig"
    assert questions == [f"~/.ssh/id_rig.pub is missing. Derive it with {command}?"]
    assert not (tmp_path / ".ssh/id_rig.pub").exists()


def test_a_user_who_declines_gets_the_command_for_later(
    tmp_path: Path, questions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    offers.offer_key_pair(LOGIN, tmp_path)
    command = "ssh-keygen -t ed25519 -f ~/.ssh/id_rig"
    assert questions == [f"rig needs a key pair. Make it with {command}? y/rsa"]
    printed = capsys.readouterr().err
    assert printed.startswith("\nChoose a passphrase: ")
    assert printed.endswith(f"\nTo make it later: {command}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("site", "command"),
    [
        pytest.param(
            "mila", "ssh-keygen -t ed25519 -f ~/.ssh/id_mila", id="the site takes a public key"
        ),
        pytest.param(
            "isambard-ai", "ssh-keygen -t ed25519 -f ~/.ssh/id_isambard-ai", id="the site signs it"
        ),
        # sshproxy.sh writes the key and the certificate together.
        pytest.param("nersc-perlmutter", None, id="the site's command makes the key too"),
        pytest.param("musica", None, id="step makes it"),
    ],
)
def test_a_key_pair_is_made_where_the_method_needs_one(
    site: str, command: str | None, ada: SiteProfile
) -> None:
    account = Account(validate.site(CATALOGUE / f"{site}.yaml"), ada)
    assert first_login(account).make_key == command


@pytest.mark.parametrize(
    ("changes", "key", "commands"),
    [
        pytest.param(
            {"certificate": False},
            None,
            [
                "ssh-add -l   # if it has many keys: "
                "gen install vsc-sofia --identity-file ~/.ssh/KEY.pub"
            ],
            id="any key",
        ),
        pytest.param({"certificate": False}, "~/.ssh/mine.pub", [], id="a key that is known"),
        pytest.param({"certificate": True}, None, [], id="a certificate"),
    ],
)
def test_a_key_in_the_agent_is_to_be_named_where_gen_does_not_know_it(
    changes: dict[str, bool], key: str | None, commands: list[str]
) -> None:
    spec = validate.site(CATALOGUE / "vsc-sofia.yaml")
    spec = spec.model_copy(update={"auth": spec.auth.model_copy(update={"fill": (), **changes})})
    account = Account(spec, SiteProfile(user="ada", identity_file=key))
    assert list(first_login(account).credential) == commands
