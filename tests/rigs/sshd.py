"""Real sshd servers on the loopback, the keys for them, and ssh as a person whose home folder is a scratch folder."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import generator

PROGRAMS = ("ssh", "sshd", "ssh-keygen", "ssh-agent", "ssh-add", "unshare")
PERSON = pwd.getpwuid(os.geteuid())

# Without a gen: ssh would renew certificates by it.
_PLACES = [*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]
_PATH = ":".join(place for place in _PLACES if not Path(place, "gen").exists())
_SSHD = shutil.which("sshd", path=_PATH) or "sshd"  # it wants to be called by its whole path
_USUAL = (
    *("PermitRootLogin yes", "PasswordAuthentication no", "KbdInteractiveAuthentication no"),
    *("UsePAM no", "StrictModes no", "PidFile none"),
)

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Server:
    """An sshd that runs; a session in it finds the server's name in $SERVER."""

    name: str
    port: int
    log: Path

    def logins(self) -> list[str]:
        """Return the lines of its log that tell of a login."""
        return [line for line in _text(self.log).splitlines() if line.startswith("Accepted ")]


@dataclass
class Rig:
    """Servers, keys and a person, below one scratch folder; all that was started ends with the `with` block."""

    folder: Path
    _running: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Rig":
        (self.home / ".ssh").mkdir(mode=0o700, parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._running:
            for path in (self.home / ".ssh").glob("gen-*"):
                self.ssh(
                    "/dev/null", "-S", f"{PERSON.pw_dir}/.ssh/{path.name}", "-O", "exit", "any"
                )

    @property
    def home(self) -> Path:
        """The person's home folder."""
        return self.folder / "home"

    def key(self, name: str) -> Path:
        """Return the private key of a name, made at first use. The name starts with its type: `rsa`, `rsa-old`."""
        path = (
            self.folder.parent / "keys" / name
        )  # one folder for all tests of a session: keys take their time
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            kind = name.partition("-")[0]
            size = ["-b", "2048"] if kind == "rsa" else []
            _run("ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", name, "-f", str(path))
        return path

    def certified(self, key: str, authority: str, *options: str) -> Path:
        """Return a copy of a key with its certificate beside it, `KEY-cert.pub`; options are ssh-keygen's."""
        path = self.folder / key
        for ending in ("", ".pub"):
            shutil.copy(f"{self.key(key)}{ending}", f"{path}{ending}")
        _run(
            "ssh-keygen",
            "-q",
            "-s",
            str(self.key(authority)),
            "-I",
            f"{key}-id",
            *options,
            f"{path}.pub",
        )
        return path

    def fingerprint(self, key: str) -> str:
        """Return the fingerprint of a key, as OpenSSH computes it."""
        return _run("ssh-keygen", "-l", "-f", f"{self.key(key)}.pub").split()[1]

    def public(self, key: str) -> str:
        """Return a public key as `TYPE BASE64`."""
        return " ".join(Path(f"{self.key(key)}.pub").read_text().split()[:2])

    def serve(
        self, name: str, host_keys: Iterable[str], *lines: str, names: Sequence[str] = ()
    ) -> Server:
        """Start an sshd that lets in the key `ed25519-ada`.

        `lines` come first in its config, where the first value wins. `names` are host names that this server alone can
        resolve (they all mean the loopback).
        """
        server = Server(name, free_port(), self.folder / f"{name}.log")
        config = self.folder / f"{name}.sshd_config"
        keys = [f"HostKey {self.key(key)}" for key in host_keys]
        # At a level of 1 bash is none that sshd started, and leaves alone the .bashrc of who runs the tests (bash(1)).
        person = [
            f"AuthorizedKeysFile {self.key('ed25519-ada')}.pub",
            f"SetEnv SERVER={name} SHLVL=1",
        ]
        address = f"ListenAddress 127.0.0.1:{server.port}"
        config.write_text("\n".join([*lines, *keys, *person, address, *_USUAL, ""]))
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [
            *self._resolving(name, names),
            _SSHD,
            "-f",
            str(config),
            "-E",
            str(server.log),
            "-D",
        ]
        ready = child(
            command, lambda: "Server listening" in _text(server.log), lambda: _text(server.log)
        )
        self._running.enter_context(ready)
        return server

    def _resolving(self, server: str, names: Sequence[str]) -> list[str]:
        hosts = self.folder / f"{server}.hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        return mounted(hosts, "/etc/hosts") if names else []

    def agent(self, *keys: str) -> str:
        """Start an ssh-agent that holds some keys, and return its socket."""
        path = self.folder / "agent"
        command = ["ssh-agent", "-D", "-a", str(path)]
        self._running.enter_context(child(command, lambda: _listens(path), lambda: "no socket"))
        for key in keys:
            _run("ssh-add", "-q", str(self.key(key)), SSH_AUTH_SOCK=str(path))
        return str(path)

    def compile(self, spec: Mapping[str, Any], *options: str, key: Path | None = None) -> Path:
        """Write a spec, let `gen site` compile it for the person with a key, and return the ssh config it makes."""
        path = self.folder / f"{spec['site']}.yaml"
        with path.open("w") as file:
            YAML(typ="safe").dump(dict(spec), file)
        out = self.folder / "out"
        person = ("--user", PERSON.pw_name, "--identity-file", str(key or self.key("ed25519-ada")))
        gen = (
            sys.executable,
            "-m",
            "generator",
            "site",
            str(path),
            "--out",
            str(out),
            *person,
            *options,
        )
        package = str(Path(generator.__file__).parents[1])
        _run(
            *gen,
            HOME=str(self.home),
            XDG_CONFIG_HOME=str(self.home / ".config"),
            PYTHONPATH=package,
        )
        return out / "ssh" / f"{spec['site']}.conf"

    def ssh(self, config: Path | str, *arguments: str, **environment: str) -> Result:
        """Run ssh as the person, with no terminal and nobody to answer a question.

        ssh takes `~` from the passwd database, whatever $HOME says; so the scratch folder is mounted over the real
        home, for this one command.
        """
        command = [
            *mounted(self.home, PERSON.pw_dir),
            "ssh",
            "-F",
            str(config),
            "-o",
            "BatchMode=yes",
            *arguments,
        ]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": _PATH, "HOME": PERSON.pw_dir, "LC_ALL": "C"} | environment,
            start_new_session=True,
            check=False,
        )

    def login(self, config: Path, name: str = "rig", *options: str, **environment: str) -> Result:
        """Log in to a server, which prints its name."""
        return self.ssh(config, *options, name, "echo $SERVER", **environment)

    def left_behind(self) -> list[str]:
        """Return what ssh has left in the person's ~/.ssh."""
        return sorted(path.name for path in (self.home / ".ssh").iterdir())


