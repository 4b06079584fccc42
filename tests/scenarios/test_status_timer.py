"""`gen status` asks a real systemd user manager for the next run of the timer."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from usermanager import PROGRAMS, UserManager, user_manager

import generator
from generator import resources
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.schema.profile import SiteProfile

pytestmark = pytest.mark.system


def status(manager: UserManager, *options: str) -> str:
    python_path = f"PYTHONPATH={Path(generator.__file__).parents[1]}"
    process = manager.run(
        "env",
        python_path,
        "TZ=America/New_York",
        sys.executable,
        "-m",
        "generator",
        "status",
        "musica",
        *options,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_status_shows_the_next_run_or_the_command_that_starts_the_timer(
    need: Callable[..., None],
) -> None:
    need(*PROGRAMS, root=True)
    site = validate.site(resources.CATALOGUE / "musica.yaml")
    units = []
    for artifact in compile_site(site, SiteProfile(user="ada")):
        if artifact.path.parts[0] == "systemd":
            units.append(artifact)
    with user_manager() as manager:
        manager.install(*units)
        line = (
            "  timer         not running; start it with:"
            " systemctl --user enable --now gen-cert-musica.timer"
        )
        assert line in status(manager).splitlines()
        manager.systemctl("start", "gen-cert-musica.timer")
        assert "  timer         next run at 20" in status(manager)
        [site_status] = json.loads(status(manager, "--json"))["sites"]
        assert site_status["timer"]["running"]
        assert 0 <= site_status["timer"]["next_run"] - time.time() <= 15 * 60, (
            "in UTC, whatever the zone"
        )
