"""The first login in a terminal, with the real ssh-keygen and a real sshd that accepts the key."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from other_tools import MILA_INIT
from ruamel.yaml import YAML
from shell_user import PROGRAMS as SHELL_PROGRAMS
from shell_user import ShellUser
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, logged_in, site
from terminal import Terminal

from generator.schema.auth import KeyType
from generator.ssh.keys import rsa_bits

pytestmark = pytest.mark.system

PASSPHRASE = "correct horse battery"  # noqa: S105 - of a key that the test makes
# The offer alone, for a site of the test, in a process that has a terminal of its own.
OFFER = """
import sys
from pathlib import Path
from generator.cli.first_login import offer_key_pair
from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.loading import validate
from generator.schema.profile import SiteProfile
account = Account(validate.site(Path(sys.argv[1])), SiteProfile(user="ada"))
offer_key_pair(first_login(account), Path(sys.argv[2]))
"""


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, "setsid", root=True)
    with Rig(tmp_path) as new_rig:
        yield new_rig


@pytest.fixture
def offered(rig: Rig) -> Iterator[Callable[..., Terminal]]:
    """Start the offer for a site that takes a public key."""
    with ExitStack() as terminals:

        def start(server: SshServer, **auth: object) -> Terminal:
            spec = site(server, {"fingerprints": {"ed25519": rig.fingerprint("ed25519-host")}})
            usual = {"method": "publickey", "submit": "in the form of the portal", "max_keys": 4}
            spec["auth"] = auth if "method" in auth else usual | auth
            rig.compile(spec, key=rig.home / ".ssh" / "id_rig")
            terminal = Terminal(
                sys.executable, "-c", OFFER, str(rig.directory / "rig.yaml"), str(rig.home)
            )
            terminals.callback(terminal.close)
            return terminal

        yield start


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_key_pair_made_in_the_terminal_logs_in(
    kind: KeyType, rig: Rig, offered: Callable[..., Terminal]
) -> None:
    key = rig.home / ".ssh" / "id_rig"
    server = rig.serve("login", ["ed25519-host"], f"AuthorizedKeysFile {key}.pub")
    # ed25519 is the default, so a spec does not name it.
    terminal = offered(server, **({"key_types": [kind]} if kind != "ed25519" else {}))
    # A site of ECDSA keys alone takes no RSA key.
    choices = "y/rsa/N" if kind == "ed25519" else "y/N"
    terminal.expect(
        f"rig needs a key pair. Make it with ssh-keygen -t {kind} -f ~/.ssh/id_rig? [{choices}]: "
    )
    terminal.type("y")
    terminal.expect("passphrase")
    terminal.type(PASSPHRASE)
    terminal.expect("again")
    terminal.type(PASSPHRASE)
    assert terminal.end() == 0
    # ssh-keygen turns the echo off; a gen in between could turn it on again.
    assert PASSPHRASE not in terminal.shown
    public = Path(f"{key}.pub").read_text().strip()
    shown_key = f"Your public key, in ~/.ssh/id_rig.pub:\r\n\r\n{public}\r\n\r\n"
    assert f"{shown_key}Register it: in the form of the portal." in terminal.shown
    assert "The site stores at most 4 public keys for each user." in terminal.shown
    assert key.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in key.read_bytes()
    assert PASSPHRASE.encode() not in key.read_bytes()

    config = rig.directory / "out" / "ssh" / "rig.conf"
    # Without the passphrase ssh cannot use the key.
    assert not logged_in(rig.login(config))
    agent = rig.agent()
    unlock(key, agent, rig.directory / "answer")
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))


def test_one_command_leads_from_an_empty_home_to_a_login(rig: Rig) -> None:
    (rig.home / ".ssh").rmdir()
    key = rig.home / ".ssh" / "id_rig"
    server = rig.serve("login", ["ed25519-host"], f"AuthorizedKeysFile {key}.pub")
    spec = rig.directory / "rig.yaml"
    with spec.open("w") as file:
        YAML(typ="safe").dump(
            site(server, {"fingerprints": {"ed25519": rig.fingerprint("ed25519-host")}}), file
        )
    gen = ("-m", "generator", "install", str(spec), "--user", TEST_USER.pw_name)
    terminal = Terminal("env", f"HOME={rig.home}", sys.executable, *gen)
    for question, answer in (
        ("files in", "y"),
        ("rig needs a key pair", "y"),
        ("passphrase", PASSPHRASE),
    ):
        terminal.expect(question)
        terminal.type(answer)
    terminal.expect("again")
    terminal.type(PASSPHRASE)
    terminal.expect("Your public key, in ~/.ssh/id_rig.pub:")
    assert terminal.end() == 0, terminal.shown
    terminal.close()
    agent = rig.agent()
    unlock(key, agent, rig.directory / "answer")
    # The scratch home directory is mounted there for ssh.
    config = Path(TEST_USER.pw_dir, ".ssh/config")
    assert logged_in(rig.login(config, SSH_AUTH_SOCK=agent))


def test_entries_of_mila_init_are_taken_over_and_restored(
    rig: Rig,
) -> None:
    config = rig.home / ".ssh" / "config"
    config.write_bytes(MILA_INIT)
    config.chmod(0o600)
    gen = ("env", f"HOME={rig.home}", sys.executable, "-m", "generator")
    terminal = Terminal(*gen, "install", "mila", "--user", "ada")
    terminal.expect(
        "line 36: Host cn-????\r\nTo keep their user and key, answer no and add: "
        "--identity-file ~/.ssh/id_rsa_mila"
    )
    for question, answer in (
        ("Replace them with gen's?", "y"),
        ("files in", "y"),
        ("needs a key pair", "n"),
    ):
        terminal.expect(question)
        terminal.expect("N]: ")
        terminal.type(answer)
    assert terminal.end() == 0, terminal.shown
    assert b"# taken over by gen for mila: Host mila\n" in config.read_bytes()
    undo = Terminal(*gen, "uninstall", "mila", "--yes")
    assert undo.end() == 0, undo.shown
    assert config.read_bytes() == MILA_INIT


def unlock(key: Path, agent: str, answer: Path) -> None:
    """Add a key to an agent with its passphrase."""
    answer.write_text(f"#!/bin/sh\necho '{PASSPHRASE}'\n")
    answer.chmod(0o700)
    asking = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force", "SSH_AUTH_SOCK": agent}
    subprocess.run(
        ["ssh-add", "-q", str(key)], env=dict(os.environ) | asking, timeout=120, check=True
    )


def test_a_site_that_signs_keys_shows_its_command_next(
    rig: Rig, offered: Callable[..., Terminal]
) -> None:
    terminal = offered(
        rig.serve("login", ["ed25519-host"]), method="certificate", command=["clifton", "auth"]
    )
    for question, answer in (("[y/N]: ", "y"), ("passphrase", ""), ("again", "")):
        terminal.expect(question)
        terminal.type(answer)
    assert terminal.end() == 0, terminal.shown
    assert terminal.shown.endswith("It works for a login after: gen refresh rig\r\n")


def test_a_user_who_declines_gets_the_command_for_later(
    rig: Rig, offered: Callable[..., Terminal]
) -> None:
    terminal = offered(rig.serve("login", ["ed25519-host"]))
    terminal.expect("[y/rsa/N]: ")
    terminal.type("n")
    assert terminal.end() == 0
    assert "To make it later: ssh-keygen -t ed25519 -f ~/.ssh/id_rig" in terminal.shown
    assert rig.files_of_ssh() == []


def test_ssh_keygen_asks_again_when_passphrases_differ(
    rig: Rig, offered: Callable[..., Terminal]
) -> None:
    terminal = offered(rig.serve("login", ["ed25519-host"]))
    terminal.expect("[y/rsa/N]: ")
    terminal.type("y")
    for text, typed in (
        # ssh-keygen asks again by itself; gen must not take the question for the end.
        ("passphrase", "one"),
        ("again", "another"),
        ("Enter passphrase", ""),
        ("again", ""),
    ):
        terminal.expect(text)
        terminal.type(typed)
    assert terminal.end() == 0
    assert rig.files_of_ssh() == ["id_rig", "id_rig.pub"]


# The offers at the end of `gen install`, and their undoing by `gen uninstall`, without a key pair.
MORE = """
import sys
from pathlib import Path
from types import SimpleNamespace
from generator import codec
from generator.cli.first_login import offer, undo
from generator.compiler.result import FirstLogin
from generator.install.record import OptionalChanges
home, conf, record = map(Path, sys.argv[1:4])
if record.exists():
    undo(codec.load(OptionalChanges, record.read_bytes(), "record"))
