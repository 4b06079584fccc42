"""The whole story under a real `systemd --user`.

The units keep certificates of a minute alive, unattended.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import cut_network
import pytest
from cut_network import CutNetwork
from identity_provider import IdentityProvider
from sshd import logged_in
from step_ca import Member, authority, membership
from usermanager import PROGRAMS, UNITS, UserManager, user_manager
from waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.long]

SERVICE = "gen-cert-rig.service"
# systemd sends the output of a unit to the journal. The manager's namespace has no journal, so a
# file takes its place.
DROP_IN = """[Service]
Environment=GEN_CA_BUNDLE={bundle} PYTHONPATH={package}
StandardOutput=append:%h/journal
StandardError=inherit
"""


@pytest.fixture
def manager(need: Callable[..., None]) -> Iterator[UserManager]:
    need(*PROGRAMS, root=True)
    with user_manager() as manager:
        yield manager


@pytest.fixture
def member(provider: IdentityProvider, manager: UserManager, tmp_path: Path) -> Iterator[Member]:
    """A user whose certificates last a minute, and are renewed by the timer only."""
    directory, ca_directory = tmp_path / "user", tmp_path / "ca"
    directory.mkdir()
    ca_directory.mkdir()
    (directory / "home").symlink_to(manager.home)
    with (
        authority(ca_directory, provider, "60s") as ca,
        membership(directory, provider, ca) as member,
    ):
        member.settle(lifetime="60s", renew_before="55s", renew_on_connect=False)
        (member.home / ".local/bin/step").symlink_to(shutil.which("step") or "step")
        yield member
        assert member.spilled() == []


def install(member: Member, manager: UserManager) -> None:
    """Put the generated units where systemd reads them, as the guide says."""
    assert member.gen("site", "rig", "--out", "out").returncode == 0, member.output[-1]
    for unit in (member.home / "out/systemd").iterdir():
        manager.write(UNITS / unit.name, unit.read_bytes())
    environment = member.environment()
    text = DROP_IN.format(bundle=environment["GEN_CA_BUNDLE"], package=environment["PYTHONPATH"])
    manager.write(UNITS / f"{SERVICE}.d/test.conf", text)
    manager.systemctl("daemon-reload")


def output(member: Member) -> list[str]:
    """Return the output of the service."""
    return (member.home / "journal").read_text().splitlines()


class Watch(threading.Thread):
    """Reads the arguments and variables of every process again and again, as `ps` does."""

    def __init__(self) -> None:
        """Begin at once."""
        super().__init__(daemon=True)
        self.seen: set[tuple[str, str, bytes]] = set()
        self.enough = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.enough.wait(0.05):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    name = (process / "comm").read_text().strip()
                    for kind in ("cmdline", "environ"):
                        self.seen.add((kind, name, (process / kind).read_bytes()))

    def sightings(self, secrets: set[str]) -> set[tuple[str, str]]:
        """Return where secrets were seen: in the arguments or variables of a program."""
        self.enough.set()
        self.join(timeout=10)
        contents = [secret.encode() for secret in secrets]
        places = set()
        for kind, name, text in self.seen:
            for secret in contents:
                if secret in text:
                    places.add((kind, name))
        return places


def test_certificates_of_a_minute_are_renewed_unattended_while_ssh_logs_in(
    member: Member, manager: UserManager
) -> None:
    install(member, manager)
    watch = Watch()
    manager.systemctl("start", SERVICE)
    begun, logins = time.monotonic(), 0
    manager.systemctl("enable", "--now", "gen-cert-rig.timer")
    certificates = {member.certificate.read_bytes()}
    # Longer than a certificate lasts: otherwise the first one could have served all logins.
    while len(certificates) < 4 or time.monotonic() - begun < 62:
        assert time.monotonic() - begun < 150, (len(certificates), output(member))
        result = member.login()
        assert (result.returncode, result.stdout) == (0, "login\n"), (
            logins,
            result,
            output(member),
        )
        logins += 1
        certificates.add(member.certificate.read_bytes())
        time.sleep(0.5)
    manager.systemctl("stop", "gen-cert-rig.timer")
    sys.stdout.write(f"{len(certificates) - 1} renewals, {logins} logins\n")
    assert len(output(member)) >= 4
    for line in output(member):
        assert line.startswith("rig: ")
    # The token is in step's environment alone, and nothing is in any process's arguments.
    assert watch.sightings(member.provider.issued) <= {("environ", "step")}


@pytest.fixture
def laptop(
    provider: IdentityProvider, need: Callable[..., None], tmp_path: Path
) -> Iterator[tuple[Member, UserManager, CutNetwork]]:
    """A user whose manager has a network that can be cut, and whose certificates last a minute."""
    need(*PROGRAMS, *cut_network.PROGRAMS, root=True)
    directory, ca_directory = tmp_path / "user", tmp_path / "ca"
    directory.mkdir()
    ca_directory.mkdir()
    with user_manager(network=True) as manager:
        (directory / "home").symlink_to(manager.home)
        with (
            authority(ca_directory, provider, "60s") as ca,
            membership(directory, provider, ca) as member,
        ):
            ports = [urlsplit(provider.url).port or 0, urlsplit(ca.url).port or 0]
            with cut_network.cut_network(manager.pid, [*ports, member.server.port]) as network:
                member.namespace = network.entrance
                member.settle(lifetime="60s", renew_before="30s")
                (member.home / ".local/bin/step").symlink_to(shutil.which("step") or "step")
                yield member, manager, network
                assert member.spilled() == []


def test_a_laptop_that_slept_connects_as_soon_as_the_network_is_back(
    laptop: tuple[Member, UserManager, CutNetwork],
) -> None:
    member, manager, network = laptop
    install(member, manager)
    manager.systemctl("start", SERVICE)
    manager.systemctl("enable", "--now", "gen-cert-rig.timer")
    assert logged_in(member.login())
    # A laptop asleep: nothing runs, and the clock goes on until the certificate has expired.
    os.kill(manager.pid, signal.SIGSTOP)
    time.sleep(65)
    assert member.refresh("--check").returncode == 1
    requests = member.provider.count()
    network.down()
    os.kill(manager.pid, signal.SIGCONT)
    down = time.monotonic()
    # The timer makes up for the look that it missed, which fails, and the user is impatient.
    wait_until(
        lambda: "cannot be reached (no route)" in "\n".join(output(member)),
        lambda: "\n".join(output(member)),
    )
    assert member.login().returncode == 255
    assert manager.shown(SERVICE, "ActiveState") == "activating"
    time.sleep(max(0, 30 - (time.monotonic() - down)))
    network.up()
    up = time.monotonic()
    attempts = 1
    while not logged_in(member.login()):
        attempts += 1
        assert time.monotonic() - up < 30, member.output[-1]
    took = time.monotonic() - up
    sys.stdout.write(
        f"connected {took:.1f} s after the return of the network, at attempt {attempts}, with "
        f"{member.provider.count() - requests} requests for a token\n"
    )
    assert took < 5
    # The run of the timer ends too, since the certificate is new.
    wait_until(lambda: manager.shown(SERVICE, "ActiveState") == "inactive")
    manager.systemctl("stop", "gen-cert-rig.timer")


def test_the_timer_renews_within_two_minutes_of_the_return_of_the_network(
    laptop: tuple[Member, UserManager, CutNetwork],
) -> None:
    member, manager, network = laptop
    install(member, manager)
    network.down()
    manager.systemctl("start", "--no-block", SERVICE)
    wait_until(lambda: (member.home / "journal").exists() and output(member))
    time.sleep(20)
    network.up()
    up = time.monotonic()
    wait_until(member.certificate.exists)
    took = time.monotonic() - up
    sys.stdout.write(f"renewed {took:.1f} s after the return of the network\n")
    assert took < 120


def test_a_renewal_that_fails_is_visible_in_systemd(member: Member, manager: UserManager) -> None:
    install(member, manager)
    member.provider.held.clear()
    assert manager.run("systemctl", "--user", "start", SERVICE).returncode != 0
    assert manager.shown(SERVICE, "ExecMainStatus") == "2"
    assert SERVICE in manager.systemctl("list-units", "--failed", "--plain")
    (line,) = output(member)
    assert "create a Token (intent API) in authentik's user settings" in line
