"""The units of systemd and launchd that renew a certificate: command, schedule, and sites."""

import plistlib
import re
import shutil
import subprocess
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import resources
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import launchd_agent, systemd_timer
from generator.compiler.renewal_schedule import schedule, timed_auth
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

MUSICA = validate.site(resources.CATALOGUE / "musica.yaml")
COMMAND: dict[str, Any] = {"method": "certificate", "command": ["get-certificate", "--fast"]}
SLUG = r"[a-z0-9]+(?:-[a-z0-9]+)*"


def site(name: str = "x", **auth: Any) -> SiteSpec:
    return SiteSpec.model_validate(
        {
            "site": name,
            "title": "X",
            "hosts": {"x": {"host": "x.example.org"}},
            "auth": COMMAND | auth,
        }
    )


def service(site: SiteSpec) -> Artifact:
    unit, _ = systemd_timer.emit(Account(site, SiteProfile()))
    return unit


def timer(site: SiteSpec) -> Artifact:
    _, unit = systemd_timer.emit(Account(site, SiteProfile()))
    return unit


def agent(site: SiteSpec) -> Artifact:
    return next(launchd_agent.emit(Account(site, SiteProfile())))


def settings(unit: Artifact) -> dict[str, dict[str, str]]:
    """Return the settings of a unit by section; a key that is set twice is an error."""
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.content.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


@pytest.mark.parametrize(
    ("emit", "expected"),
    [
        pytest.param(
            systemd_timer.emit,
            {
                "systemd/gen-cert-musica.service": ".config/systemd/user/gen-cert-musica.service",
                "systemd/gen-cert-musica.timer": ".config/systemd/user/gen-cert-musica.timer",
            },
            id="systemd",
        ),
        pytest.param(
            launchd_agent.emit,
            {"launchd/gen-cert-musica.plist": "Library/LaunchAgents/gen-cert-musica.plist"},
            id="launchd",
        ),
    ],
)
def test_the_paths_of_the_units_and_of_their_installed_copies(
    emit: Callable[[Account], list[Artifact]], expected: dict[str, str]
) -> None:
    artifacts = list(emit(Account(MUSICA, SiteProfile())))
    paths = {str(artifact.path): str(artifact.install_to) for artifact in artifacts}
    assert paths == expected
    assert {artifact.mode for artifact in artifacts} == {0o644}


NO_UNITS: list[Any] = [
    pytest.param({"method": "publickey"}, id="plain keys"),
    pytest.param({"method": "keyboard", "asks": "password"}, id="passwords"),
    pytest.param({"method": "kerberos", "principal": "{user}@EXAMPLE.ORG"}, id="Kerberos tickets"),
    pytest.param({"method": "agent", "fill": "fill-agent"}, id="credentials in an agent"),
    pytest.param(
        {"method": "certificate", "portal": "https://example.org/"},
        id="certificates from a web page",
    ),
    pytest.param(COMMAND | {"each_connection": True}, id="a certificate for each connection"),
]


@pytest.mark.parametrize("auth", NO_UNITS)
@pytest.mark.parametrize(
    "emit", [systemd_timer.emit, launchd_agent.emit], ids=["systemd", "launchd"]
)
def test_a_site_has_no_units_if_it_uses(
    emit: Callable[[Account], list[Artifact]], auth: dict[str, Any]
) -> None:
    spec = SiteSpec.model_validate(site().model_dump() | {"auth": auth})
    assert list(emit(Account(spec, SiteProfile()))) == []


@pytest.mark.parametrize(
    "emit", [systemd_timer.emit, launchd_agent.emit], ids=["systemd", "launchd"]
)
def test_a_site_with_a_command_for_certificates_has_units(
    emit: Callable[[Account], list[Artifact]],
) -> None:
    assert list(emit(Account(site(), SiteProfile())))


def test_units_are_the_same_for_every_user(ada: SiteProfile) -> None:
    for emit in (systemd_timer.emit, launchd_agent.emit):
        assert list(emit(Account(MUSICA, ada))) == list(emit(Account(MUSICA, SiteProfile())))


