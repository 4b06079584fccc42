"""A real step-ca with an SSH authority, an sshd that trusts it, and a person with a scratch home who uses both."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sshd
from identity_provider import TOKEN, IdentityProvider, root_certificate, step
from ports import free_port
from ruamel.yaml import YAML
from sshd import TEST_USER, Result, Rig, SshServer, daemon, mount_over

import generator

PROGRAMS = (*sshd.PROGRAMS, "step", "step-ca")
PREFIX = "ASC"
"""First part of the variables; dagster-slurm knows no other one."""
CREDENTIALS = Path(".config/dagster-slurm/rig-auth.env")
OUTPUT = Path(".secrets/rig_app_password.txt")
KEY = Path(".ssh/id_rig")
CERTIFICATE = Path(".ssh/id_rig-cert.pub")
STATE = Path(".local/state/gen")

# What the CA puts into a certificate: MUSICA's tokens tell no address (their scope is `profile`), only a login name.
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
    """Public key that signs people's certificates; sshd's TrustedUserCAKeys."""
    log: Path


@contextmanager
def authority(
    folder: Path, provider: IdentityProvider, lifetime: str = "16h"
) -> Iterator[Authority]:
    """Run a step-ca whose certificates last for a time (as Go writes it), for those whom the provider knows.

    Its files lie in the folder; a second one there is the same authority, started again at the same address.
    """
    config = folder / "ca.json"
    if not config.exists():
        config.write_text(json.dumps(_configuration(folder, provider, lifetime)))
    port = json.loads(config.read_text())["address"].rpartition(":")[2]
    log = folder / "step-ca.log"
    log.write_text("")
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
    """Make keys and certificates of an authority, and return what goes into its `ca.json`."""
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
    (client, secret), *_ = provider.clients.items()
    claims = dict.fromkeys(("defaultUserSSHCertDuration", "maxUserSSHCertDuration"), lifetime)
    provisioner = {
        "type": "OIDC",
        "name": "authentik",
        "clientID": client,
        "clientSecret": secret,
        "configurationEndpoint": f"{provider.issuer}.well-known/openid-configuration",
        "scopes": ["openid", "profile"],
        "claims": {"enableSSHCA": True, "minUserSSHCertDuration": "1s", **claims},
        "options": {"ssh": {"template": _TEMPLATE}},
    }
    return {
        "root": str(root),
        "crt": str(intermediate),
        "key": str(intermediate.with_suffix(".key")),
        "address": f"127.0.0.1:{free_port()}",
        "dnsNames": ["localhost", "127.0.0.1"],
        "ssh": {"hostKey": str(folder / "ca-host"), "userKey": str(folder / "ca-user")},
        "logger": {"format": "text"},
        "authority": {"provisioners": [provisioner]},
    }


@dataclass
class Member:
    """A person of a site that logs people in with step's certificates; all that is theirs is below one scratch home."""

    rig: Rig
    provider: IdentityProvider
    ca: Authority
    server: SshServer
    said: list[str] = field(default_factory=list)
    """What the person's programs have printed."""

    @property
    def home(self) -> Path:
        """The person's home folder."""
        return self.rig.home

    @property
    def certificate(self) -> Path:
        """Where the certificate is to be."""
        return self.home / CERTIFICATE

    def settle(self, *, credentials: bool = True, **auth: Any) -> None:
        """Write the spec of the site, the person's profile, and credentials as dagster-slurm keeps them."""
        self._write_yaml("site_specs/rig.yaml", self.spec(**auth))
        (self.home / "tmp").mkdir(exist_ok=True)
        own = {
            "user": TEST_USER.pw_name,
            "email": f"{TEST_USER.pw_name}@example.org",
            "client_id": "gen",
        }
        self._write_yaml(".config/gen/profile.yaml", own)
        program = self.home / ".local/bin/gen"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m generator "$@"\n')
        program.chmod(0o755)
        if credentials:
            self.credentials()

    def credentials(self) -> None:
        """Let the provider issue an API token and an app password, and write them down."""
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
        pins = {"fingerprints": {"ed25519": self.rig.fingerprint("ed25519")}}
        wanted = {name: value for name, value in (step | auth).items() if value is not None}
        return sshd.site(self.server, pins, auth=wanted)

    def _write_yaml(self, path: str, value: Mapping[str, Any]) -> None:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as file:
            YAML(typ="safe").dump(dict(value), file)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables that the person's programs start with."""
        return {
            "PATH": f"{self.home}/.local/bin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(Path(generator.__file__).parents[1]),
            "TMPDIR": str(self.home / "tmp"),
            "GEN_CA_BUNDLE": str(self.provider.root),
            **more,
        }

    def command(self, *words: str, setup: str = ":") -> list[str]:
        """Return a command as the person runs it: where the passwd database, too, has the scratch home.

        So ssh, step and gen see one home, and nothing of the machine is hidden from them (Python may lie in root's
        home). `setup` is shell that comes before, as the mounts that a test needs: nothing else sees them.
        """
        path = self.rig.directory / "passwd"
        if not path.exists():
            name, _, user, group, gecos, _, shell = TEST_USER
            own = f"{name}:x:{user}:{group}:{gecos}:{self.home}:{shell}"
            lines = Path("/etc/passwd").read_text().splitlines()
            path.write_text(
                "".join(f"{own if line.startswith(f'{name}:') else line}\n" for line in lines)
            )
        return [*mount_over("/etc/passwd", path), "sh", "-c", f'{setup}; exec "$@"', "sh", *words]

    def run(self, *words: str, setup: str = ":", timeout: float = 60, **environment: str) -> Result:
        """Run a command as the person, in the home folder, with no terminal."""
        result = subprocess.run(
            self.command(*words, setup=setup),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=self.environment(**environment),
            cwd=self.home,
            start_new_session=True,
            check=False,
        )
        self.said.append(f"{result.stdout}{result.stderr}")
        return result

    def gen(self, *arguments: str, **more: Any) -> Result:
        """Run gen as the person."""
        return self.run(sys.executable, "-m", "generator", *arguments, **more)

    def refresh(self, *options: str, **more: Any) -> Result:
        """Run `gen refresh` for the site."""
        return self.gen("refresh", "rig", *options, **more)

    def renewed(self, *options: str, **more: Any) -> Result:
        """Run `gen refresh`, which must succeed."""
        result = self.refresh(*options, **more)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}"
        return result

    def at_once(self, number: int, *options: str) -> list[Result]:
        """Run a number of `gen refresh` at the same time."""
        with ThreadPoolExecutor(number) as threads:
            return list(threads.map(lambda _: self.refresh(*options, timeout=120), range(number)))

    def refused(self, *options: str, **more: Any) -> str:
        """Run `gen refresh`, which must end with a line that says what to mend; return that line."""
        result = self.refresh(*options, **more)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1), result
        return result.stderr

    def login(self, *options: str, **more: Any) -> Result:
        """Log in with the certificate, by the config that `gen site` compiles."""
        config = self.home / "out/ssh/rig.conf"
        if not config.exists():
            made = self.gen("site", "rig", "--out", "out")
            assert made.returncode == 0, made.stderr
        return self.run(
            "ssh", "-F", str(config), "-o", "BatchMode=yes", *options, "rig", "echo $SERVER", **more
        )

    def terminal(self, *words: str, timeout: float = 240) -> Iterator[str]:
        """Run a command in a terminal, yield all that it has written whenever there is more, and at last its status."""
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            self.command(*words),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env=self.environment(TERM="xterm", SSL_CERT_FILE=str(self.provider.root)),
            cwd=self.home,
            start_new_session=True,
        )
        os.close(follower)
        text, deadline = "", time.monotonic() + timeout
        try:
            while chunk := _read(leader, deadline):
                text += chunk
                yield text
            self.said.append(text)
            yield f"exit status {process.wait(timeout=60)}"
        finally:
            os.close(leader)
            if process.poll() is None:
                process.kill()
                process.wait(timeout=60)

    def spilled(self) -> list[str]:
        """Return where secrets are that do not belong there: what was printed, and every file of the person's."""
        texts = {f"what was printed ({number})": text for number, text in enumerate(self.said)}
        files = (path for path in self.home.rglob("*") if path.is_file() and not path.is_symlink())
        texts |= {
            str(path): path.read_text(errors="replace")
            for path in files
            if path not in self.vaults()
        }
        return [
            place
            for place, text in texts.items()
            if any(secret in text for secret in self.provider.issued)
        ]

    def temporary(self) -> list[Path]:
        """Return what a run leaves when it is killed, and another one is to take away."""
        return [
            *self.home.rglob(".gen-*.tmp"),
            *(self.home / STATE).glob("*.work"),
            *(self.home / "tmp").iterdir(),
        ]

    def named(self) -> list[str]:
        """Return the identifiers that the credentials file names."""
        return sorted(re.findall(r'_ID="(.+)"', (self.home / CREDENTIALS).read_text()))

    def works(self) -> bool:
        """Tell whether both secrets of the credentials file open what they are for."""
        kept = dict(
            line.split("=", 1)
            for line in (self.home / CREDENTIALS).read_text().splitlines()
            if "=" in line
        )
        kinds = {
            "app_password": f"{PREFIX}_OIDC_APP_PASSWORD",
            "api": f"{PREFIX}_AUTHENTIK_API_TOKEN",
        }
        held = {(one.intent, f'"{one.key}"') for one in self.provider.held.values()}
        return {(kind, kept[name]) for kind, name in kinds.items()} <= held

    def vaults(self) -> set[Path]:
        """Return the files that are there to hold secrets."""
        return {self.home / CREDENTIALS, self.home / OUTPUT}


def _read(descriptor: int, deadline: float) -> str:
    """Return what comes next from a terminal; nothing at its end."""
    ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
    assert ready, "the command says no more, and does not end"
    try:
        return os.read(descriptor, 65536).decode(errors="replace")
    except OSError:  # Linux's way to tell that the other side is closed
        return ""


def clock(moment: str, **more: str) -> dict[str, str]:
    """Return variables that let Python believe in another time, an offset as faketime(1) takes it.

    step, which links no library, keeps the real one.
    """
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": moment, **more}


@contextmanager
def membership(folder: Path, provider: IdentityProvider, ca: Authority) -> Iterator[Member]:
    """Run an sshd that takes the authority's certificates and no plain key, and return a person who uses it."""
    with Rig(folder) as rig:
        lines = (f"TrustedUserCAKeys {ca.user_key}", "AuthorizedKeysFile none", "MaxStartups 100")
        yield Member(rig, provider, ca, rig.serve("login", ["ed25519"], *lines))
