"""The commands that the timer and ssh run: found or not, and the links to them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from homes import CERTIFICATE, spec
from running import Gen

from generator.compiler.account import Account
from generator.errors import GenError
from generator.install import commands
from generator.install.apply import delete_link
from generator.install.commands import MissingCommand, make_link, missing_commands, planned_link
from generator.install.record import CommandLink
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

RECORD = ".local/state/gen/install/home.json"
Put = Callable[[str], Path]


@pytest.fixture
def put(home: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Make a program below the home directory; nothing else is found, and systemd is silent."""
    monkeypatch.setenv("PATH", str(home / "shell"))
    # A step of this machine must not count.
    monkeypatch.setattr(commands, "_SYSTEM_DIRECTORIES", str(home / "system"))

    def program(name: str) -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    return program


def names(home: Path, site: str = "musica", **profile: Any) -> list[str]:
    account = Account(validate.site(CATALOGUE / f"{site}.yaml"), SiteProfile(**profile))
    return [command.name for command in missing_commands(home, account)]


def test_a_command_counts_only_where_the_timer_searches(home: Path, put: Put) -> None:
    for name in ("gen", "step"):
        put(f"shell/{name}")
    # systemd and launchd have a short PATH, whatever the shell of the user has.
    assert names(home) == ["gen", "step"]
    put(".local/bin/gen")
    assert names(home) == ["step"]
    put("system/step")
    assert names(home) == []


def test_another_name_of_step_is_searched_and_a_path_is_not(home: Path, put: Put) -> None:
    put(".local/bin/gen")
    assert names(home, step_binary="step-cli") == ["step-cli"]
    # A path needs no search; whether it exists is a question for gen refresh.
    assert names(home, step_binary="/opt/step") == []


def test_a_site_without_certificates_needs_no_command(home: Path, put: Put) -> None:
    assert names(home, "mila") == []


def test_the_message_is_a_command_to_paste(home: Path, put: Put) -> None:
    # With a space, which the shell must not take for the end of the path.
    command = MissingCommand("step", home / "my tools/step")
    assert command.message == (
        "step: the timer and ssh do not find it; run: mkdir -p ~/.local/bin && "
        f"ln -sfn '{home}/my tools/step' ~/.local/bin/step"
    )
    assert MissingCommand("step", None).message == (
        "step: is not installed, so the timer and ssh cannot run it"
    )


def test_a_link_to_an_environment_that_is_gone_is_replaced(home: Path, put: Put) -> None:
    place = put("shell/gen")
    link = home / ".local/bin/gen"
    link.parent.mkdir(parents=True)
    # A virtual environment that was made again elsewhere.
    link.symlink_to(home / "gone/gen")
    made = planned_link(home, MissingCommand("gen", place))
    assert made == CommandLink(".local/bin/gen", str(place), created_directory=False)
    make_link(home, made)
    assert link.resolve() == place
    delete_link(home, made)
    assert list(link.parent.iterdir()) == []


def test_a_file_in_the_way_stays(home: Path, put: Put) -> None:
    place = put("shell/gen")
    blocking = home / ".local/bin/gen"
    blocking.parent.mkdir(parents=True)
    blocking.write_text("not a program")
    with pytest.raises(GenError, match=r"/\.local/bin/gen: is in the way; gen: the timer"):
        planned_link(home, MissingCommand("gen", place))


def test_a_link_that_leads_elsewhere_since_stays(home: Path, put: Put) -> None:
    link = CommandLink(".local/bin/gen", "/old/gen", created_directory=True)
    path = home / link.path
    path.parent.mkdir(parents=True)
    # The user made this one since, so it is not gen's to delete.
    path.symlink_to("/new/gen")
    delete_link(home, link)
    assert path.is_symlink()
    path.unlink()
    path.symlink_to("/old/gen")
    delete_link(home, link)
    assert not path.parent.exists()


def installed_with_links(gen: Gen, home: Path, *sites: str) -> Path:
    """Install sites whose record says that gen made the same link for each, and return it."""
    for site in sites:
        assert gen("install", str(spec(Path(), site, auth=CERTIFICATE)), "--yes").status == 0
    # The link is shared, and so recorded for each site.
    link = {"path": ".local/bin/gen", "target": "/venv/gen", "created_directory": True}
    record = json.loads((home / RECORD).read_text())
    record["optional_changes"] = {key: {"links": [link]} for key in sites}
    (home / RECORD).write_text(json.dumps(record))
    path = home / ".local/bin/gen"
    path.parent.mkdir(parents=True)
    path.symlink_to("/venv/gen")
    return path


def test_a_link_stays_as_long_as_a_site_needs_it(gen: Gen, home: Path) -> None:
    link = installed_with_links(gen, home, "one", "two")
    assert gen("uninstall", "one", "--yes").status == 0
    assert link.is_symlink()
    assert gen("uninstall", "two", "--yes").status == 0
    assert not link.parent.exists()


@pytest.mark.parametrize("path", ["thesis.tex", ".local/bin/../x", ".ssh/id_ed25519"])
def test_a_record_with_a_link_that_gen_never_makes_is_refused(
    gen: Gen, home: Path, path: str
) -> None:
    installed_with_links(gen, home, "one")
    record = (home / RECORD).read_text().replace(".local/bin/gen", path)
    (home / RECORD).write_text(record)
    result = gen("uninstall", "one", "--yes")
    assert result.status == 2
    assert f"optional_changes.one: gen never writes {path!r}" in result.err


def test_without_a_terminal_install_prints_the_command_and_makes_no_link(
    gen: Gen, home: Path
) -> None:
    result = gen("install", str(spec(Path(), auth=CERTIFICATE)), "--yes")
    assert result.status == 0
    missing = "get-certificate: is not installed, so the timer and ssh cannot run it"
    assert missing in result.err
    assert not (home / ".local/bin").exists()
    status = gen("status")
    assert status.status == 1
    assert f"  {missing}\n" in status.out


def test_install_and_status_say_that_step_is_missing(
    gen: Gen, home: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("system/gen")
    for name in ("ssh", "ssh-keygen"):
        (home / "system" / name).symlink_to(shutil.which(name, path=os.defpath) or name)
    monkeypatch.setenv("PATH", str(home / "system"))
    result = gen("install", "musica", "--yes", "--user", "ada", "--email", "a@example.org")
    missing = "step: is not installed, so the timer and ssh cannot run it"
    assert f"\n{missing}\n" in result.err
    status = gen("status")
    assert (status.status, f"  {missing}\n" in status.out) == (1, True)


def test_a_command_that_only_the_timer_finds_is_named_with_the_path_to_add(
    home: Path, put: Put
) -> None:
    account = Account(validate.site(CATALOGUE / "musica.yaml"), SiteProfile())
    # Where nobody finds it, missing_commands says so.
    assert commands.shell_messages(home, account) == []
    put("system/step")
    assert commands.shell_messages(home, account) == [
        "step: only the timer and ssh find it; for gen refresh in this shell, run: "
        f'export PATH="$PATH":{home}/system'
    ]
    put("shell/step")
    assert commands.shell_messages(home, account) == []