@pytest.mark.parametrize("unit", [service, timer, agent], ids=["service", "timer", "agent"])
def test_no_unit_has_a_secret_or_the_path_of_a_home_directory(
    unit: Callable[[SiteSpec], Artifact],
) -> None:
    lines = unit(MUSICA).content.decode().splitlines()
    values = "\n".join(line for line in lines if not line.startswith("#"))
    assert not re.search(r"(?i)password|token|secret|credential|/home/|/Users/", values)


def test_the_service_runs_gen_refresh_with_the_programs_of_its_user() -> None:
    unit = settings(service(MUSICA))["Service"]
    assert unit["ExecStart"] == "/usr/bin/env gen refresh musica --retry"
    # gen waits for the network as long as it takes, and limits each try itself.
    assert unit["TimeoutStartSec"] == "infinity"
    assert (
        unit["Environment"]
        == "TZ=UTC PATH=%h/.local/bin:/usr/local/bin:/usr/bin:/bin STEPPATH=%h/.step"
    )
    assert (unit["Type"], unit["UMask"], unit["LimitCORE"]) == ("oneshot", "0077", "0")


HARDENING = {
    "NoNewPrivileges": "true",
    "LockPersonality": "true",
    "RestrictRealtime": "true",
    "RestrictSUIDSGID": "true",
    "RestrictNamespaces": "true",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "SystemCallErrorNumber": "EPERM",
}


def test_the_service_is_restricted() -> None:
    assert settings(service(MUSICA))["Service"].items() >= HARDENING.items()


@pytest.mark.parametrize(
    "option",
    [
        # A user may not drop a capability of root: the unit would fail with 218/CAPABILITIES.
        "CapabilityBoundingSet",
        "ProtectClock",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "PrivateDevices",
        # In a user manager, systemd before 254 ignores these; later versions make a user namespace.
        "PrivateUsers",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateMounts",
        "ProtectHostname",
        "ProtectKernelTunables",
        "ProtectControlGroups",
        "ProtectProc",
        "ProcSubset",
        "ReadWritePaths",
        # Programs with a JIT compiler, such as node and java, need such memory.
        "MemoryDenyWriteExecute",
        # A home directory on AFS is read with the tokens in the keyring of the session.
        "KeyringMode",
        # A user manager has no unit for the network. The next check makes up for one without it.
        "Wants",
    ],
)
def test_the_service_has_no_restriction_that_a_user_manager_cannot_apply(option: str) -> None:
    for section in settings(service(MUSICA)).values():
        assert option not in section


@pytest.mark.parametrize(
    ("auth", "calendar", "delay"),
    [
        pytest.param({"lifetime": "60s"}, "*-*-* *:*:00/5 UTC", "1", id="a minute"),
        pytest.param({"lifetime": "16h"}, "*-*-* 00/1:00:00 UTC", "720", id="16 hours"),
        pytest.param(
            {"lifetime": "24h", "renew_before": "30m"},
            "*-*-* *:00/10:00 UTC",
            "120",
            id="half an hour",
        ),
        pytest.param({}, "*-*-* *:00/10:00 UTC", "120", id="an unknown lifetime"),
    ],
)
def test_the_schedule_of_the_timer(auth: dict[str, Any], calendar: str, delay: str) -> None:
    assert settings(timer(site(**auth)))["Timer"] == {
        "OnCalendar": calendar,
        "RandomizedDelaySec": delay,
        "AccuracySec": "1",
        "Persistent": "true",
    }


def test_the_timer_starts_with_the_other_timers_of_the_user() -> None:
    assert settings(timer(MUSICA))["Install"] == {"WantedBy": "timers.target"}


