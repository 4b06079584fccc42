"""`gen refresh` with the real step, a real step-ca and a real sshd: what it renews, when, and what it leaves alone."""

import json
import re
import ssl
import sys
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from identity_provider import IdentityProvider
from sshd import TEST_USER, logged_in
from step_ca import CERTIFICATE, KEY, STATE, Member, authority, clock

pytestmark = [pytest.mark.system, pytest.mark.long]

GEN = (sys.executable, "-m", "generator")


def permission_denied(member: Member) -> bool:
    result = member.login()
    return result.returncode == 255 and "Permission denied (publickey)" in result.stderr


def traced(member: Member, *options: str) -> list[str]:
    """Run `gen refresh` under strace, and return a line for each program that was started and each connection."""
    log = member.home / "trace"
    calls = (
        "strace",
        "--follow-forks",
        "--string-limit=4096",
        "--trace=execve,connect",
        f"--output={log}",
    )
    result = member.run(*calls, *GEN, "refresh", "rig", *options)
    assert result.returncode == 0, result.stderr
    lines = log.read_text().splitlines()
    log.unlink()
    return [line for line in lines if "execve(" in line or "AF_INET" in line]


def test_the_first_time_it_makes_a_key_and_gets_a_certificate_that_opens_the_site(
    member: Member,
) -> None:
    assert "renewed, valid until" in member.renewed().stderr
    assert logged_in(member.login())
    assert "ED25519-CERT" in member.server.logins()[0]
    assert member.provider.count() == 1
    assert (member.home / KEY).stat().st_mode & 0o777 == 0o600


def test_the_context_that_step_is_given_is_the_one_of_the_spec_and_the_current_one_stays(
    member: Member,
) -> None:
    other = ("step", "ca", "bootstrap", "--context", "other", "--ca-url", member.ca.url)
    assert member.run(*other, "--fingerprint", member.ca.fingerprint).returncode == 0
    member.renewed()
    assert member.run("step", "context", "list").stdout.splitlines() == ["▶ other", "rig"]


def test_a_certificate_that_lasts_is_left_alone_without_a_connection_or_another_program(
    member: Member, need: Callable[..., None]
) -> None:
    need("strace")
    member.renewed()
    before = member.certificate.read_bytes()
    trace = traced(member)
    assert [line for line in trace if "execve(" not in line or "-m" not in line] == []
    assert len(trace) == 1
    assert (member.certificate.read_bytes(), member.provider.count()) == (before, 1)


def test_no_program_is_told_a_secret_in_its_arguments(
    member: Member, need: Callable[..., None]
) -> None:
    need("strace")
    trace = traced(member, "--rotate-app-password") + traced(member, "--force")
    assert sum("/step" in line for line in trace) >= 3
    assert [
        line for line in trace if any(secret in line for secret in member.provider.issued)
    ] == []


def test_a_certificate_that_has_ended_opens_nothing_until_it_is_renewed(member: Member) -> None:
    member.settle(renew_on_connect=False)
    signed_until(member, "2026-01-02T00:00:00Z")
    assert permission_denied(member)
    assert "renewed, valid until" in member.renewed().stderr
    assert logged_in(member.login())
    assert member.provider.count() == 1


@pytest.mark.parametrize(
    ("options", "requests"),
    [
        pytest.param((), 1, id="not due"),
        pytest.param(("--force",), 2, id="forced"),
    ],
)
def test_it_renews_what_is_not_due_when_it_is_told_to(
    member: Member, options: tuple[str, ...], requests: int
) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    member.renewed(*options)
    assert member.provider.count() == requests
    assert (member.certificate.read_bytes() != before) is (requests == 2)
    assert logged_in(member.login())


def test_a_check_tells_whether_one_is_due_and_asks_nobody(member: Member) -> None:
    assert member.refresh("--check").returncode == 1
    assert not member.certificate.exists()
    member.renewed()
    assert member.refresh("--check").returncode == 0
    found = json.loads(member.refresh("--check", "--json").stdout)
    assert (found["site"], found["due"], found["seconds_left"] > 57_000) == ("rig", False, True)
    assert member.provider.count() == 1


def test_what_ssh_is_told_is_the_second_from_which_it_is_due(member: Member) -> None:
    member.renewed()
    shown = member.run("ssh-keygen", "-L", "-f", str(CERTIFICATE), TZ="UTC").stdout
    ends = re.search(r"Valid: from \S+ to (\S+)", shown)
    assert ends
    second = int(member.run("date", "--utc", "+%s", f"--date={ends[1]}Z").stdout)
    assert (member.home / STATE / "rig.due").read_text() == f"{second - 1800}\n"


