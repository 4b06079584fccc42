"""`gen refresh` with the real step, a real step-ca and a real sshd."""

import json
import re
import ssl
import sys
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest
from identity_provider import DEVICE, Answer, Fault, IdentityProvider
from ruamel.yaml import YAML
from sshd import TEST_USER, logged_in
from step_ca import CERTIFICATE, KEY, STATE, Member, authority, clock
from terminal import Terminal

pytestmark = [pytest.mark.system, pytest.mark.long]

GEN = (sys.executable, "-m", "generator")


def permission_denied(member: Member) -> bool:
    result = member.login()
    return result.returncode == 255 and "Permission denied (publickey)" in result.stderr


def traced(member: Member, *options: str) -> list[str]:
    """Run `gen refresh` under strace; return a line for each program and each connection."""
    log = member.home / "trace"
    calls = (
        "strace",
        "--follow-forks",
        # strace cuts arguments after 32 bytes, and a secret may come later.
        "--string-limit=4096",
        "--trace=execve,connect",
        f"--output={log}",
    )
    result = member.run(*calls, *GEN, "refresh", "rig", *options)
    assert result.returncode == 0, result.stderr
    lines = log.read_text().splitlines()
    log.unlink()
    return [line for line in lines if "execve(" in line or "AF_INET" in line]


def test_the_first_run_creates_a_key_and_gets_a_certificate_that_opens_the_site(
    member: Member,
) -> None:
    assert "renewed, valid until" in member.renewed().stderr
    assert logged_in(member.login())
    # sshd logs the method: a key alone would have been refused.
    assert "ED25519-CERT" in member.server.logins()[0]
    assert member.provider.count() == 1
    assert (member.home / KEY).stat().st_mode & 0o777 == 0o600


def test_the_current_context_of_step_stays_the_same(
    member: Member,
) -> None:
    # A user with another CA: `step ca bootstrap` makes the context that it writes the current one.
    bootstrap = ("step", "ca", "bootstrap", "--context", "other", "--ca-url", member.ca.url)
    assert member.run(*bootstrap, "--fingerprint", member.ca.fingerprint).returncode == 0
    member.renewed()
    assert member.run("step", "context", "list").stdout.splitlines() == ["▶ other", "rig"]


def test_a_certificate_that_is_not_due_costs_no_connection_and_no_program(
    member: Member, need: Callable[..., None]
) -> None:
    need("strace")
    member.renewed()
    before = member.certificate.read_bytes()
    trace = traced(member)
    assert [line for line in trace if "execve(" not in line or "-m" not in line] == []
    # The start of Python. ssh waits for this before each connection.
    assert len(trace) == 1
    assert (member.certificate.read_bytes(), member.provider.count()) == (before, 1)


def test_no_program_gets_a_secret_in_its_arguments(
    member: Member, need: Callable[..., None]
) -> None:
    need("strace")
    trace = traced(member, "--rotate-app-password") + traced(member, "--force")
    # Otherwise the trace would be too short to show that a secret is missing from it.
    assert sum("/step" in line for line in trace) >= 3
    assert [
        line for line in trace if any(secret in line for secret in member.provider.issued)
    ] == []


def test_an_expired_certificate_opens_the_site_again_after_a_renewal(member: Member) -> None:
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
def test_force_renews_a_certificate_that_is_not_due(
    member: Member, options: tuple[str, ...], requests: int
) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    member.renewed(*options)
    assert member.provider.count() == requests
    assert (member.certificate.read_bytes() != before) is (requests == 2)
    assert logged_in(member.login())


def test_check_returns_whether_the_certificate_is_due_without_a_request(member: Member) -> None:
    assert member.refresh("--check").returncode == 1
    assert not member.certificate.exists()
    member.renewed()
    assert member.refresh("--check").returncode == 0
    record = json.loads(member.refresh("--check", "--json").stdout)
    # Sixteen hours, less some for a slow machine.
    assert (record["site"], record["due"], record["seconds_left"] > 57_000) == ("rig", False, True)
    assert member.provider.count() == 1


def test_the_file_for_ssh_has_the_second_from_which_the_certificate_is_due(member: Member) -> None:
    member.renewed()
    shown = member.run("ssh-keygen", "-L", "-f", str(CERTIFICATE), TZ="UTC").stdout
    ends = re.search(r"Valid: from \S+ to (\S+)", shown)
    assert ends
    second = int(member.run("date", "--utc", "+%s", f"--date={ends[1]}Z").stdout)
    due, _ = (member.home / STATE / "rig.due").read_text().splitlines()
    # renew_before of the spec: half an hour.
    assert due == str(second - 1800)


