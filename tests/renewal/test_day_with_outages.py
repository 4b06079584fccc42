"""A day of a laptop, simulated: the network fails at random, and the laptop sleeps.

The clock, the provider and the CA are simulated; the runs of gen, their state, the timer's waiting
and the file that ssh reads are real. A connection may be refused only while no run could get a
certificate.
"""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running import Gen, running

from generator.cli import refresh
from generator.compiler.renewal_schedule import Schedule, schedule
from generator.loading import validate
from generator.renewal import oidc
from generator.renewal.failures import UnreachableError
from generator.renewal.secret import Secret
from generator.renewal.step import Authority
from generator.schema.auth import StepAuth
from generator.ssh.certificate import parse_certificate
from generator.ssh.keys import fingerprint

DAY = 86_400
START = 1_800_000_000
LIFETIME = 3600
SPEC = f"""\
site: rig
title: Rig
hosts: {{ rig: {{ host: rig.example.org }} }}
auth:
  method: step
  ca_url: https://ca.example.org:9000
  ca_fingerprint: {"0" * 64}
  context: rig
  env_prefix: RIG
  lifetime: 1h
  renew_before: 15m
  oidc: {{ token_url: "https://auth.example.org/token/" }}
"""
PROFILE = "user: ada\nemail: ada@example.org\nclient_id: gen\n"
QUIET = 5
"""Seconds after a failure of its own in which ssh does not try again."""