def test_twenty_at_once_make_one_token_request(member: Member) -> None:
    """All have started before the first is allowed to go on: the provider takes its time."""
    member.provider.delay(2)
    runs = member.at_once(20)
    assert [run.returncode for run in runs] == [0] * 20, runs
    assert member.provider.count() == 1
    assert sum("renewed" in run.stderr for run in runs) == 1
    assert logged_in(member.login())


def visited(address: str, root: Path) -> None:
    """Open an address as a browser does, to the page that step shows at the end."""
    with urllib.request.urlopen(
        address, context=ssl.create_default_context(cafile=str(root)), timeout=120
    ) as page:
        assert b"Success" in page.read()


def test_without_a_client_a_person_gets_the_certificate_in_a_browser(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    opened, text = False, ""
    for text in member.terminal(*GEN, "refresh", "rig"):
        link = re.search(r"(https://\S+/authorize/\?\S+)\r?\n", text)
        if link and not opened:
            visited(link[1], member.provider.root)
            opened = True
    assert text == "exit status 0", member.said
    assert logged_in(member.login())


def test_without_a_client_and_a_terminal_it_says_what_to_type(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    assert "run in a terminal: gen refresh rig" in member.refused()
    assert member.provider.count("/") == 0


ZONES = ["Europe/Vienna", "America/New_York", "Pacific/Kiritimati"]


@pytest.mark.parametrize(
    ("ends", "moments"),
    [
        pytest.param(
            "2026-10-25T01:30:00Z",
            ("2026-10-25T00:59:30Z", "2026-10-25T01:00:30Z"),
            id="Vienna goes back",
        ),
        pytest.param(
            "2027-03-14T07:30:00Z",
            ("2027-03-14T06:59:30Z", "2027-03-14T07:00:30Z"),
            id="New York forward",
        ),
        pytest.param(
            "2026-12-31T10:30:00Z",
            ("2026-12-31T09:59:30Z", "2026-12-31T10:00:30Z"),
            id="a new year there",
        ),
    ],
)
def test_the_time_zone_decides_nothing(
    ends: str, moments: tuple[str, str], member: Member, need: Callable[..., None]
) -> None:
    """A certificate falls due half an hour before its end: at the second of two moments, and not at the first."""
    need("faketime")
    signed_until(member, ends)
    for zone in ZONES:
        for moment, status in zip(moments, (0, 1), strict=True):
            second = f"{datetime.fromisoformat(moment).timestamp():.0f}"
            found = member.refresh("--check", **clock(second, FAKETIME_FMT="%s", TZ=zone))
            assert found.returncode == status, (zone, moment, found)


def signed_until(member: Member, ends: str) -> None:
    """Give a person a key, and a certificate of the CA that ends at some moment."""
    key = str(member.home / KEY)
    until = re.sub(r"[-:T]", "", ends)
    signed = ("-s", str(member.ca.user_key.with_suffix("")), "-I", "test", "-n", TEST_USER.pw_name)
    for words in (
        ("-t", "ed25519", "-N", "", "-f", key),
        (*signed, "-V", f"20260101000000Z:{until}", f"{key}.pub"),
    ):
        assert member.run("ssh-keygen", "-q", *words).returncode == 0, member.said[-1]


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param("current-context.json authorities profiles", id="of the list of contexts"),
        pytest.param("authorities profiles", id="of the current context"),
        pytest.param("authorities/rig/config profiles", id="of the root"),
        pytest.param("profiles", id="of the settings"),
    ],
)
def test_where_step_was_killed_after_the_writing(lost: str, member: Member) -> None:
    """It writes one file after the other; the rest of them, and nothing else, has to be made up for."""
    member.renewed()
    assert member.run("sh", "-c", f"cd .step && rm -r {lost}").returncode == 0
    assert "renewed" in member.renewed("--force").stderr


def test_another_root_than_the_specs_is_fatal_before_anything_is_sent(member: Member) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    member.settle(credentials=False, ca_fingerprint="0" * 64)
    assert "gen sent nothing" in member.refused("--force")
    assert (member.certificate.read_bytes(), member.provider.count()) == (before, 1)


def test_a_ca_that_has_another_root_than_the_spec_says_gets_no_token(member: Member) -> None:
    member.settle(ca_fingerprint="0" * 64)
    member.refused()
    assert (member.provider.count(), member.certificate.exists()) == (0, False)


def test_another_ca_in_the_place_of_the_one_that_is_known_gets_no_token_to_sign(
    member: Member, provider: IdentityProvider, tmp_path: Path
) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    with authority(tmp_path, provider) as other:
        url = {"ca-url": other.url}
        known = member.home / ".step/authorities/rig/config/defaults.json"
        known.write_text(json.dumps(json.loads(known.read_text()) | url))
        member.settle(credentials=False, ca_url=other.url)
        member.refused("--force")
        assert "path=/ssh/sign" not in other.log.read_text()
    assert member.certificate.read_bytes() == before
