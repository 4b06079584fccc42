"""A login node and a compute node of real sshd share a home directory, in which one checks keys.

The login node knows the user's key from a list of the site. The compute node, behind it, looks in
`~/.ssh/authorized_keys` alone.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from homes import tree
from ruamel.yaml import YAML
from shell_user import Result, ShellUser, gen_command, passwd_file
from sshd import PROGRAMS, TEST_USER, Rig, SshServer, site
from terminal import Terminal

pytestmark = pytest.mark.system

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
ADDED = "  added     ~/.ssh/authorized_keys at rig\n"


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, "setsid", root=True)
    with Rig(tmp_path) as new_rig:
        yield new_rig


@dataclass(frozen=True)
class SharedHome:
    """A site with a home directory on both nodes, and a user who has installed it."""

    rig: Rig
    home: Path
    """The home directory at the site."""
    user: ShellUser
    login: SshServer
    node: SshServer

    @property
    def file(self) -> Path:
        """The file that the compute node reads."""
        return self.home / ".ssh/authorized_keys"

    def enter(self) -> Result:
        """Log in to the compute node."""
        return self.user.run("ssh", "-o", "BatchMode=yes", "cn-a001", "echo $SERVER")

    def gen(self, *arguments: str) -> str:
        """Run gen, which must succeed, and return its messages."""
        result = self.user.gen(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stderr


def shared_home(rig: Rig, shell: str = "/bin/sh", **parts: object) -> SharedHome:
    """Start both nodes, and install the site."""
    home = rig.directory / "site-home"
    (home / ".ssh").mkdir(parents=True)
    home.chmod(0o700)
    passwd = rig.directory / "site.passwd"
    passwd.write_text(passwd_file(home, shell))
    files = {"/etc/passwd": passwd}
    login = rig.serve("login", ["ed25519"], names=["cn-a001"], files=files)
    in_home = ("AuthorizedKeysFile .ssh/authorized_keys", "StrictModes yes")
    node = rig.serve("node", ["ed25519-node"], *in_home, files=files)
    for ending in ("", ".pub"):
        shutil.copy(f"{rig.key('ed25519-ada')}{ending}", rig.home / f".ssh/id_rig{ending}")
    pins = {"fingerprints": {"ed25519": rig.fingerprint("ed25519")}}
    spec = site(login, pins) | parts
    spec["compute"] = {
        "nodes": {
            "match": "cn-????",
            "through": "rig",
            "port": node.port,
            "key_in_home": True,
        }
    }
    spec["host_keys"]["nodes"] = {
        "hosts": "nodes",
        "source": "test",
        "fingerprints": {"ed25519": rig.fingerprint("ed25519-node")},
    }
    path = rig.directory / "rig.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(spec, file)
    shared = SharedHome(rig, home, ShellUser(rig.home), login, node)
    printed = shared.gen("install", str(path), "--yes", "--user", TEST_USER.pw_name)
    assert printed.endswith(
        "  ssh rig\n  gen copy-key rig   # after the login: compute nodes look for your key there\n"
    )
    return shared


@pytest.mark.parametrize("shell", ["/bin/sh", "csh", "fish"])
def test_the_compute_node_lets_in_after_the_offer_and_the_file_is_restored(
    shell: str, rig: Rig
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    shared = shared_home(rig, program)
    shared.file.write_bytes(f"# mine\r\n{OTHER} grace".encode())
    shared.file.chmod(0o644)
    (shared.home / ".ssh").chmod(0o755)
    # Of the rest, fish makes directories of its own.
    before = tree(shared.home / ".ssh")

    refused = shared.enter()
    assert (refused.returncode, refused.stdout) == (255, "")
    assert "Permission denied (publickey)" in refused.stderr
    live = shared.user.gen("status", "rig", "--live", "--seconds", "60")
    assert live.returncode == 1, live.stderr
    assert live.stdout.startswith(
        "key-in-home: compute.nodes.key_in_home\n"
        "  spec:   cn-???? look for your key in ~/.ssh/authorized_keys\n"
        "  site:   your key is not there\n"
        "  action: without it they refuse you; add it with: gen copy-key rig\n"
    )

    assert shared.gen("copy-key", "rig", "--yes").endswith(ADDED)
    line = shared.file.read_text().splitlines()[-1]
    assert line.startswith(f"{rig.public('ed25519-ada')} gen-rig-")
    assert shared.file.read_bytes() == f"# mine\r\n{OTHER} grace\n{line}\n".encode()
    assert shared.file.stat().st_mode & 0o777 == 0o600
    assert shared.file.parent.stat().st_mode & 0o777 == 0o700
    let_in = shared.enter()
    assert (let_in.returncode, let_in.stdout, let_in.stderr) == (0, "node\n", "")
    live = shared.user.gen("status", "rig", "--live", "--seconds", "60")
    assert live.returncode == 0, live.stdout
    assert " ".join(live.stdout.split()).endswith("login, clock, your key in its home")

    again = shared.gen("copy-key", "rig", "--yes")
    assert again.endswith("rig: ~/.ssh/authorized_keys has your key already; nothing was changed\n")
    printed = shared.gen("uninstall", "rig", "--yes")
    assert "  removed   your key from ~/.ssh/authorized_keys at rig\n" in printed
    assert tree(shared.home / ".ssh") == before
    assert (shared.home / ".ssh").stat().st_mode & 0o777 == 0o755


def test_a_key_that_was_there_before_stays_after_uninstall(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.file.write_text(f"{rig.public('ed25519-ada')} ada@laptop\n")
    before = tree(shared.home)
    assert "has your key already" in shared.gen("copy-key", "rig", "--yes")
    assert "removed   your key" not in shared.gen("uninstall", "rig", "--yes")
    assert tree(shared.home) == before
    assert shared.login.logins() == shared.login.logins()[:1]  # uninstall had nothing to do there


def test_a_key_behind_options_is_left_alone(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.file.write_text(f'from="192.0.2.1" {rig.public("ed25519-ada")}\n')
    before = tree(shared.home)
    result = shared.user.gen("copy-key", "rig", "--yes")
    assert result.returncode == 2
    assert result.stderr.endswith(
        "rig: ~/.ssh/authorized_keys has your key behind options such as from=; gen leaves that "
        "line as it is. Edit it if the nodes refuse you: ssh rig\n"
    )
    assert tree(shared.home) == before


def test_a_file_that_others_can_write_to_is_a_finding(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.gen("copy-key", "rig", "--yes")
    shared.home.chmod(0o707)
    assert shared.enter().returncode == 255
    live = shared.user.gen("status", "rig", "--live", "--seconds", "60")
    assert live.returncode == 1
    # The path of a test is long enough for a line of its own.
    shown = " ".join(live.stdout.split())
    assert f"site: other users can write to {shared.home}, so sshd may ignore it" in shown


def test_an_uninstall_without_the_site_names_the_line_that_stays(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.gen("copy-key", "rig", "--yes")
    line = shared.file.read_text()
    with rig.stopped(shared.login):
        printed = shared.gen("uninstall", "rig", "--yes")
    account = f"{TEST_USER.pw_name}@localhost"
    message = f"rig: your key stays in ~/.ssh/authorized_keys of {account} (rig: ssh: connect"
    assert message in printed
    assert f"  To remove it, delete this line there: {line}" in printed
    assert shared.file.read_text() == line
    assert not (rig.home / ".ssh/gen.d").exists()


def test_an_uninstall_that_is_refused_leaves_the_key(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.gen("copy-key", "rig", "--yes")
    with (rig.home / ".ssh/gen.d/rig.conf").open("a") as conf:
        conf.write("# mine\n")
    assert shared.user.gen("uninstall", "rig", "--yes").returncode == 2
    assert shared.file.read_text().startswith(rig.public("ed25519-ada"))


def test_a_line_that_is_gone_is_not_said_to_be_removed(rig: Rig) -> None:
    shared = shared_home(rig)
    shared.gen("copy-key", "rig", "--yes")
    shared.file.write_text("# mine\n")
    # A second addition counts too.
    shared.gen("copy-key", "rig", "--yes")
    printed = shared.gen("uninstall", "rig", "--yes")
    assert (
        "  removed   your key from ~/.ssh/authorized_keys at rig\n  gone      your key" in printed
    )
    assert shared.file.read_text() == "# mine\n"


def test_a_line_of_an_earlier_account_is_not_said_to_be_gone(rig: Rig) -> None:
    shared = shared_home(rig)
    # Another name for the same number may log in here, and has a home directory of its own.
    other_home = rig.directory / "other-home"
    other_home.mkdir()
    os.chown(other_home, TEST_USER.pw_uid, TEST_USER.pw_gid)
    with (rig.directory / "site.passwd").open("a") as passwd:
        passwd.write(f"grace:x:{TEST_USER.pw_uid}:{TEST_USER.pw_gid}::{other_home}:/bin/sh\n")
    shared.gen("copy-key", "rig", "--yes")
    line = shared.file.read_text()
    spec = str(rig.directory / "rig.yaml")
    shared.gen("install", spec, "--yes", "--user", "grace")
    # In the account of now, a line counts as before.
    shared.gen("copy-key", "rig", "--yes")
    printed = shared.gen("uninstall", "rig", "--yes")
    assert "  removed   your key from ~/.ssh/authorized_keys at rig\n" in printed
    assert (
        f"rig: your key stays in ~/.ssh/authorized_keys of {TEST_USER.pw_name}@localhost "
        f"(gen now logs in as grace@localhost)\n  To remove it, delete this line there: {line}"
    ) in printed
    assert "gone" not in printed
    assert shared.file.read_text() == line
    assert not (other_home / ".ssh/authorized_keys").exists()


def test_another_host_with_the_name_of_the_site_gets_nothing(rig: Rig) -> None:
    shared = shared_home(rig)
    text = shared.login.config.read_text()
    with rig.stopped(shared.login):
        shared.login.config.write_text(
            text.replace(str(rig.key("ed25519")), str(rig.key("ed25519-other")))
        )
    result = shared.user.gen("copy-key", "rig", "--yes")
    assert result.returncode == 2
    assert "compare it with the one that the site publishes" in result.stderr
    assert shared.login.logins() == []
    # Nothing was added, so an uninstallation has nothing to remove.
    assert "your key stays" not in shared.gen("uninstall", "rig", "--yes")


def test_the_question_comes_before_the_connection(rig: Rig) -> None:
    shared = shared_home(rig)
    without_terminal = shared.user.gen("copy-key", "rig")
    assert without_terminal.returncode == 2
    assert "There is no terminal to ask on. Add --yes" in without_terminal.stderr
    assert shared.gen("copy-key", "rig", "--dry-run").count("\n") == 4
    command = shared.user.command(*gen_command("copy-key", "rig"))
    for reply, logins in (("n", 0), ("y", 1)):
        terminal = Terminal(*command, environment=os.environ | shared.user.environment())
        terminal.expect("Add it? [y/N]: ")
        terminal.type(reply)
        assert terminal.end() == 0, terminal.shown
        terminal.close()
        assert len(shared.login.logins()) == logins
    assert shared.file.is_file()


def test_the_first_login_of_gen_init_ends_with_the_rules_and_the_offer(rig: Rig) -> None:
    rules = {"not_for": "programs that compute", "remote_editors": False}
    shared = shared_home(rig, login_nodes=rules)
    shared.gen("uninstall", "rig", "--yes")
    specs = ("--specs", str(rig.directory), "--identity-file", "~/.ssh/id_rig")
    command = shared.user.command(*gen_command("init", "rig", "--user", TEST_USER.pw_name, *specs))
    environment = os.environ | shared.user.environment() | {"TERM": "dumb"}
    terminal = Terminal(*command, environment=environment, directory=rig.directory)
    terminal.answer(
        ("Write it? [y/N]: ", "y"),
        ("Install rig now?", "y"),
        ("files in", "y"),
        ("Log in to rig now, with ssh rig? [y/N]: ", "y"),
        ("# ", "exit"),
    )
    terminal.expect("Login nodes are not for programs that compute.\r\n")
    terminal.expect(
        "The remote server of an editor (VS Code) belongs on a compute node, not there.\r\n"
    )
    terminal.answer(("Add it? [y/N]: ", "y"))
    assert terminal.end() == 0, terminal.shown
    terminal.close()
    assert shared.enter().stdout == "node\n"


def test_a_first_login_that_fails_ends_without_an_offer(rig: Rig) -> None:
    shared = shared_home(rig)
    command = shared.user.command(*gen_command("init", "rig", "--user", TEST_USER.pw_name))
    specs = {"GEN_SPECS": str(rig.directory), "TERM": "dumb"}
    environment = os.environ | shared.user.environment() | specs
    with rig.stopped(shared.login):
        terminal = Terminal(*command, environment=environment, directory=rig.directory)
        terminal.answer(
            ("Write it? [y/N]: ", "y"),
            ("Install rig now?", "y"),
            ("Log in to rig now, with ssh rig? [y/N]: ", "y"),
        )
        assert terminal.end() == 0, terminal.shown
    terminal.close()
    assert "Add it?" not in terminal.shown


def test_a_site_without_such_nodes_and_one_that_is_not_installed_are_refused(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("unshare", root=True)
    user = ShellUser(tmp_path / "home")
    user.home.mkdir()
    result = user.gen("copy-key", "mila", "--yes")
    assert (result.returncode, result.stderr) == (
        2,
        "mila: is not installed; install it with: gen install mila\n",
    )
    assert user.gen("install", "musica", "--yes", "--user", "ada").returncode == 0
    result = user.gen("copy-key", "musica", "--yes")
    assert (result.returncode, result.stderr) == (
        2,
        "musica: has no compute nodes that look for your key in ~/.ssh/authorized_keys\n",
    )
