"""A real step-ca, an sshd that trusts it, and a user with a scratch home directory."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sshd
from identity_provider import TOKEN, IdentityProvider, root_certificate, step
from ports import free_port
from ruamel.yaml import YAML
from sshd import TEST_USER, Result, Rig, SshServer, daemon, mount_over
from waiting import wait_until

import generator

# A test that needs one of these is skipped, with its name, where it is missing.
PROGRAMS = (*sshd.PROGRAMS, "step", "step-ca")
PREFIX = "ASC"
"""First part of the variables; dagster-slurm knows no other one."""
CREDENTIALS = Path(".config/dagster-slurm/rig-auth.env")
OUTPUT = Path(".secrets/rig_app_password.txt")
KEY = Path(".ssh/id_rig")
CERTIFICATE = Path(".ssh/id_rig-cert.pub")
STATE = Path(".local/state/gen")

# The content of a certificate. Tokens of MUSICA have no email address (their scope is `profile`),
# only a user name.
_TEMPLATE = """{
    "type": {{ toJson .Type }},
    "keyId": {{ toJson .Token.preferred_username }},
    "principals": [{{ toJson .Token.preferred_username }}],
    "extensions": {{ toJson .Extensions }},
    "criticalOptions": {{ toJson .CriticalOptions }}
}"""


@dataclass(frozen=True)
class Authority:
    """A step-ca that runs."""

    url: str
    fingerprint: str
    """Of its root, as `step ca bootstrap` takes it."""
    user_key: Path
    """Public key that signs user certificates; TrustedUserCAKeys of sshd."""
    log: Path


@contextmanager
def authority(
    folder: Path, provider: IdentityProvider, lifetime: str = "16h"
) -> Iterator[Authority]:
    """Run a step-ca for the users of the provider; `lifetime` is a duration of Go.

    Its files lie in the folder; a second one there is the same authority, started again at the
    same address.
    """
    # Made once: a second authority in the same folder has to be the first one, restarted.
    config = folder / "ca.json"
    if not config.exists():
        config.write_text(json.dumps(_configuration(folder, provider, lifetime)))
    port = json.loads(config.read_text())["address"].rpartition(":")[2]
    log = folder / "step-ca.log"
    # daemon() waits for a line of this log, which must not be that of an earlier start.
    log.write_text("")
    # exec, so that the process to stop is step-ca itself and not a shell.
    command = ["sh", "-c", 'exec step-ca "$1" >"$0" 2>&1', str(log), str(config)]
    ready = daemon(
        command,
        lambda: "Serving HTTPS" in log.read_text(),
        log.read_text,
        SSL_CERT_FILE=str(provider.root),
    )
    fingerprint = step("certificate", "fingerprint", folder / "ca-root.crt")
    with ready:
        yield Authority(f"https://localhost:{port}", fingerprint, folder / "ca-user.pub", log)


def _configuration(folder: Path, provider: IdentityProvider, lifetime: str) -> dict[str, Any]:
    """Create the keys and certificates of an authority, and return the content of its `ca.json`."""
    root = root_certificate(folder, "ca-root")
    intermediate = folder / "ca-intermediate.crt"
    names = (
        "certificate",
        "create",
        "Intermediate",
        intermediate,
        intermediate.with_suffix(".key"),
    )
    signed = ("--profile", "intermediate-ca", "--ca", root, "--ca-key", root.with_suffix(".key"))
    step(*names, *signed, "--no-password", "--insecure", "--not-before=-240h", "--not-after=2400h")
    for name in ("user", "host"):
        path = str(folder / f"ca-{name}")
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", path], check=True, timeout=60
        )
    # step reads the secret of its client from the CA, as that of MUSICA does.
    (client, secret), *_ = provider.clients.items()
    # Without the maximum, step-ca refuses a lifetime above its own limit of a day.
    claims = dict.fromkeys(("defaultUserSSHCertDuration", "maxUserSSHCertDuration"), lifetime)
    provisioner = {
        "type": "OIDC",
        "name": "authentik",
        "clientID": client,
        "clientSecret": secret,
        "configurationEndpoint": f"{provider.issuer}.well-known/openid-configuration",
        "scopes": ["openid", "profile"],
        # A lifetime of seconds lets a test wait for the end of a certificate.
        "claims": {"enableSSHCA": True, "minUserSSHCertDuration": "1s", **claims},
        "options": {"ssh": {"template": _TEMPLATE}},
    }
    return {
        "root": str(root),
        "crt": str(intermediate),
        "key": str(intermediate.with_suffix(".key")),
        "address": f"127.0.0.1:{free_port()}",
        # step checks the name in the URL against these.
        "dnsNames": ["localhost", "127.0.0.1"],
        "ssh": {"hostKey": str(folder / "ca-host"), "userKey": str(folder / "ca-user")},
        "logger": {"format": "text"},
        "authority": {"provisioners": [provisioner]},
    }


@dataclass
class Member:
    """A user of a site with certificates of step.

    All files are below one scratch home directory.
    """

    rig: Rig
    provider: IdentityProvider
    ca: Authority
    server: SshServer
    namespace: tuple[str, ...] = ()
    """Words before each command of the user, such as `nsenter` with a network namespace."""
    output: list[str] = field(default_factory=list)
    """The output of the programs that the user ran."""

    @property
    def home(self) -> Path:
        """The home directory of the user."""
        return self.rig.home

    @property
    def certificate(self) -> Path:
        """Path of the certificate."""
        return self.home / CERTIFICATE

    def settle(self, *, credentials: bool = True, **auth: Any) -> None:
        """Write the spec of the site, the profile of the user, and a credentials file."""
        self._write_yaml("site_specs/rig.yaml", self.spec(**auth))
        # TMPDIR of every program, so that the leftovers of a killed run can be found.
        (self.home / "tmp").mkdir(exist_ok=True)
        profile = {
            "user": TEST_USER.pw_name,
            "email": f"{TEST_USER.pw_name}@example.org",
            "client_id": "gen",
        }
        self._write_yaml(".config/gen/profile.yaml", profile)
        program = self.home / ".local/bin/gen"
        program.parent.mkdir(parents=True, exist_ok=True)
        # The `Match exec` of the config looks for gen here, as after pip install --user.
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m generator "$@"\n')
        program.chmod(0o755)
        if credentials:
            self.credentials()
        self.agree(self.spec(**auth)["auth"])

    def agree(self, auth: Mapping[str, Any]) -> None:
        """Let the site use its secrets, as the user would in a terminal."""
        addresses = []
        if auth.get("oidc"):
            addresses = [auth["oidc"]["token_url"], auth["ca_url"]]
        authentik = auth.get("authentik") or {}
        secrets = {f"{PREFIX}_OIDC_APP_PASSWORD": addresses}
        if authentik:
            both = [*addresses, authentik["api_base"]]
            secrets[f"{PREFIX}_AUTHENTIK_API_TOKEN"] = both
            secrets[str(self.home / CREDENTIALS)] = both
            secrets[str(self.home / OUTPUT)] = addresses
        path = self.home / STATE / "rig.secrets"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The file that a consent in a terminal writes: these tests are about later, unattended
        # runs.
        path.write_text(json.dumps({"format_version": "2.0", "secrets": secrets}))

    def credentials(self) -> None:
        """Write a credentials file with an API token and an app password of the provider."""
        api, app = (self.provider.hold(f"first-{kind}", kind) for kind in ("api", "app_password"))
        values = {
            f"{PREFIX}_AUTHENTIK_API_TOKEN": api.key,
            f"{PREFIX}_AUTHENTIK_API_TOKEN_ID": api.identifier,
            f"{PREFIX}_AUTHENTIK_API_TOKEN_EXPIRES_AT": api.expires.isoformat(),
            f"{PREFIX}_OIDC_APP_PASSWORD": app.key,
            f"{PREFIX}_OIDC_APP_PASSWORD_ID": app.identifier,
            f"{PREFIX}_OIDC_APP_PASSWORD_EXPIRES_AT": app.expires.isoformat(),
        }
        path = self.home / CREDENTIALS
        path.parent.mkdir(parents=True, exist_ok=True)
        # gen refuses credentials that others can read.
        path.touch(0o600)
        path.write_text("".join(f"{name}={json.dumps(value)}\n" for name, value in values.items()))

    def spec(self, **auth: Any) -> dict[str, Any]:
        """Return the spec of the site, whose one login node is the server."""
        step = {
            "method": "step",
            "ca_url": self.ca.url,
            "ca_fingerprint": self.ca.fingerprint,
            "context": "rig",
            "env_prefix": PREFIX,
            "oidc": {"token_url": f"{self.provider.url}{TOKEN}"},
            "authentik": {"api_base": self.provider.url, "credentials_file": f"~/{CREDENTIALS}"},
            "renew_before": "30m",
        }
        # Pinned, so that no login of these tests asks about a host key.
        pins = {"fingerprints": {"ed25519": self.rig.fingerprint("ed25519")}}
        values = {name: value for name, value in (step | auth).items() if value is not None}
        return sshd.site(self.server, pins, auth=values)

    def _write_yaml(self, path: str, value: Mapping[str, Any]) -> None:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as file:
            YAML(typ="safe").dump(dict(value), file)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of the programs of the user."""
        return {
            # Nothing else of the environment of the tests: a variable there would count as an
            # option.
            "PATH": f"{self.home}/.local/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(Path(generator.__file__).parents[1]),
            "TMPDIR": str(self.home / "tmp"),
            "GEN_CA_BUNDLE": str(self.provider.root),
            **variables,
        }

    def command(self, *arguments: str, setup: str = ":") -> list[str]:
        """Return a command as the user runs it: with the scratch home directory in passwd too.

        So ssh, step and gen see one home, and nothing of the machine is hidden from them (Python
        may lie in root's home). `setup` is shell that comes before, as the mounts that a test
        needs: nothing else sees them.
        """
        path = self.rig.directory / "passwd"
        if not path.exists():
            name, _, user, group, gecos, _, shell = TEST_USER
            # ssh takes the home directory from passwd, and not from HOME.
            entry = f"{name}:x:{user}:{group}:{gecos}:{self.home}:{shell}"
            lines = Path("/etc/passwd").read_text().splitlines()
            path.write_text(
                "".join(f"{entry if line.startswith(f'{name}:') else line}\n" for line in lines)
            )
        return [
            *self.namespace,
            *mount_over("/etc/passwd", path),
            "sh",
            "-c",
            f'{setup}; exec "$@"',
            "sh",
            *arguments,
        ]

    def run(
        self, *arguments: str, setup: str = ":", timeout: float = 60, **environment: str
    ) -> Result:
        """Run a command as the user, in the home directory, without a terminal."""
        process = self.start(*arguments, setup=setup, **environment)
        return self.ended(process, timeout)

    def start(self, *arguments: str, setup: str = ":", **environment: str) -> subprocess.Popen[str]:
        """Start a command as `run` does. Its process id is that of the command itself."""
        return subprocess.Popen(
            self.command(*arguments, setup=setup),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(**environment),
            cwd=self.home,
            start_new_session=True,
        )

    def ended(self, process: subprocess.Popen[str], timeout: float = 60) -> Result:
        """Wait for the end of a command, and return its result."""
        with process:
            try:
                out, err = process.communicate(timeout=timeout)
            finally:
                process.kill()  # does nothing to a process that has ended
        self.output.append(f"{out}{err}")
        return Result(process.args, process.returncode, out, err)

    def gen(self, *arguments: str, **settings: Any) -> Result:
        """Run gen as the user."""
        return self.run(sys.executable, "-m", "generator", *arguments, **settings)

    def refresh(self, *options: str, **settings: Any) -> Result:
        """Run `gen refresh` for the site."""
        return self.gen("refresh", "rig", *options, **settings)

    def renewed(self, *options: str, **settings: Any) -> Result:
        """Run `gen refresh`, which must succeed."""
        result = self.refresh(*options, **settings)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}"
        return result

    def renewing(self) -> list[int]:
        """Return the processes of gen that ssh started for this user, and that still work."""
        home = f"HOME={self.home}".encode()
        processes = []
        for directory in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (directory / "cmdline").read_bytes().split(b"\0")
                variables = (directory / "environ").read_bytes().split(b"\0")
                if b"--on-connect" in words and home in variables:
                    processes.append(int(directory.name))
        return processes

    def end_renewals(self) -> None:
        """End what still works in the background, so that the next test has the provider alone."""
        for process in self.renewing():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        wait_until(lambda: not self.renewing())

    def at_once(self, number: int, *options: str) -> list[Result]:
        """Run a number of `gen refresh` at the same time."""
        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(lambda _: self.refresh(*options, timeout=120), range(number)))

    def refused(self, *options: str, **settings: Any) -> str:
        """Run `gen refresh`, which must fail with one line; return that line."""
        result = self.refresh(*options, **settings)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result
        return result.stderr

    def login(self, *options: str, **settings: Any) -> Result:
        """Log in with the certificate, by the config that `gen site` compiles."""
        config = self.home / "out/ssh/rig.conf"
        if not config.exists():
            result = self.gen("site", "rig", "--out", "out")
            assert result.returncode == 0, result.stderr
        return self.run(
            "ssh",
            "-F",
            str(config),
            "-o",
            "BatchMode=yes",
            *options,
            "rig",
            "echo $SERVER",
            **settings,
        )

    def terminal(self, *arguments: str, timeout: float = 240, **environment: str) -> Iterator[str]:
        """Run a command in a terminal; yield its output again as it grows, and then its status."""
        # A browser login wants a terminal, and this is one.
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=self.environment(
                TERM="xterm", SSL_CERT_FILE=str(self.provider.root), **environment
            ),
            cwd=self.home,
            start_new_session=True,
        )
        os.close(follower)
        text, deadline = "", time.monotonic() + timeout
        try:
            while chunk := _read(leader, deadline):
                text += chunk
                yield text
            self.output.append(text)
            yield f"exit status {process.wait(timeout=60)}"
        finally:
            os.close(leader)
            if process.poll() is None:
                process.kill()
                process.wait(timeout=60)

    def spilled(self) -> list[str]:
        """Return every output and file with a secret in it, except the files for secrets."""
        texts = {f"output {number}": text for number, text in enumerate(self.output)}
        files = (path for path in self.home.rglob("*") if path.is_file() and not path.is_symlink())
        texts |= {
            str(path): path.read_text(errors="replace")
            for path in files
            if path not in self.vaults()
        }
        return [
            location
            for location, text in texts.items()
            # Also those that are no longer valid: they must not have been written in the first
            # place.
            if any(secret in text for secret in self.provider.issued)
        ]

    def temporary(self) -> list[Path]:
        """Return the files that a killed run left, which the next run must delete."""
        return [
            # The names of writer._scratch, of the working directories of step, and of mkdtemp.
            *self.home.rglob(".gen-*.tmp"),
            *(self.home / STATE).glob("*.work"),
            *(self.home / "tmp").iterdir(),
        ]

    def named(self) -> list[str]:
        """Return the identifiers that the credentials file names."""
        return sorted(re.findall(r'_ID="(.+)"', (self.home / CREDENTIALS).read_text()))

    def works(self) -> bool:
        """Return whether the provider accepts both secrets of the credentials file."""
        stored = dict(
            line.split("=", 1)
            for line in (self.home / CREDENTIALS).read_text().splitlines()
            if "=" in line
        )
        kinds = {
            "app_password": f"{PREFIX}_OIDC_APP_PASSWORD",
            "api": f"{PREFIX}_AUTHENTIK_API_TOKEN",
        }
        valid = set()
        for token in self.provider.held.values():
            valid.add((token.intent, f'"{token.key}"'))
        return {(kind, stored[name]) for kind, name in kinds.items()} <= valid

    def vaults(self) -> set[Path]:
        """Return the files for secrets."""
        return {self.home / CREDENTIALS, self.home / OUTPUT}


def _read(descriptor: int, deadline: float) -> str:
    """Return the next output of a terminal, or an empty string at its end."""
    ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
    assert ready, "the command prints nothing more, and does not end"
    try:
        return os.read(descriptor, 65536).decode(errors="replace")
    except OSError:  # how Linux reports that the other side is closed
        return ""


def clock(moment: str, **variables: str) -> dict[str, str]:
    """Return variables that give Python another time, as an offset of faketime(1).

    step, which links no library, keeps the real one.
    """
    # Debian has it below the name of the architecture.
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": moment, **variables}


@contextmanager
def membership(folder: Path, provider: IdentityProvider, ca: Authority) -> Iterator[Member]:
    """Run an sshd that accepts only certificates of the authority, and return a user of it."""
    with Rig(folder) as rig:
        # Keys are no way in, so a login shows that the certificate is good. MaxStartups: many
        # logins at once.
        lines = (f"TrustedUserCAKeys {ca.user_key}", "AuthorizedKeysFile none", "MaxStartups 100")
        member = Member(rig, provider, ca, rig.serve("login", ["ed25519"], *lines))
        yield member
        member.end_renewals()
