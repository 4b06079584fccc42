"""The units that renew a certificate, for systemd and for launchd: what they run, when, and for which sites."""

import plistlib
import re
import shutil
import subprocess
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path, PurePosixPath
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
    return next(
        unit
        for unit in systemd_timer.emit(Account(site, SiteProfile()))
        if unit.path.suffix == ".service"
    )


def timer(site: SiteSpec) -> Artifact:
    return next(
        unit
        for unit in systemd_timer.emit(Account(site, SiteProfile()))
        if unit.path.suffix == ".timer"
    )


def agent(site: SiteSpec) -> Artifact:
    return next(launchd_agent.emit(Account(site, SiteProfile())))


def settings(unit: Artifact) -> dict[str, dict[str, str]]:
    """Return the settings of a unit by section; a key that stands twice is an error here."""
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
def test_where_the_units_of_a_site_are_written_and_installed(
    emit: Callable[[Account], list[Artifact]], expected: dict[str, str]
) -> None:
    artifacts = list(emit(Account(MUSICA, SiteProfile())))
    places = {PurePosixPath(path): PurePosixPath(installed) for path, installed in expected.items()}
    assert {artifact.path: artifact.install_to for artifact in artifacts} == places
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
    pytest.param(COMMAND | {"each_connection": True}, id="certificates got before each connection"),
]


@pytest.mark.parametrize("auth", NO_UNITS)
@pytest.mark.parametrize(
    "emit", [systemd_timer.emit, launchd_agent.emit], ids=["systemd", "launchd"]
)
def test_units_are_left_out_for(
    emit: Callable[[Account], list[Artifact]], auth: dict[str, Any]
) -> None:
    spec = SiteSpec.model_validate(site().model_dump() | {"auth": auth})
    assert list(emit(Account(spec, SiteProfile()))) == []


@pytest.mark.parametrize(
    "emit", [systemd_timer.emit, launchd_agent.emit], ids=["systemd", "launchd"]
)
def test_a_site_whose_own_command_gets_certificates_has_units(
    emit: Callable[[Account], list[Artifact]],
) -> None:
    assert list(emit(Account(site(), SiteProfile())))


def test_units_are_the_same_for_everybody(ada: SiteProfile) -> None:
    for emit in (systemd_timer.emit, launchd_agent.emit):
        assert list(emit(Account(MUSICA, ada))) == list(emit(Account(MUSICA, SiteProfile())))


@pytest.mark.parametrize("unit", [service, timer, agent], ids=["service", "timer", "agent"])
def test_no_unit_holds_a_secret_or_a_path_of_a_home_folder(
    unit: Callable[[SiteSpec], Artifact],
) -> None:
    lines = [
        line for line in unit(MUSICA).content.decode().splitlines() if not line.startswith("#")
    ]
    assert not re.search(r"(?i)password|token|secret|credential|/home/|/Users/", "\n".join(lines))


def test_the_service_runs_gen_refresh_for_its_site_by_the_programs_of_its_user() -> None:
    found = settings(service(MUSICA))["Service"]
    assert found["ExecStart"] == "/usr/bin/env gen refresh musica"
    assert (
        found["Environment"]
        == "TZ=UTC PATH=%h/.local/bin:/usr/local/bin:/usr/bin:/bin STEPPATH=%h/.step"
    )
    assert (found["Type"], found["UMask"], found["LimitCORE"]) == ("oneshot", "0077", "0")


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


def test_the_service_may_do_no_more_than_a_renewal_needs() -> None:
    assert settings(service(MUSICA))["Service"].items() >= HARDENING.items()


