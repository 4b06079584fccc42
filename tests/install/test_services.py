"""The commands that start and stop a timer.

No test machine runs launchd, so its commands are only compared.
"""

import fnmatch
import sys
from pathlib import Path

import pytest

from generator import resources
from generator.compiler.build import build
from generator.install import plan, services
from generator.loading import inputs
from generator.workspace.lock import RecordedInputs, RecordedSpec

HOME = Path("/home/ada")
INPUTS = RecordedInputs("0", "", RecordedSpec("catalogue:musica", "", {}), {}, ())


def test_systemd_reads_the_units_before_it_enables_the_timer() -> None:
    assert services.start_commands("musica", HOME, launchd=False, user=501) == (
        ("systemctl", "--user", "daemon-reload"),
        ("systemctl", "--user", "enable", "--now", "gen-cert-musica.timer"),
    )


def test_systemd_forgets_the_units_after_they_are_gone() -> None:
    assert services.stop_commands("musica", launchd=False, user=501) == (
        ("systemctl", "--user", "disable", "--now", "gen-cert-musica.timer"),
        ("systemctl", "--user", "stop", "gen-cert-musica.service"),
    )
    assert services.forget_commands("musica", launchd=False)[0] == (
        "systemctl",
        "--user",
        "daemon-reload",
    )


def test_launchd_unloads_an_agent_before_it_loads_it_again() -> None:
    # Bootstrapping a loaded agent fails (launchctl(1)).
    agent = "/home/ada/Library/LaunchAgents/gen-cert-musica.plist"
    assert services.start_commands("musica", HOME, launchd=True, user=501) == (
        ("launchctl", "bootout", "gui/501/gen-cert-musica"),
        ("launchctl", "bootstrap", "gui/501", agent),
    )
    assert services.stop_commands("musica", launchd=True, user=501) == (
        ("launchctl", "bootout", "gui/501/gen-cert-musica"),
    )
    assert services.forget_commands("musica", launchd=True) == ()


@pytest.mark.parametrize(
    ("platform", "units"),
    [
        pytest.param("darwin", {"Library/LaunchAgents/gen-cert-musica.plist"}, id="macOS"),
        pytest.param(
            "linux",
            {f".config/systemd/user/gen-cert-musica.{end}" for end in ("service", "timer")},
            id="Linux",
        ),
    ],
)
def test_each_system_gets_its_own_units(
    platform: str, units: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = inputs.file(resources.CATALOGUE / "musica.yaml")
    compilation = build(inputs.Inputs(spec, None, {}, ()))
    monkeypatch.setattr(sys, "platform", platform)
    artifacts = plan.site_files(tmp_path, compilation, spec, INPUTS).artifacts
    installed = {str(artifact.path) for artifact in artifacts}
    assert set(fnmatch.filter(installed, "*gen-cert*")) == units
    assert ".ssh/gen.d/musica.conf" in installed