def test_twenty_runs_at_once_make_one_token_request(member: Member) -> None:
    # The provider is slow, so that all have started before the first one goes on.
    member.provider.delay(2)
    runs = member.at_once(20)
    assert [run.returncode for run in runs] == [0] * 20, runs
    assert member.provider.count() == 1
    assert sum("renewed" in run.stderr for run in runs) == 1
    assert logged_in(member.login())


def visited(address: str, root: Path) -> None:
    """Open an address as a browser does, up to the last page of step."""
    with urllib.request.urlopen(
        address, context=ssl.create_default_context(cafile=str(root)), timeout=120
    ) as page:
        assert b"Success" in page.read()


def test_without_a_client_id_the_user_gets_the_certificate_in_a_browser(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    opened, text = False, ""
    # step opens no browser by itself if xdg-open is missing; then it prints the address alone.
    for text in member.terminal(*GEN, "refresh", "rig", DISPLAY=":9"):
        link = re.search(r"(https://\S+/authorize/\?\S+)\r?\n", text)
        if link and not opened:
            visited(link[1], member.provider.root)
            opened = True
    assert text == "exit status 0", member.output
    assert logged_in(member.login())


def in_terminal(member: Member, *options: str, **environment: str) -> Terminal:
    """Run `gen refresh` in a terminal in which no browser can open."""
    return Terminal(
        *member.command(*GEN, "refresh", "rig", *options),
        environment=member.environment(
            TERM="xterm", SSL_CERT_FILE=str(member.provider.root), **environment
        ),
        directory=member.home,
    )


def agree_on_another_device(member: Member, terminal: Terminal) -> None:
    """Open the link that step prints, as a phone would."""
    terminal.expect("Visit ")
    terminal.expect(":\r\n")
    link = re.search(r"Visit (https://\S+):\r\n", terminal.shown)
    assert link
    # The phone knows the provider, as a phone knows the authorities of the web.
    context = ssl.create_default_context(cafile=str(member.provider.root))
    with urllib.request.urlopen(link[1], context=context, timeout=120) as page:
        assert page.status == 200


def test_with_device_the_user_logs_in_on_another_one(member: Member) -> None:
    # Credentials for an unattended renewal do not keep the user from it.
    member.settle()
    with closing(in_terminal(member, "--device", DISPLAY=":9")) as terminal:
        agree_on_another_device(member, terminal)
        assert terminal.end() == 0, terminal.shown
    assert "rig: renewed, valid until" in terminal.shown
    assert member.provider.count(DEVICE) == 1
    assert logged_in(member.login())


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="without a screen"),
        pytest.param(
            # A display that ssh forwards would open the browser at the far end of a slow line.
            {"DISPLAY": ":9", "SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"},
            id="over ssh",
        ),
    ],
)
def test_another_device_is_offered_where_no_browser_opens(
    environment: dict[str, str], member: Member
) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    with closing(in_terminal(member, **environment)) as terminal:
        question = "No browser can open here. Log in with a browser on another device? [y/N]: "
        terminal.expect(question)
        terminal.type("y")
        agree_on_another_device(member, terminal)
        assert terminal.end() == 0, terminal.shown
    assert logged_in(member.login())


