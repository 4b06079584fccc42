"""From a configuration written by hand to an installed site and back, with real logins."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import tree
from shell_user import PROGRAMS as SHELL_PROGRAMS
from shell_user import ShellUser
from sshd import PROGRAMS, TEST_USER, Rig
from terminal import Terminal

pytestmark = pytest.mark.system

# What the file of every site decides: shared connections, and policies for keys.
DECIDED_BY_GEN = {
    *("controlmaster", "controlpath", "controlpersist", "ignoreunknown", "identitiesonly"),
    *("preferredauthentications", "stricthostkeychecking"),
}
FORWARDS = """\
  LocalForward 127.0.0.1:18001 localhost:80
  RemoteForward 127.0.0.1:18002 localhost:9
  DynamicForward 127.0.0.1:18003
  ForwardAgent yes
  SetEnv GEN_TEST=1
"""


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*PROGRAMS, *SHELL_PROGRAMS, root=True)
    with Rig(tmp_path) as rig:
        yield rig


class HandWritten:
    """A user who logs in with an ssh configuration of their own, to a site behind a gate."""

    def __init__(self, rig: Rig, config: str, more: str = "") -> None:
        self.rig = rig
        self.user = ShellUser(rig.home)
        self.login = rig.serve("login", ["ed25519"])
        self.gate = rig.serve("gate", ["ed25519"])
        self.config = rig.home / ".ssh/config"
        self.config.write_text(self.filled(config))
        (rig.home / ".ssh/more").write_text(self.filled(more))
        for path in (self.config, rig.home / ".ssh/more"):
            path.chmod(0o600)
        known = ""
        for server in (self.login, self.gate):
            names = f"[localhost]:{server.port},[127.0.0.1]:{server.port}"
            known += f"{names} {rig.public('ed25519')}\n"
        (rig.home / ".ssh/known_hosts").write_text(known)

    def filled(self, text: str) -> str:
        """Return a configuration with the ports of the servers and the key of the user."""
        values = {
            "login": f"HostName localhost\n  Port {self.login.port}\n  User {TEST_USER.pw_name}",
            "gate": f"HostName localhost\n  Port {self.gate.port}\n  User {TEST_USER.pw_name}",
            "gateport": str(self.gate.port),
            "me": TEST_USER.pw_name,
            "key": f"IdentityFile {self.rig.key('ed25519-ada')}",
        }
        return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), text)

    def gen(self, *arguments: str) -> str:
        """Run gen, and return its messages."""
        result = self.user.run(sys.executable, "-m", "generator", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stderr

    def settings(self, name: str) -> dict[str, list[str]]:
        """Return what ssh -G says, without the options that the file of every site decides."""
        settings: dict[str, list[str]] = {}
        for line in self.user.run("ssh", "-G", name).stdout.splitlines():
            keyword, _, value = line.partition(" ")
            if keyword not in DECIDED_BY_GEN:
                settings.setdefault(keyword, []).append(value)
        # A shared connection has probes even if the user had none.
        if settings["serveraliveinterval"] in (["0"], ["15"]):
            del settings["serveraliveinterval"], settings["serveralivecountmax"]
        return settings

    def own_lines(self, site: str) -> str:
        """Return the active lines and comments of the user's that are left in the config."""
        own = ""
        is_ours = False
        for line in self.config.read_text().splitlines(keepends=True):
            is_ours = is_ours or line.startswith("# >>> gen: ")
            if not is_ours and not line.startswith(f"# taken over by gen for {site}: "):
                own += line
            is_ours = is_ours and not line.startswith("# <<< gen ")
        return own

    def logs_in(self, name: str) -> str:
        """Return the name of the server that a login with a name reaches."""
        # A session with a shared connection would leave a process that holds the output open.
        options = ["-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ClearAllForwardings=yes"]
        result = self.user.run("ssh", *options, name, "echo $SERVER")
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def paste(self, messages: str, *options: str) -> str:
        """Run the last command that gen printed, as the user would."""
        *_, command = re.findall(r"^  (gen install .*)$", messages, re.MULTILINE)
        return self.gen(*shlex.split(command)[1:], *options)


ONE_HOST = "Host big\n  {login}\n  {key}\n"
JUMP = "Host gate\n  {gate}\n  {key}\n\nHost big\n  {login}\n  {key}\n  ProxyJump gate\n"


@pytest.mark.parametrize(
    ("config", "more", "names", "rest"),
    [
        pytest.param(ONE_HOST, "", ["big"], "", id="one host"),
        pytest.param(
            "# mine\nHost big\n  {login}\n  {key}\n" + FORWARDS + "Host z\n  User x\n",
            "",
            ["big", "z"],
            "# mine\nHost big\n" + FORWARDS + "Host z\n  User x\n",
            id="forwards",
        ),
        pytest.param(
            "Host big b  large\n  {login}\n  {key}\n", "", ["big", "b", "large"], "", id="aliases"
        ),
        pytest.param(JUMP, "", ["big", "gate"], "\n", id="a jump"),
        pytest.param(
            "Include more\nHost big\n  {key}\nMatch host localhost\n  Compression yes\n"
            "Host b* !bob\n  ServerAliveInterval 30\nHost *\n  HashKnownHosts yes\n",
            "Host big other\n  {login}\n",
            ["big", "other", "bob", "bill"],
            "Include more\nMatch host localhost\n  Compression yes\n"
            "Host b* !bob\n  ServerAliveInterval 30\nHost *\n  HashKnownHosts yes\n",
            id="Include, Match and wildcards",
        ),
        pytest.param(
            "Host *\n  {key}\nHost big\n  {login}\n",
            "",
            ["big"],
            "Host *\n  {key}\n",
            id="a key for every host",
        ),
    ],
)
def test_an_imported_entry_is_installed_and_restored(
    rig: Rig, config: str, more: str, names: list[str], rest: str
) -> None:
    user = HandWritten(rig, config, more)
    before = {name: user.settings(name) for name in names}
    written = tree(rig.home / ".ssh")
    assert user.logs_in("big") == "login"
    messages = user.gen("import", "big", "--name", "big-site")
    spec = rig.home / "site_specs/big-site.yaml"
    assert not re.search(r"[&*]id\d", spec.read_text())
    user.gen("validate", str(spec))
    user.paste(messages, "--yes")
    assert user.own_lines("big-site") == user.filled(rest)
    assert {name: user.settings(name) for name in names} == before
    assert user.logs_in("big") == "login"
    user.gen("uninstall", "big-site", "--yes")
    assert tree(rig.home / ".ssh") == written
    assert user.logs_in("big") == "login"