def site(login: Server, pins: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the spec of a site with one login host, `rig`, which is the server at `localhost`."""
    return {
        "site": "rig",
        "title": "Servers of a test",
        "sources": {"test": {"ref": "made by the test"}},
        "hosts": {"rig": {"host": "localhost", "port": login.port}},
        "host_keys": {"login": {"hosts": "rig", "source": "test", **pins}},
        "auth": {"method": "publickey"},
        "multiplexing": "forbidden",  # or a second login would not see the host key at all
    } | more


def entered(result: Result, server: str = "login") -> bool:
    """Tell whether a login succeeded, without a word beside what was asked for."""
    return (result.returncode, result.stdout, result.stderr) == (0, f"{server}\n", "")


def host_key_refused(result: Result) -> bool:
    """Tell whether ssh found the key of a host wrong."""
    return result.returncode == 255 and "Host key verification failed" in result.stderr


def mounted(scratch: Path, place: str) -> list[str]:
    """Return the words before a command that finds something else in a place; no other process does."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(scratch), place]


def _run(*command: str, **environment: str) -> str:
    """Run a command that must succeed, and return what it prints."""
    env = {"PATH": _PATH, "LC_ALL": "C"} | environment
    result = subprocess.run(
        command, capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def free_port() -> int:
    """Return a port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(path: Path) -> bool:
    """Tell whether somebody answers at a socket; its file is there before."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextmanager
def child(
    command: Sequence[str], ready: Callable[[], bool], words: Callable[[], str], **environment: str
) -> Iterator[None]:
    """Run a daemon as a child from when it is ready to the end of the block."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    try:
        deadline = time.monotonic() + 10
        while not ready():
            assert process.poll() is None, words()
            assert time.monotonic() < deadline, words()
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)
