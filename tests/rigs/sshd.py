"""Real sshd servers on the loopback, keys for them, and ssh with a scratch home directory."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ports import free_port
from ruamel.yaml import YAML
from waiting import wait_until

import generator

PROGRAMS = ("ssh", "sshd", "ssh-keygen", "ssh-agent", "ssh-add", "unshare", "pgrep")
TEST_USER = pwd.getpwuid(os.geteuid())
"""The user who runs the tests: the servers let this user in."""

_COMMAND_TIMEOUT = 120
"""Seconds that ssh and ssh-keygen may take: far more than they need, for a machine that is busy."""


def _path_without_gen() -> str:
    """Return a PATH on which ssh finds no gen, for it would renew certificates with it."""
    directories = [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]
    return ":".join(name for name in directories if not Path(name, "gen").exists())


_PATH = _path_without_gen()
# sshd starts itself again for each connection, and refuses to start without its absolute path
# (sshd(8)).
_SSHD = shutil.which("sshd", path=_PATH) or "sshd"
_SERVER_OPTIONS = (
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "StrictModes no",
    "PidFile none",
    # A relay whose ssh has given up may hold its connection until the server ends it: usually after
    # 120 s, when `ssh` below has given up too.
    "LoginGraceTime 60",
)

_RELAY = """#!/bin/bash
exec 3<>"/dev/tcp/$1/$2"
cat <&3 &
cat >&3
"""

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class SshServer:
    """A running sshd; a session in it finds the name of the server in $SERVER."""

    name: str
    port: int
    log: Path
    config: Path = Path(os.devnull)
    """The file that it reads."""

    def logins(self) -> list[str]:
        """Return the lines of its log that record a login."""
        return [line for line in _text(self.log).splitlines() if line.startswith("Accepted ")]


@dataclass
class Rig:
    """Servers, keys and a user, below one scratch directory; the `with` block ends the servers."""

    directory: Path
    hosts: Path | None = None
    """A file that replaces /etc/hosts for ssh."""
    _daemons: ExitStack = field(default_factory=ExitStack)
    _running: dict[str, ExitStack] = field(default_factory=dict)
    """The processes of each server."""

    def __enter__(self) -> "Rig":
        (self.home / ".ssh").mkdir(mode=0o700, parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._daemons:
            self._end_shared_connections()

    def _end_shared_connections(self) -> None:
        for control_socket in (self.home / ".ssh").glob("gen-*"):
            path = f"{TEST_USER.pw_dir}/.ssh/{control_socket.name}"
            self.ssh("/dev/null", "-S", path, "-O", "exit", "any")

    @property
    def home(self) -> Path:
        """The home directory of the user."""
        return self.directory / "home"

    def key(self, name: str) -> Path:
        """Return the private key of a name, made at first use.

        The name starts with the type of the key: `rsa`, `rsa-old`.
        """
        # One directory for all tests of a run, because keys take long to make.
        path = self.directory.parent / "keys" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            key_type = name.partition("-")[0]
            size = ["-b", "2048"] if key_type == "rsa" else []
            _run("ssh-keygen", "-q", "-t", key_type, *size, "-N", "", "-C", name, "-f", str(path))
        return path

    def certify(self, key: str, authority: str, *options: str) -> Path:
        """Return a copy of a key with a certificate beside it, `KEY-cert.pub`.

        The options are those of ssh-keygen.
        """
        # A copy, because ssh uses any certificate that lies beside a key, also in other tests.
        path = self.directory / key
        for ending in ("", ".pub"):
            shutil.copy(f"{self.key(key)}{ending}", f"{path}{ending}")
        ca = str(self.key(authority))
        _run("ssh-keygen", "-q", "-s", ca, "-I", f"{key}-id", *options, f"{path}.pub")
        return path

    def fingerprint(self, key: str) -> str:
        """Return the fingerprint of a key, as OpenSSH computes it."""
        return _run("ssh-keygen", "-l", "-f", f"{self.key(key)}.pub").split()[1]

    def public(self, key: str) -> str:
        """Return a public key as `TYPE BASE64`."""
        return " ".join(Path(f"{self.key(key)}.pub").read_text().split()[:2])

    def serve(
        self,
        name: str,
        host_keys: Iterable[str],
        *lines: str,
        names: Sequence[str] = (),
        files: Mapping[str, Path] | None = None,
    ) -> SshServer:
        """Start an sshd that accepts the key `ed25519-ada`.

        `lines` come first in its configuration, where the first value counts. `names` are host
        names that this server alone can resolve (each of them means the loopback). `files` replace
        files of the system for this server alone, by their paths.
        """
        log, config = (self.directory / f"{name}.{ending}" for ending in ("log", "sshd_config"))
        server = SshServer(name, free_port(), log, config)
        settings = [
            *lines,
            *(f"HostKey {self.key(key)}" for key in host_keys),
            f"AuthorizedKeysFile {self.key('ed25519-ada')}.pub",
            # bash that sshd starts reads the .bashrc of the user who runs the tests, but only at
            # level 0 (bash(1)).
            f"SetEnv SERVER={name} SHLVL=1",
            f"ListenAddress 127.0.0.1:{server.port}",
            *_SERVER_OPTIONS,
        ]
        config.write_text("\n".join([*settings, ""]))
        # The directory that sshd changes into before a login; systemd makes it where sshd is a
        # service.
        Path("/run/sshd").mkdir(exist_ok=True)
        self._running[name] = self._daemons.enter_context(ExitStack())
        prefix = self._resolving(name, names)
        for path, replacement in (files or {}).items():
            prefix += mount_over(path, replacement)
        self._start(server, prefix)
        return server

    def _start(self, server: SshServer, prefix: Sequence[str] = ()) -> None:
        before = _text(server.log).count("Server listening")
        addresses = server.config.read_text().count("ListenAddress ")
        process = daemon(
            [*prefix, _SSHD, "-f", str(server.config), "-E", str(server.log), "-D"],
            is_ready=lambda: _text(server.log).count("Server listening") - before == addresses,
            log=lambda: _text(server.log),
        )
        pid = self._running[server.name].enter_context(process)
        self._running[server.name].callback(_kill_children, pid)

    @contextmanager
    def stopped(self, server: SshServer) -> Iterator[None]:
        """Stop a server and end the sessions in it; start it again at the end of the block."""
        self._running[server.name].close()
        yield
        self._start(server)

    def _resolving(self, server: str, names: Sequence[str]) -> list[str]:
        """Return the words before a command that let it resolve some host names."""
        if not names:
            return []
        hosts = self.directory / f"{server}.hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        return mount_over("/etc/hosts", hosts)

    def relay(self) -> Path:
        """Return a script that connects to a host and port: some centres have one for a jump."""
        path = self.directory / "relay"
        path.write_text(_RELAY)
        path.chmod(0o755)
        return path

    def agent(self, *keys: str) -> str:
        """Start an ssh-agent that holds some keys, and return the path of its socket."""
        path = self.directory / "agent"
        process = daemon(
            ["ssh-agent", "-D", "-a", str(path)],
            is_ready=lambda: _answers(path),
            log=lambda: "ssh-agent does not answer",
        )
        self._daemons.enter_context(process)
        for key in keys:
            _run("ssh-add", "-q", str(self.key(key)), SSH_AUTH_SOCK=str(path))
        return str(path)

    def compile(self, spec: Mapping[str, Any], *options: str, key: Path | None = None) -> Path:
        """Compile a spec with `gen site` for the user with a key; return the path of its config."""
        path = self.directory / f"{spec['site']}.yaml"
        yaml = YAML(typ="safe")
        # A value that stands in two places would become an anchor, which specs do not have.
        yaml.representer.ignore_aliases = lambda *_: True
        with path.open("w") as file:
            yaml.dump(dict(spec), file)
        out = self.directory / "out"
        gen = [sys.executable, "-m", "generator", "site", str(path), "--out", str(out)]
        gen += ["--user", TEST_USER.pw_name]
        gen += ["--identity-file", str(key or self.key("ed25519-ada"))]
        _run(
            *gen,
            *options,
            HOME=str(self.home),
            XDG_CONFIG_HOME=str(self.home / ".config"),
            PYTHONPATH=str(Path(generator.__file__).parents[1]),
        )
        return out / "ssh" / f"{spec['site']}.conf"

    def ssh(self, config: Path | str, *arguments: str, **environment: str) -> Result:
        """Run ssh as the user, without a terminal and without a way to answer a question.

        ssh takes `~` from the passwd database and ignores $HOME. So the scratch directory is
        mounted over the real home directory, for this one command.
        """
        ssh = ["ssh", "-F", str(config), "-o", "BatchMode=yes", *arguments]
        if self.hosts:
            ssh = [*mount_over("/etc/hosts", self.hosts), *ssh]
        return subprocess.run(
            [*mount_over(TEST_USER.pw_dir, self.home), *ssh],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            env={"PATH": _PATH, "HOME": TEST_USER.pw_dir, "LC_ALL": "C"} | environment,
            # Without a session of its own ssh would ask at the terminal of whoever runs the tests.
            start_new_session=True,
            check=False,
        )

    def login(self, config: Path, name: str = "rig", *options: str, **environment: str) -> Result:
        """Log in to a server, and print its name there."""
        return self.ssh(config, *options, name, "echo $SERVER", **environment)

    def files_of_ssh(self) -> list[str]:
        """Return the names of the files in ~/.ssh of the user."""
        return sorted(path.name for path in (self.home / ".ssh").iterdir())


def site(login: SshServer, pins: Mapping[str, Any], **other_keys: Any) -> dict[str, Any]:
    """Return the spec of a site with one login host, `rig`, which is the server at `localhost`."""
    return {
        "site": "rig",
        "title": "Servers of a test",
        "sources": {"test": {"ref": "made by the test"}},
        "hosts": {"rig": {"host": "localhost", "port": login.port}},
        "host_keys": {"login": {"hosts": "rig", "source": "test", **pins}},
        "auth": {"method": "publickey"},
        # A second login over a shared connection would not check the host key.
        "multiplexing": "forbidden",
    } | other_keys


def logged_in(result: Result, server: str = "login") -> bool:
    """Return whether a login succeeded, and ssh printed nothing but the name of the server."""
    return (result.returncode, result.stdout, result.stderr) == (0, f"{server}\n", "")


def host_key_refused(result: Result) -> bool:
    """Return whether ssh refused the key of a host."""
    return result.returncode == 255 and "Host key verification failed" in result.stderr


def mount_over(path: str, replacement: Path) -> list[str]:
    """Return the words before a command that let it alone find the replacement at a path."""
    # In a mount namespace of its own: other processes keep seeing the real file.
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(replacement), path]


@contextmanager
def daemon(
    command: Sequence[str],
    is_ready: Callable[[], bool],
    log: Callable[[], str],
    **environment: str,
) -> Iterator[int]:
    """Run a daemon as a child process to the end of the block; give its id when it is ready."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )

    def is_ready_or_has_ended() -> bool:
        return process.poll() is not None or is_ready()

    try:
        wait_until(is_ready_or_has_ended, log)
        assert process.poll() is None, log()
        yield process.pid
    finally:
        end(process)


def _kill_children(pid: int) -> None:
    """Kill the children of a process and theirs: the sessions of an sshd, and their commands."""
    command = ["pgrep", "--parent", str(pid)]
    children = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for child in children.split():
        _kill_children(int(child))
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process, by force if it does not end when asked."""
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run(*command: str, **environment: str) -> str:
    """Run a command that must succeed, and return its output."""
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={"PATH": _PATH, "LC_ALL": "C"} | environment,
        timeout=_COMMAND_TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def _answers(path: Path) -> bool:
    """Return whether a process accepts connections at a socket, whose file exists before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