else:
    login = FirstLogin(
        alias="mila", key=None, make_key=None, submit=None, max_keys=None, credential=()
    )
    compilation = SimpleNamespace(site="mila", first_login=login)
    record.write_bytes(codec.dump(offer(home, compilation, conf.read_bytes())))
"""
SETTINGS = b'// mine\n{\n\t"editor.fontSize": 14, // big\n}\n'


@dataclass(frozen=True)
class Computer:
    """A home directory, one of Windows, and a site's file: one `run` offers, the next undoes."""

    folder: Path
    wsl: bool

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def windows(self) -> Path:
        return self.folder / "windows"

    def run(self) -> Terminal:
        kernel = self.folder / "version"
        release = "5.15.153.1-microsoft-standard-WSL2" if self.wsl else "6.1.0"
        kernel.write_text(f"Linux version {release}\n")
        script = 'mount --bind "$1" /proc/version && shift && exec "$@"'
        gen = (
            sys.executable,
            "-c",
            MORE,
            str(self.home),
            str(self.folder / "mila.conf"),
            str(self.folder / "kept"),
        )
        return Terminal("unshare", "--mount", "sh", "-c", script, "sh", str(kernel), *gen)

    def files(self) -> dict[str, tuple[int, bytes | None]]:
        """Return the files and directories below both homes, with their modes."""
        entries = {}
        for path in [*self.home.rglob("*"), *self.windows.rglob("*")]:
            content = path.read_bytes() if path.is_file() else None
            entries[str(path)] = (path.lstat().st_mode, content)
        return entries