@pytest.mark.parametrize(
    "option",
    [
        # A user may not drop what root may: the unit would fail with 218/CAPABILITIES.
        *(
            "CapabilityBoundingSet",
            "ProtectClock",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "PrivateDevices",
        ),
        # systemd before 254 ignores these for a user; later ones make a user namespace for them.
        *(
            "PrivateUsers",
            "ProtectSystem",
            "ProtectHome",
            "PrivateTmp",
            "PrivateMounts",
            "ProtectHostname",
        ),
        *(
            "ProtectKernelTunables",
            "ProtectControlGroups",
            "ProtectProc",
            "ProcSubset",
            "ReadWritePaths",
        ),
        # node, java and others that compile while they run need such memory.
        "MemoryDenyWriteExecute",
        # A home folder on AFS is read with the tokens of the session's keyring.
        "KeyringMode",
        # Nothing tells a user's manager that the network is up: the next look makes up for one without.
        "Wants",
    ],
)
def test_the_service_leaves_out_what_a_users_manager_cannot_do(option: str) -> None:
    assert option not in {
        name for section in settings(service(MUSICA)).values() for name in section
    }


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
        pytest.param({}, "*-*-* *:00/10:00 UTC", "120", id="a lifetime that the site does not say"),
    ],
)
def test_when_the_timer_looks(auth: dict[str, Any], calendar: str, delay: str) -> None:
    assert settings(timer(site(**auth)))["Timer"] == {
        "OnCalendar": calendar,
        "RandomizedDelaySec": delay,
        "AccuracySec": "1",
        "Persistent": "true",
    }


def test_the_timer_is_started_with_the_users_other_timers() -> None:
    assert settings(timer(MUSICA))["Install"] == {"WantedBy": "timers.target"}


durations = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from("mhd"))


@given(st.from_regex(SLUG, fullmatch=True).filter(lambda name: len(name) < 60), durations)
def test_the_agent_is_a_property_list_of_the_same_site_period_and_time_zone_as_the_timer(
    name: str, lifetime: str
) -> None:
    spec = site(name, lifetime=lifetime)
    auth = timed_auth(spec)
    found = plistlib.loads(agent(spec).content)
    assert auth
    assert found["StartInterval"] == schedule(auth).period
    assert (
        systemd_timer.calendar(found["StartInterval"])
        == settings(timer(spec))["Timer"]["OnCalendar"]
    )
    assert found["EnvironmentVariables"] == {"TZ": "UTC"}
    assert found["Label"] == f"gen-cert-{name}" == timer(spec).path.stem
    assert found["ProgramArguments"][-1].endswith(f" exec gen refresh {name}")
    assert settings(service(spec))["Service"]["ExecStart"].endswith(f" gen refresh {name}")
    assert found["Umask"] == int(settings(service(spec))["Service"]["UMask"], 8)


@given(st.from_regex(SLUG, fullmatch=True))
def test_the_comment_of_the_agent_is_well_formed_for_every_site(name: str) -> None:
    """XML takes no two dashes within a comment, nor one at its end."""
    (comment,) = re.findall(r"<!--(.*?)-->", agent(site(name)).content.decode())
    assert comment.startswith(f" Made by gen for {name}; ")
    assert "--" not in comment
    assert not comment.endswith("-")


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize(
    "home",
    [
        pytest.param("ada", id="a plain home folder"),
        pytest.param("ada lovelace's $HOME", id="a home folder with a blank, a quote and a dollar"),
    ],
)
def test_the_agent_runs_the_gen_of_its_user_under_any_shell_that_a_mac_calls_sh(
    shell: str, home: str, tmp_path: Path, need: Callable[..., None]
) -> None:
    need(shell)
    folder = tmp_path / home
    gen = folder / ".local/bin/gen"
    gen.parent.mkdir(parents=True)
    gen.write_text('#!/bin/sh\nprintf "%s\\n" "$*" "$STEPPATH" "$TZ" "${PATH%%:*}"\n')
    gen.chmod(0o755)
    sh = tmp_path / "sh"
    sh.symlink_to(shutil.which(shell) or "")  # so that it behaves as sh does
    found = plistlib.loads(agent(MUSICA).content)
    name, *arguments = found["ProgramArguments"]
    assert name == "/bin/sh"
    env = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **found["EnvironmentVariables"]}
    result = subprocess.run([sh, *arguments], env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "refresh musica",
        f"{folder}/.step",
        "UTC",
        f"{folder}/.local/bin",
    ]


def test_the_agent_looks_at_login_and_in_the_background() -> None:
    found = plistlib.loads(agent(MUSICA).content)
    assert (found["RunAtLoad"], found["ProcessType"]) == (True, "Background")