@dataclass
class Laptop:
    """The laptop, its clock, and what happens to it."""

    home: Path
    gen: Gen
    plan: Schedule
    chance: random.Random
    second: float = START
    connections: list[int] = field(default_factory=list)
    """The seconds at which ssh connects, the next one first."""
    outages: list[tuple[int, int]] = field(default_factory=list)
    naps: list[tuple[int, int]] = field(default_factory=list)
    refused: int = 0
    avoidable: list[int] = field(default_factory=list)
    accepted: int = 0

    @property
    def requests(self) -> list[str]:
        """The results of the requests to the provider, which any process may have made."""
        path = self.home / "requests"
        return path.read_text().split() if path.exists() else []

    def is_down(self, second: float) -> bool:
        """Return whether the network is down."""
        return any(start <= second < end for start, end in self.outages)

    def advance(self, seconds: float) -> None:
        """Let time pass, in which ssh connects and the laptop sleeps."""
        end = self.second + seconds
        while self.connections and self.connections[0] <= end:
            second = self.connections.pop(0)
            # A connection does not begin while the laptop sleeps.
            if not any(start <= second < until for start, until in self.naps):
                self.second = max(self.second, second)
                self.connect()
        self.second = max(self.second, end)
        for start, until in self.naps:
            if start <= self.second < until:
                self.second = until

    def connect(self) -> None:
        """Connect as ssh does, with the check of its configuration before."""
        if self.asks():
            assert self.run("--on-connect") == 0
        if self.is_valid():
            self.accepted += 1
            return
        self.refused += 1
        second = self.second
        if not self.is_down(second) and not self.is_down(second - QUIET):
            self.avoidable.append(int(second - START))

    def run(self, option: str) -> int:
        """Run gen, which removes its secret from the environment of the process."""
        os.environ["RIG_OIDC_APP_PASSWORD"] = "so-it-is-unattended"  # noqa: S105
        return self.gen("refresh", "rig", option).status

    def asks(self) -> bool:
        """Return whether the command in the ssh configuration starts gen."""
        due_file = self.home / ".local/state/gen/rig.due"
        certificate = self.home / ".ssh/id_rig-cert.pub"
        if not due_file.exists() or not certificate.exists():
            return True
        if certificate.stat().st_mtime > due_file.stat().st_mtime:
            return True
        due, since = map(int, due_file.read_text().split())
        return not since <= self.second < due

    def is_valid(self) -> bool:
        path = self.home / ".ssh/id_rig-cert.pub"
        return path.exists() and parse_certificate(path.read_bytes()).is_valid(int(self.second))

    def live(self) -> None:
        """Let the timer look until the end of the day; a run that waits skips its next looks."""
        while self.second < START + DAY:
            tick = (self.second // self.plan.period + 1) * self.plan.period
            look = tick + self.chance.uniform(0, self.plan.delay)
            self.advance(look - self.second)
            self.run("--retry")


@pytest.fixture
def laptop(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Laptop:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path, text in (
        (tmp_path / "site_specs/rig.yaml", SPEC),
        (tmp_path / ".config/gen/profile.yaml", PROFILE),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    keygen(tmp_path / "ca")
    auth = validate.site(tmp_path / "site_specs/rig.yaml").auth
    assert isinstance(auth, StepAuth)
    chance = random.Random(request.param)  # noqa: S311 - a test that can be repeated
    laptop = Laptop(tmp_path, running(monkeypatch, capfd.readouterr), schedule(auth), chance)
    monkeypatch.setattr(time, "time", lambda: laptop.second)
    monkeypatch.setattr(refresh, "sleep", laptop.advance)
    simulate_servers(laptop, monkeypatch)
    return laptop


def keygen(path: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=60
    )


def simulate_servers(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the provider and the CA, which need the network."""
    ca = laptop.home / "ca"

    def token(*_: object) -> Secret:
        down = laptop.is_down(laptop.second)
        # In a file, since a run before a connection is another process.
        with (laptop.home / "requests").open("a") as file:
            file.write("down\n" if down else "up\n")
        if down:
            raise UnreachableError("https://auth.example.org/token/: no network")
        return Secret("token", "the provider")

    def sign(_: Authority, public_key: Path, __: Secret) -> Path:
        start = datetime.fromtimestamp(laptop.second - 60, UTC)
        end = datetime.fromtimestamp(laptop.second + LIFETIME, UTC)
        validity = f"{start:%Y%m%d%H%M%S}Z:{end:%Y%m%d%H%M%S}Z"
        options = ("-s", str(ca), "-I", "ada", "-n", "ada", "-V", validity)
        subprocess.run(["ssh-keygen", "-q", *options, str(public_key)], check=True, timeout=60)
        return public_key.with_name(f"{public_key.stem}-cert.pub")

    keys = {fingerprint(Path(f"{ca}.pub").read_text())}
    monkeypatch.setattr(oidc, "token", token)
    monkeypatch.setattr(Authority, "bootstrap", lambda _: None)
    monkeypatch.setattr(Authority, "sign", sign)
    monkeypatch.setattr(Authority, "signing_keys", lambda _: keys)
    monkeypatch.delenv("RIG_OIDC_APP_PASSWORD", raising=False)


def spans(chance: random.Random, number: int, longest: int) -> list[tuple[int, int]]:
    """Return some spans of the day, of all lengths between seconds and the longest."""
    result = []
    for _ in range(number):
        start = START + chance.randrange(DAY)
        length = int(longest ** chance.random()) + chance.randrange(60)
        result.append((start, start + length))
    return result


@pytest.mark.parametrize(
    "laptop",
    [
        pytest.param(1, id="a day"),
        pytest.param(2, id="another day", marks=pytest.mark.long),
        pytest.param(3, id="a third day", marks=pytest.mark.long),
    ],
    indirect=True,
)
def test_a_connection_is_refused_only_while_the_network_is_down(laptop: Laptop) -> None:
    chance = laptop.chance
    laptop.outages = spans(chance, 24, 2 * 3600)
    laptop.naps = spans(chance, 3, 3 * 3600)
    # Several connections start together, as those of an editor do.
    for _ in range(100):
        second = START + chance.randrange(DAY)
        laptop.connections += [second, second, second + chance.randrange(120)]
    # A user in a hurry tries once more in an outage, and as soon as the network is back.
    for _, end in laptop.outages:
        laptop.connections += [end - 20, end + 1]
    laptop.connections.sort()
    laptop.live()
    down, up = laptop.requests.count("down"), laptop.requests.count("up")
    outage = sum(laptop.is_down(second) for second in range(START, START + DAY))
    sys.stdout.write(
        f"{laptop.accepted} connections accepted, {laptop.refused} refused, "
        f"{outage // 60} min without a network, {up} certificates, {down} requests in vain\n"
    )
    assert laptop.avoidable == []
    assert laptop.accepted > 200
    # A certificate is renewed when it is due, by whoever looks first.
    assert up <= DAY / (LIFETIME - 15 * 60) + 1
    # A run of the timer tries at most every 90 seconds, and a connection only without a valid
    # certificate, or once a minute.
    assert down < outage / 60 + laptop.refused