@pytest.fixture
def computer(request: pytest.FixtureRequest, tmp_path: Path, need: Callable[..., None]) -> Computer:
    need("unshare", "setsid", root=True)
    new_rig = Computer(tmp_path, wsl=getattr(request, "param", False))
    for home, settings in (
        (new_rig.home, ".config/Code/User"),
        (new_rig.windows, "AppData/Roaming/Code/User"),
    ):
        (home / settings).mkdir(parents=True)
        (home / settings / "settings.json").write_bytes(SETTINGS)
    (new_rig.home / ".ssh").mkdir(mode=0o700)
    header = "# Made by gen for mila; do not edit.\n"
    text = "Host mila\n    ControlMaster auto\nHost mila-cpu\n    ConnectTimeout 600\n"
    (tmp_path / "mila.conf").write_text(header + text)
    return new_rig


def test_the_timeout_of_vs_code_is_set_and_deleted_again(computer: Computer) -> None:
    before = computer.files()
    terminal = computer.run()
    terminal.expect("Set remote.SSH.connectTimeout to 60? [y/N]: ")
    terminal.type("y")
    assert terminal.end() == 0, terminal.shown
    settings = computer.home / ".config/Code/User/settings.json"
    assert settings.read_bytes() == SETTINGS.replace(
        b"{", b'{\n    "remote.SSH.connectTimeout": 60,', 1
    )
    assert computer.run().end() == 0
    assert computer.files() == before


def test_a_user_who_declines_everything_keeps_every_byte(computer: Computer) -> None:
    (computer.home / ".ssh").chmod(0o755)
    before = computer.files()
    terminal = computer.run()
    for question in (
        "chmod 700 ~/.ssh\r\nFix these permissions? [y/N]: ",
        "connectTimeout to 60? [y/N]: ",
    ):
        terminal.expect(question)
        terminal.type("n")
    assert terminal.end() == 0, terminal.shown
    assert computer.files() == before
    assert computer.run().end() == 0
    assert computer.files() == before


def test_permissions_are_fixed_on_request(computer: Computer) -> None:
    config = computer.home / ".ssh" / "config"
    config.write_text("Host a\n")
    config.chmod(0o666)
    terminal = computer.run()
    terminal.expect(
        "~/.ssh/config: other users can write to it, so ssh refuses it; chmod 644 ~/.ssh/config"
    )
    terminal.expect("[y/N]: ")
    terminal.type("y")
    terminal.expect("[y/N]: ")
    terminal.type("n")
    assert terminal.end() == 0, terminal.shown
    assert config.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("computer", [True], ids=["WSL"], indirect=True)
def test_in_wsl_windows_gets_a_copy_that_uninstall_deletes(computer: Computer) -> None:
    # A file stands in for /proc/version, and a directory for Windows.
    before = computer.files()
    terminal = computer.run()
    terminal.expect("Your Windows home")
    terminal.type("/mnt/c/nobody")
    terminal.expect("/mnt/c/nobody: is not a directory")
    terminal.expect("Your Windows home")
    terminal.type(str(computer.windows))
    terminal.expect("connectTimeout to 60? [y/N]: ")
    terminal.type("y")
    assert terminal.end() == 0, terminal.shown
    copy = computer.windows / ".ssh/gen.d/mila.conf"
    assert copy.read_text() == (computer.folder / "mila.conf").read_text().replace(
        "    ControlMaster auto\n", ""
    )
    changed = {path for path, file in computer.files().items() if before.get(path) != file}
    settings = computer.windows / "AppData/Roaming/Code/User/settings.json"
    assert changed == {str(settings), str(copy), str(copy.parent), str(copy.parent.parent)}
    assert computer.run().end() == 0
    assert computer.files() == before


