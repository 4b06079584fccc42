"""The whole story under a real `systemd --user`.

The units keep certificates of a minute alive, unattended.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from identity_provider import IdentityProvider
from step_ca import Member, authority, membership
from usermanager import PROGRAMS, UNITS, UserManager, user_manager

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


def test_a_renewal_that_fails_is_visible_in_systemd(member: Member, manager: UserManager) -> None:
    install(member, manager)
    member.provider.held.clear()
    assert manager.run("systemctl", "--user", "start", SERVICE).returncode != 0
    assert manager.shown(SERVICE, "ExecMainStatus") == "2"
    assert SERVICE in manager.systemctl("list-units", "--failed", "--plain")
    (line,) = output(member)
    assert "create a Token (intent API) in authentik's user settings" in line