def times_a_day(plist: dict[str, Any]) -> int:
    """Return how often launchd starts an agent in a day without a change of the clock."""
    if "StartInterval" in plist:
        return int(86_400 // plist["StartInterval"])
    # A key that is not there stands for all of its values (launchd.plist(5)).
    entries = plist["StartCalendarInterval"]
    return sum(1 if "Hour" in entry else 24 for entry in entries)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param({"lifetime": "60s"}, {"StartInterval": 5}, id="a minute: no calendar has it"),
        pytest.param(
            {"lifetime": "24h", "renew_before": "1h"},
            {"StartCalendarInterval": [{"Minute": minute} for minute in (0, 15, 30, 45)]},
            id="an hour",
        ),
        pytest.param(
            {"lifetime": "6d"},
            {"StartCalendarInterval": [{"Hour": hour, "Minute": 0} for hour in (0, 6, 12, 18)]},
            id="six days",
        ),
    ],
)
def test_the_schedule_of_the_agent(auth: dict[str, Any], expected: dict[str, Any]) -> None:
    plist = plistlib.loads(agent(site(**auth)).content)
    assert {key: value for key, value in plist.items() if key.startswith("Start")} == expected


durations = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from("mhd"))


@given(st.from_regex(SLUG, fullmatch=True).filter(lambda name: len(name) < 60), durations)
def test_the_agent_has_the_site_period_and_time_zone_of_the_timer(name: str, lifetime: str) -> None:
    spec = site(name, lifetime=lifetime)
    auth = timed_auth(spec)
    plist = plistlib.loads(agent(spec).content)
    assert auth
    assert times_a_day(plist) == 86_400 // schedule(auth).period
    assert (
        systemd_timer.calendar(schedule(auth).period)
        == settings(timer(spec))["Timer"]["OnCalendar"]
    )
    assert plist["EnvironmentVariables"] == {"TZ": "UTC"}
    assert plist["Label"] == f"gen-cert-{name}" == timer(spec).path.stem
    assert plist["ProgramArguments"][-1].endswith(f" exec gen refresh {name} --retry")
    assert settings(service(spec))["Service"]["ExecStart"].endswith(f" gen refresh {name} --retry")
    assert plist["Umask"] == int(settings(service(spec))["Service"]["UMask"], 8)


@given(st.from_regex(SLUG, fullmatch=True))
def test_the_comment_of_the_agent_is_valid_xml_for_every_site(name: str) -> None:
    # A comment in XML may not hold two dashes, nor end with one.
    (comment,) = re.findall(r"<!--(.*?)-->", agent(site(name)).content.decode())
    assert comment.startswith(f" Made by gen for {name}; ")
    assert "--" not in comment
    assert not comment.endswith("-")


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "home",
    [
        pytest.param("ada", id="a plain home directory"),
        pytest.param(
            "ada lovelace's $HOME", id="a home directory with a space, a quote and a dollar sign"
        ),
    ],
)
def test_the_agent_runs_the_gen_of_its_user_in_every_shell_that_may_be_sh(
    shell: str, home: str, tmp_path: Path, need: Callable[..., None]
) -> None:
    need(shell)
    directory = tmp_path / home
    gen = directory / ".local/bin/gen"
    gen.parent.mkdir(parents=True)
    gen.write_text('#!/bin/sh\nprintf "%s\\n" "$*" "$STEPPATH" "$TZ" "${PATH%%:*}"\n')
    gen.chmod(0o755)
    sh = tmp_path / "sh"
    sh.symlink_to(shutil.which(shell) or "")  # a shell called sh behaves as sh
    # The agent sleeps for a random time first, which this test need not wait for.
    sleep = tmp_path / "sleep"
    sleep.write_text("#!/bin/sh\n[ $1 -ge 0 ] && [ $1 -lt 120 ]\n")
    sleep.chmod(0o755)
    plist = plistlib.loads(agent(MUSICA).content)
    name, *arguments = plist["ProgramArguments"]
    assert name == "/bin/sh"
    env = {
        "HOME": str(directory),
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        **plist["EnvironmentVariables"],
    }
    result = subprocess.run([sh, *arguments], env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "refresh musica --retry",
        f"{directory}/.step",
        "UTC",
        f"{directory}/.local/bin",
    ]


def test_the_agent_runs_at_login_and_in_the_background() -> None:
    plist = plistlib.loads(agent(MUSICA).content)
    assert (plist["RunAtLoad"], plist["ProcessType"]) == (True, "Background")