def test_a_user_who_declines_another_device_gets_the_link_for_this_one(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    with closing(in_terminal(member)) as terminal:
        terminal.expect("[y/N]: ")
        terminal.type("n")
        terminal.expect("/authorize/?")
    assert member.provider.count(DEVICE) == 0


def test_a_provider_without_logins_on_another_device_is_reported(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    # RFC 8628 is an option of a provider.
    member.provider.fault = Fault(Answer(404), at=DEVICE)
    with closing(in_terminal(member, "--device")) as terminal:
        assert terminal.end() == 2, terminal.shown
    assert terminal.shown.endswith(
        "rig: step ended with status 1; the old certificate stays. If the site lets users log in "
        "on this machine only, leave --device out\r\n"
    )


def test_without_a_client_id_and_a_terminal_the_message_names_the_command(member: Member) -> None:
    member.settle(credentials=False, oidc=None, authentik=None)
    assert "run in a terminal: gen refresh rig" in member.refused()
    assert member.provider.count("/") == 0


def test_the_profile_names_another_step_and_gives_it_arguments(member: Member) -> None:
    program = member.home / "bin/step-cli"
    program.parent.mkdir()
    # It notes its arguments, and does what step does.
    program.write_text('#!/bin/sh\necho "$@" >>~/calls\nexec step "$@"\n')
    program.chmod(0o755)
    profile = member.home / ".config/gen/profile.yaml"
    settings = YAML(typ="safe").load(profile)
    settings |= {"step_binary": "~/bin/step-cli", "extra_step_args": ["--not-after", "2h"]}
    profile.write_text(json.dumps(settings))
    output = member.renewed().stderr
    # A certificate of this CA lasts 16 hours, unless step asks for less.
    assert re.search(r"renewed, valid until \S+ \S+ UTC \((1 h 59 min|2 h 0 min)\)", output)
    calls = (member.home / "calls").read_text().splitlines()
    assert [call.split()[:2] for call in calls] == [
        ["ca", "bootstrap"],
        ["ssh", "certificate"],
        ["ssh", "config"],
    ]
    assert logged_in(member.login())


# Kiritimati is 14 hours ahead of UTC: its date is mostly another one.
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
def test_the_time_zone_does_not_matter(
    ends: str, moments: tuple[str, str], member: Member, need: Callable[..., None]
) -> None:
    # A certificate falls due half an hour before its end. At the second of two moments, and not at
    # the first.
    need("faketime")
    signed_until(member, ends)
    for zone in ZONES:
        for moment, status in zip(moments, (0, 1), strict=True):
            second = f"{datetime.fromisoformat(moment).timestamp():.0f}"
            result = member.refresh("--check", **clock(second, FAKETIME_FMT="%s", TZ=zone))
            assert result.returncode == status, (zone, moment, result)


def signed_until(member: Member, ends: str) -> None:
    """Create a key for the user, with a certificate of the CA that expires at a moment."""
    key = str(member.home / KEY)
    until = re.sub(r"[-:T]", "", ends)
    signed = ("-s", str(member.ca.user_key.with_suffix("")), "-I", "test", "-n", TEST_USER.pw_name)
    for options in (
        ("-t", "ed25519", "-N", "", "-f", key),
        (*signed, "-V", f"20260101000000Z:{until}", f"{key}.pub"),
    ):
        assert member.run("ssh-keygen", "-q", *options).returncode == 0, member.output[-1]


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param("current-context.json authorities profiles", id="of the list of contexts"),
        pytest.param("authorities profiles", id="of the current context"),
        pytest.param("authorities/rig/config profiles", id="of the root"),
        pytest.param("profiles", id="of the settings"),
    ],
)
def test_an_incomplete_context_of_step_is_completed(lost: str, member: Member) -> None:
    # step writes one file after the other; gen has to write the missing ones, and no others.
    member.renewed()
    assert member.run("sh", "-c", f"cd .step && rm -r {lost}").returncode == 0
    assert "renewed" in member.renewed("--force").stderr


def test_a_known_root_that_differs_from_the_spec_is_refused_before_a_request(
    member: Member,
) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    member.settle(credentials=False, ca_fingerprint="0" * 64)
    assert "gen sent nothing" in member.refused("--force")
    assert (member.certificate.read_bytes(), member.provider.count()) == (before, 1)


def test_a_ca_with_another_root_than_in_the_spec_gets_no_token(member: Member) -> None:
    member.settle(ca_fingerprint="0" * 64)
    problem = "the CA has no root certificate with the fingerprint in the spec; ask the site for it"
    assert member.refused() == f"rig: {member.ca.url}: {problem}\n"
    assert (member.provider.count(), member.certificate.exists()) == (0, False)


def test_another_ca_at_the_known_address_gets_no_token(
    member: Member, provider: IdentityProvider, tmp_path: Path
) -> None:
    member.renewed()
    before = member.certificate.read_bytes()
    with authority(tmp_path, provider) as other_ca:
        url = {"ca-url": other_ca.url}
        defaults = member.home / ".step/authorities/rig/config/defaults.json"
        defaults.write_text(json.dumps(json.loads(defaults.read_text()) | url))
        member.settle(credentials=False, ca_url=other_ca.url)
        assert "another server than the CA answers" in member.refused("--force")
        assert "path=/ssh/sign" not in other_ca.log.read_text()
    assert member.certificate.read_bytes() == before