@pytest.mark.parametrize("computer", [True], ids=["WSL"], indirect=True)
def test_a_copy_that_was_edited_in_windows_stays(computer: Computer) -> None:
    terminal = computer.run()
    terminal.expect("Your Windows home")
    terminal.type(str(computer.windows))
    terminal.expect("[y/N]: ")
    terminal.type("n")
    assert terminal.end() == 0, terminal.shown
    copy = computer.windows / ".ssh/gen.d/mila.conf"
    # The record has the digest of the copy: a file of the user is not deleted.
    copy.write_text(copy.read_text() + "# mine\n")
    undo = computer.run()
    assert undo.end() == 0
    assert "was edited since gen wrote it, so it stays" in undo.shown
    assert copy.read_text().endswith("# mine\n")


def test_an_rsa_key_for_an_old_client_has_3072_bits_and_logs_in(
    rig: Rig, offered: Callable[..., Terminal]
) -> None:
    key = rig.home / ".ssh" / "id_rig"
    server = rig.serve("login", ["ed25519-host"], f"AuthorizedKeysFile {key}.pub")
    terminal = offered(server)
    terminal.answer(("[y/rsa/N]: ", "perhaps"), ("[y/rsa/N]: ", "RSA"))
    terminal.answer(("passphrase", ""), ("again", ""))
    assert terminal.end() == 0, terminal.shown
    assert "  perhaps: answer y, rsa or n\r\n" in terminal.shown
    assert rsa_bits(Path(f"{key}.pub").read_text()) == 3072
    assert logged_in(rig.login(rig.directory / "out" / "ssh" / "rig.conf"))


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["no passphrase", "a passphrase"])
def test_a_missing_public_key_is_derived(
    passphrase: str, rig: Rig, offered: Callable[..., Terminal]
) -> None:
    key = rig.home / ".ssh" / "id_rig"
    make_key(key, passphrase=passphrase)
    public = Path(f"{key}.pub")
    line = public.read_text()
    public.unlink()
    terminal = offered(rig.serve("login", ["ed25519-host"]))
    terminal.answer(("id_rig.pub is missing. Derive it with ssh-keygen -y -f ~/.ssh/id_rig? ", "y"))
    if passphrase:
        terminal.answer(("Enter passphrase", passphrase))
    assert terminal.end() == 0, terminal.shown
    assert public.read_text().split()[:2] == line.split()[:2]
    assert f"Your public key, in ~/.ssh/id_rig.pub:\r\n\r\n{line.split()[0]} " in terminal.shown
    # ssh-keygen reads it without an echo.
    assert PASSPHRASE not in terminal.shown


def test_a_wrong_passphrase_leaves_no_public_key(
    rig: Rig, offered: Callable[..., Terminal]
) -> None:
    key = rig.home / ".ssh" / "id_rig"
    make_key(key, passphrase=PASSPHRASE)
    Path(f"{key}.pub").unlink()
    terminal = offered(rig.serve("login", ["ed25519-host"]))
    terminal.answer(("is missing. Derive it", "y"), ("Enter passphrase", "wrong"))
    assert terminal.end() != 0
    assert "id_rig.pub: does not exist, and gen cannot derive it (" in terminal.shown
    assert f"run: ssh-keygen -y -f {key} > {key}.pub" in "".join(terminal.shown.split("\r\n"))
    assert rig.files_of_ssh() == ["id_rig"]


def make_key(path: Path, *options: str, passphrase: str = "") -> None:
    """Make a key pair."""
    arguments = options or ("-t", "ed25519")
    subprocess.run(
        ["ssh-keygen", "-q", *arguments, "-N", passphrase, "-f", str(path)], check=True, timeout=120
    )


@pytest.mark.parametrize(
    ("bits", "status"),
    [pytest.param(1024, 2, id="1024 bits"), pytest.param(2048, 0, id="2048 bits")],
)
def test_a_short_rsa_key_is_refused_before_the_first_write(
    bits: int, status: int, tmp_path: Path, need: Callable[..., None]
) -> None:
    need(*SHELL_PROGRAMS, "ssh-keygen", root=True)
    user = ShellUser(tmp_path / "home")
    key = user.home / ".ssh/id_old"
    key.parent.mkdir(mode=0o700, parents=True)
    make_key(key, "-t", "rsa", "-b", str(bits))
    options = ("--user", "ada", "--identity-file", "~/.ssh/id_old", "--yes")
    result = user.gen("install", "mila", *options)
    assert result.returncode == status, result.stderr
    refusal = (
        "~/.ssh/id_old: is an RSA key of 1024 bits; keys of fewer than 2048 bits can be broken, "
        "so servers refuse them. Make another key, then name it with --identity-file: "
        f"ssh-keygen -t ed25519 -f {key}_new\n"
    )
    assert result.stderr.endswith(refusal) == bool(status)
    assert (user.home / ".ssh/config").exists() != bool(status)
