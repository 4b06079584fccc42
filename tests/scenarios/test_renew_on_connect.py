"""ssh renews a certificate before it connects, with the real gen, step, step-ca and sshd."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from identity_provider import Fault, IdentityProvider
from ruamel.yaml import YAML
from sshd import TEST_USER, Result, logged_in
from step_ca import STATE, Member
from waiting import wait_until

pytestmark = pytest.mark.system

BOUND = 12
BOUND_WITH_CERTIFICATE = 3
"""Seconds that docs/renewal.md promises, beside those of a connection without a renewal."""
SPEC = "site_specs/rig.yaml"


def sign(member: Member, validity: str) -> None:
    """Create a certificate that is due or has expired, as if time had passed."""
    key = member.home / ".ssh/id_rig"
    if not key.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60
        )
    authority = str(member.ca.user_key).removesuffix(".pub")
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        authority,
        "-I",
        "old",
        "-n",
        TEST_USER.pw_name,
        "-V",
        validity,
        f"{key}.pub",
    ]
    subprocess.run(command, check=True, timeout=60)
    due = member.home / STATE / "rig.due"
    due.parent.mkdir(parents=True, exist_ok=True)
    due.write_text("1\n")


EXPIRED = "-2h:-1h"
DUE = "-1h:+10m"


def change(path: Path, **values: Any) -> None:
    """Change values in a YAML file."""
    yaml = YAML(typ="safe")
    content = yaml.load(path)
    with path.open("w") as file:
        yaml.dump(content | values, file)


def timed(login: Callable[[], Result]) -> tuple[Result, float]:
    start = time.monotonic()
    return login(), time.monotonic() - start


def test_with_a_valid_certificate_ssh_starts_date_and_connects_to_the_server_only(
    member: Member, provider: IdentityProvider, need: Callable[..., None]
) -> None:
    need("strace")
    assert logged_in(member.login())
    requests = len(provider.requests)
    trace = member.home / "trace"
    watched = (
        "strace",
        "--follow-forks",
        "--quiet=all",
        # A program or a connection more would be paid by every login.
        "--trace=execve,connect",
        "--output",
        str(trace),
    )
    config = str(member.home / "out/ssh/rig.conf")
    result = member.run(
        *watched, "ssh", "-F", config, "-o", "BatchMode=yes", "rig", "true", SHELL="/bin/bash"
    )
    assert (result.returncode, result.stderr) == (0, "")
    programs: list[str] = []
    ports: set[int] = set()
    for line in trace.read_text().splitlines():
        if " = 0" not in line:
            continue
        if program := re.search(r'execve\("([^"]+)"', line):
            programs.append(Path(program[1]).name)
        if port := re.search(r"sin6?_port=htons\((\d+)\)", line):
            ports.add(int(port[1]))
    # Once the user's shell hands over to sh, for the look; the last sh is for the pins.
    assert programs == ["ssh", "bash", "sh", "date", "sh"]
    assert ports - {0} <= {member.server.port, 53}
    assert len(provider.requests) == requests


def test_the_first_certificate_is_requested_before_the_connection_and_then_used(
    member: Member, provider: IdentityProvider
) -> None:
    assert logged_in(member.login())
    assert provider.count() == 1
    assert logged_in(member.login())
    assert provider.count() == 1


@pytest.mark.parametrize(
    "validity", [pytest.param(EXPIRED, id="expired"), pytest.param(DUE, id="due")]
)
def test_a_certificate_is_renewed_once(
    validity: str, member: Member, provider: IdentityProvider
) -> None:
    sign(member, validity)
    before = member.certificate.read_bytes()
    assert logged_in(member.login())
    # ssh does not wait long while the old one is valid, and a busy machine takes its time.
    wait_until(lambda: not member.renewing())
    assert member.certificate.read_bytes() != before
    assert logged_in(member.login())
    assert provider.count() == 1


def test_twenty_connections_at_once_request_one_token(
    member: Member, provider: IdentityProvider
) -> None:
    member.gen("site", "rig", "--out", "out")
    sign(member, EXPIRED)
    # Ansible, Dask or a shell loop opens many connections at once; the CA issues few certificates.
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: member.login(), range(20)))
    for result in results:
        assert logged_in(result), result
    assert provider.count() == 1


def test_a_jump_host_of_the_same_site_does_not_renew_again(
    member: Member, provider: IdentityProvider
) -> None:
    port = member.server.port
    hosts = {
        "door": {"host": "localhost", "port": port},
        "rig": {"host": "127.0.0.1", "port": port, "via": "door"},
    }
    pins = {
        "fingerprints": {"ed25519": member.rig.fingerprint("ed25519")},
        "hosts": ["door", "rig"],
        "source": "test",
    }
    change(member.home / SPEC, hosts=hosts, host_keys={"all": pins})
    sign(member, EXPIRED)
    assert logged_in(member.login())
    assert provider.count() == 1
    assert len(member.server.logins()) == 2


def test_the_input_of_ssh_reaches_the_server(member: Member) -> None:
    member.gen("site", "rig", "--out", "out")
    sign(member, EXPIRED)
    # rsync and git send their data over the standard input, which the hook must not read.
    command = member.command("ssh", "-F", str(member.home / "out/ssh/rig.conf"), "rig", "cat")
    result = subprocess.run(
        command,
        input=b"all of it\n",
        capture_output=True,
        timeout=60,
        env=member.environment(),
        check=False,
    )
    assert (result.stdout, result.stderr, result.returncode) == (b"all of it\n", b"", 0)


def test_a_provider_that_is_down_costs_an_expired_certificate_a_line(
    member: Member, provider: IdentityProvider
) -> None:
    sign(member, EXPIRED)
    with provider.down():
        first, second = member.login(), member.login()
    for result in (first, second):
        message, refusal = result.stderr.splitlines()
        assert message.startswith(f"rig: {provider.url}")
        assert message.endswith("; the next run tries again")
        assert "Permission denied" in refusal
    # Five seconds after the failure the user may try again, and the network may be back.
    time.sleep(5)
    assert logged_in(member.login())


def test_a_provider_that_is_down_costs_a_valid_certificate_nothing(
    member: Member, provider: IdentityProvider
) -> None:
    sign(member, DUE)
    with provider.down():
        assert logged_in(member.login())
        wait_until(lambda: not member.renewing())
        assert "connection refused" in member.gen("status", "rig").stdout
    # For a minute no connection tries again.
    assert logged_in(member.login())
    # The CA has asked the provider for its keys, and gen has asked it for no token.
    assert provider.count() == 0


def test_an_expired_app_password_is_replaced_before_a_connection(
    member: Member, provider: IdentityProvider
) -> None:
    sign(member, EXPIRED)
    del provider.held["first-app_password"]
    result = member.login()
    wait_until(lambda: not member.renewing())
    assert logged_in(result)
    assert sorted(provider.held) == member.named()
    assert member.works()


class TestProviderThatHangs:
    """A connection waits 3 seconds if it works without the renewal, and 12 if it does not."""

    @pytest.fixture
    def usual(self, member: Member) -> float:
        """Return the seconds of a connection without a renewal, and of a start of Python."""
        sign(member, "-1h:+1h")
        second = int(time.time())
        (member.home / STATE / "rig.due").write_text(f"{second + 3600}\n{second}\n")
        member.login()
        result, took = timed(member.login)
        assert logged_in(result)
        _, start = timed(lambda: member.refresh("--check"))
        sys.stdout.write(f"a connection takes {took:.1f} s, the start of gen {start:.1f} s\n")
        return took + start

    @pytest.mark.parametrize("number", [1, 3], ids=["one connection", "three at once"])
    def test_with_a_valid_certificate(
        self, number: int, usual: float, member: Member, provider: IdentityProvider
    ) -> None:
        sign(member, DUE)
        before = member.certificate.read_bytes()
        provider.delay(300)
        with ThreadPoolExecutor(number) as pool:
            results = list(pool.map(lambda _: timed(member.login), range(number)))
        for result, took in results:
            assert logged_in(result), result
            sys.stdout.write(f"connected after {took:.1f} s\n")
            # With three at once, two cores share the work of three.
            assert took < BOUND_WITH_CERTIFICATE + number * usual
        again, took = timed(member.login)
        assert logged_in(again)
        assert took < BOUND_WITH_CERTIFICATE, "it waits once only"
        assert member.renewing(), "the renewal goes on"
        assert member.certificate.read_bytes() == before

    def test_the_renewal_ends_in_the_background(
        self, member: Member, provider: IdentityProvider
    ) -> None:
        sign(member, DUE)
        before = member.certificate.read_bytes()
        provider.fault = Fault(delay=4)
        assert logged_in(member.login())
        wait_until(lambda: not member.renewing())
        assert member.certificate.read_bytes() != before
        assert logged_in(member.login())
        assert provider.count() == 1

    @pytest.mark.long
    def test_without_a_valid_certificate(
        self, usual: float, member: Member, provider: IdentityProvider
    ) -> None:
        sign(member, EXPIRED)
        provider.delay(300)
        result, took = timed(member.login)
        message, _ = result.stderr.splitlines()
        sys.stdout.write(f"refused after {took:.1f} s\n")
        assert message == (
            "rig: the certificate is not renewed yet; gen goes on in the background; "
            "see gen status rig"
        )
        assert BOUND - 2 < took < BOUND + usual


def test_a_command_to_the_shared_connection_prints_and_renews_nothing(
    member: Member, provider: IdentityProvider
) -> None:
    member.gen("site", "rig", "--out", "out")
    sign(member, EXPIRED)
    config = str(member.home / "out/ssh/rig.conf")
    result = member.run("ssh", "-F", config, "-O", "check", "-S", "none", "rig")
    assert "No ControlPath specified" in result.stderr
    assert result.stderr.count("\n") == 1
    assert (provider.count(), member.renewing()) == (0, [])


@pytest.mark.parametrize("name", ["github.com", "rig.example.org"])
def test_nothing_is_renewed_for_another_host(
    name: str, member: Member, provider: IdentityProvider
) -> None:
    member.gen("site", "rig", "--out", "out")
    sign(member, EXPIRED)
    result = member.run("ssh", "-G", "-F", str(member.home / "out/ssh/rig.conf"), name)
    assert result.returncode == 0
    # The CA has asked the provider for its keys, and gen has asked it for no token.
    assert provider.count() == 0


@pytest.mark.parametrize("setting", ["spec", "profile"])
def test_nothing_is_renewed_if_it_is_turned_off(
    setting: str, member: Member, provider: IdentityProvider
) -> None:
    if setting == "spec":
        member.settle(renew_on_connect=False)
    else:
        change(member.home / ".config/gen/profile.yaml", renew_on_connect=False)
    sign(member, EXPIRED)
    result = member.login()
    assert (result.returncode, "gen" in result.stderr) == (255, False)
    # The CA has asked the provider for its keys, and gen has asked it for no token.
    assert provider.count() == 0


def test_an_expired_certificate_that_only_the_user_can_renew_names_the_command(
    member: Member, provider: IdentityProvider
) -> None:
    member.settle(oidc=None, authentik=None)
    sign(member, DUE)
    assert logged_in(member.login())
    sign(member, EXPIRED)
    for _ in range(2):
        result = member.login()
        message, refusal = result.stderr.splitlines()
        assert "gen refresh rig" in message
        assert "Permission denied" in refusal
        assert result.returncode == 255
    # The CA has asked the provider for its keys, and gen has asked it for no token.
    assert provider.count() == 0


def test_the_command_of_the_centre_gets_a_certificate_for_each_connection(
    member: Member,
) -> None:
    sign(member, EXPIRED)
    key, authority = member.home / ".ssh/id_rig.pub", str(member.ca.user_key).removesuffix(".pub")
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        authority,
        "-I",
        "new",
        "-n",
        TEST_USER.pw_name,
        "-V",
        "-1m:+5s",
        str(key),
    ]
    auth = {"method": "certificate", "command": command, "lifetime": "5s", "each_connection": True}
    change(member.home / SPEC, auth=auth)
    certificates = set()
    for _ in range(2):
        assert logged_in(member.login())
        certificates.add(member.certificate.read_bytes())
        # A certificate has its times in whole seconds: two of one second could be equal.
        time.sleep(1)
    assert len(certificates) == 2