def test_a_chain_of_jumps_leaves_the_entries_on_the_way_alone(rig: Rig) -> None:
    config = JUMP.replace("ProxyJump gate", "ProxyJump {me}@outer:{gateport},gate")
    user = HandWritten(rig, config + "Host outer\n  HostName 127.0.0.1\n  {key}\n")
    gate, outer = user.settings("gate"), user.settings("outer")
    messages = user.gen("import", "big")
    user.paste(messages, "--yes")
    # ssh reaches gate through another machine in the chain, and directly when the user asks for it.
    assert user.settings("big")["proxyjump"] == ["gate-of-big"]
    assert user.settings("gate-of-big")["proxyjump"] == ["outer-of-big"]
    assert (user.settings("gate"), user.settings("outer")) == (gate, outer)
    assert user.logs_in("big") == "login"
    # Once through the first gate, and once through the second, which is the same server.
    assert len(user.gate.logins()) == 2


def test_an_entry_that_leads_elsewhere_is_not_taken_over(rig: Rig) -> None:
    user = HandWritten(rig, ONE_HOST)
    user.gen("import", "big")
    spec = rig.home / "site_specs/big.yaml"
    spec.write_text(spec.read_text().replace(f"port: {user.login.port}", "port: 22"))
    before = user.config.read_bytes()
    arguments = ("install", str(spec), "--user", "bob", "--take-over", "--yes")
    result = user.user.gen(*arguments)
    assert result.returncode == 2
    assert (
        f"~/.ssh/config:1: your entry big would change: port {user.login.port} → 22, "
        f"user {TEST_USER.pw_name} → bob, "
    ) in result.stderr
    assert user.config.read_bytes() == before


def test_without_consent_an_installation_says_how_to_replace_the_entry(rig: Rig) -> None:
    user = HandWritten(rig, ONE_HOST)
    user.gen("import", "big")
    arguments = ("install", "site_specs/big.yaml", "--user", TEST_USER.pw_name, "--yes")
    result = user.user.gen(*arguments)
    assert result.returncode == 2
    assert result.stderr.endswith(
        "Nothing was written. Rename your entry, or use --force to get the site's settings.\n"
        "If it is an entry for the same site, --take-over makes its lines comments.\n"
    )


def test_in_a_terminal_an_installation_offers_to_replace_the_entry(rig: Rig) -> None:
    user = HandWritten(rig, ONE_HOST)
    user.gen("import", "big")
    gen = (sys.executable, "-m", "generator", "install", "site_specs/big.yaml")
    environment = [f"{name}={value}" for name, value in user.user.environment().items()]
    terminal = Terminal("env", *environment, *user.user.command(*gen, "--user", TEST_USER.pw_name))
    for question in (
        "line 1: Host big: HostName, Port, User, IdentityFile\r\n"
        "Replace them with gen's? They become comments until gen uninstall big. [y/N]: ",
        " files in ",
    ):
        terminal.expect(question)
        terminal.type("y")
    assert terminal.end() == 0, terminal.shown
    assert user.logs_in("big") == "login"
    assert "~/.ssh/config:1: 5 lines of Host big became comments" in terminal.shown
    assert user.config.read_text().count("# taken over by gen for big: ") == 5


def test_an_imported_machine_without_slurm_has_no_queues(rig: Rig) -> None:
    user = HandWritten(rig, ONE_HOST)
    messages = user.gen("import", "big", "--live", "--seconds", "30")
    assert "big: Slurm does not answer there (" in messages
    assert "), so the spec has no queues\n" in messages
    assert "slurm:" not in (rig.home / "site_specs/big.yaml").read_text()
    user.paste(messages, "--yes")
    user.gen("site", "site_specs/big.yaml", "--out", "out")
    assert user.logs_in("big") == "login"


def test_settings_that_the_spec_cannot_have_are_named(rig: Rig) -> None:
    own = "  StrictHostKeyChecking no\n  ControlPath ~/.ssh/mine-%C\n  Ciphers aes256-ctr\n"
    user = HandWritten(rig, ONE_HOST + FORWARDS + own)
    messages = user.gen("import", "big")
    kept, lost = messages.split("\nNot kept, because the file of a site has its own value:\n")
    assert set(kept.splitlines()[3:]) == {
        "  localforward [127.0.0.1]:18001 [localhost]:80",
        "  remoteforward [127.0.0.1]:18002 [localhost]:9",
        "  dynamicforward [127.0.0.1]:18003",
        "  forwardagent yes",
        "  setenv GEN_TEST=1",
        "  ciphers aes256-ctr",
    }
    first_lost = lost.split("\n\n")[0].splitlines()
    assert "  stricthostkeychecking false" in first_lost
    assert [line for line in first_lost if "/.ssh/mine-" in line]
