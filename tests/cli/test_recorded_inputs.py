"""Values of an earlier run: they stay, their changes are printed, `--unset` forgets them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from homes import CERTIFICATE, spec, tree
from running import Gen

SITE = ("site", "mila")
INSTALL = ("install", "mila", "--yes")


@pytest.fixture(params=[SITE, INSTALL], ids=["gen site", "gen install"])
def command(request: pytest.FixtureRequest, gen: Gen, home: Path) -> Sequence[str]:
    """A command that records its inputs; the profile has the user ada."""
    write_profile(home, "user: ada")
    arguments: Sequence[str] = request.param
    return arguments


def write_profile(home: Path, *lines: str) -> None:
    path = home / ".config/gen/profile.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))


def user(home: Path, command: Sequence[str]) -> str | None:
    """Return the user in the ssh configuration that a command wrote."""
    path = Path("ssh/mila.conf") if command == SITE else home / ".ssh/gen.d/mila.conf"
    for line in path.read_text().splitlines():
        if line.startswith("    User "):
            return line.split()[1]
    return None


def values(output: str) -> list[str]:
    """Return the lines about values of an earlier run."""
    labels = ("Kept from the last run", "Changed since the last run")
    lines: list[str] = []
    is_value = False
    for line in output.splitlines():
        if line.startswith(labels):
            lines.append(line.partition(" (")[0].removesuffix(":"))
            is_value = True
        elif is_value and line.startswith("  "):
            lines.append(line.strip())
        else:
            is_value = False
    return lines


def test_an_option_stays_although_the_profile_has_another_value(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    gen(*command, "--user", "hpc1")
    again = gen(*command)
    assert again.status == 0
    assert values(again.err) == ["Kept from the last run", "user: hpc1 (your profile has ada)"]
    assert user(home, command) == "hpc1"
    # The hint is the command of this run.
    forget = f"(to forget a value: gen {command[0]} mila --unset KEY):"
    assert forget in again.err


def test_a_run_without_options_changes_no_byte(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    gen(*command, "--user", "hpc1", "--set", "slurm.partition=main")
    before = [tree(home), tree(Path())]
    gen(*command)
    assert [tree(home), tree(Path())] == before


def test_a_changed_option_is_printed(gen: Gen, home: Path, command: Sequence[str]) -> None:
    gen(*command, "--user", "hpc1")
    again = gen(*command, "--user", "grace")
    assert values(again.err) == ["Changed since the last run", "user: hpc1 → grace"]
    assert user(home, command) == "grace"


def test_unset_forgets_a_value_and_the_profile_has_its_say(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    gen(*command, "--user", "hpc1", "--set", "slurm.partition=main")
    again = gen(*command, "--unset", "user", "--unset", "slurm.partition")
    assert values(again.err) == [
        "Changed since the last run",
        'slurm.partition: "main" → not set',
        "user: hpc1 → ada",
    ]
    assert user(home, command) == "ada"
    # It is forgotten for good.
    assert values(gen(*command).err) == []


def test_a_change_of_the_profile_takes_effect_and_is_printed(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    gen(*command)
    write_profile(home, "user: grace", "account: p1")
    again = gen(*command)
    assert values(again.err) == [
        "Changed since the last run",
        "account: not set → p1",
        "user: ada → grace",
    ]
    assert user(home, command) == "grace"


def test_a_value_that_the_profile_has_no_longer_stays(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    gen(*command)
    # A colleague, or a runner of CI, who regenerates the file has no profile.
    (home / ".config/gen/profile.yaml").unlink()
    again = gen(*command)
    assert values(again.err) == ["Kept from the last run", "user: ada"]
    assert user(home, command) == "ada"
    assert values(gen(*command, "--unset", "user").err) == [
        "Changed since the last run",
        "user: ada → not set",
    ]
    assert user(home, command) is None


def test_a_change_of_the_spec_in_the_profile_gives_way_to_an_option(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    write_profile(home, "sites: { mila: { set: { slurm.partition: long } } }")
    gen(*command)
    gen(*command, "--set", "slurm.partition=main")
    again = gen(*command)
    assert values(again.err) == [
        "Kept from the last run",
        'slurm.partition: "main" (your profile has "long")',
    ]
    again = gen(*command, "--unset", "slurm.partition")
    assert values(again.err) == [
        "Changed since the last run",
        'slurm.partition: "main" → "long"',
    ]


def test_a_switch_that_has_its_default_stays_too(
    gen: Gen, home: Path, command: Sequence[str]
) -> None:
    write_profile(home, "user: ada", "multiplexing: false")
    path = Path("ssh/mila.conf") if command == SITE else home / ".ssh/gen.d/mila.conf"
    gen(*command, "--multiplexing")
    assert "ControlMaster auto" in path.read_text()
    gen(*command)
    assert "ControlMaster auto" in path.read_text()
    gen(*command, "--unset", "multiplexing")
    assert "ControlMaster auto" not in path.read_text()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param(
            "slurm.partitoin",
            "--unset slurm.partitoin: is not recorded for mila; did you mean slurm.partition?"
            " (recorded: slurm.partition, user)",
            id="a misspelt key of the spec",
        ),
        pytest.param(
            "usre",
            "--unset usre: is not recorded for mila; did you mean user?"
            " (recorded: slurm.partition, user)",
            id="a misspelt key of the profile",
        ),
    ],
)
def test_unset_refuses_a_key_that_is_not_recorded(
    gen: Gen, command: Sequence[str], key: str, message: str
) -> None:
    gen(*command, "--set", "slurm.partition=main")
    refused = gen(*command, "--unset", key)
    assert (refused.status, refused.err) == (2, f"{message}\n")


def test_a_value_of_the_profile_may_be_unset_twice(gen: Gen, command: Sequence[str]) -> None:
    gen(*command, "--account", "p1")
    assert gen(*command, "--unset", "account").status == 0
    assert gen(*command, "--unset", "account").status == 0


def test_install_takes_nothing_from_the_lock_of_a_checkout(gen: Gen, home: Path) -> None:
    options = ("--user", "mallory", "--set", "hosts.mila.port=2200", "--identity-file", "~/key")
    assert gen("site", "mila", *options).status == 0
    result = gen("install", "mila", "--yes")
    assert result.status == 0
    conf = (home / ".ssh/gen.d/mila.conf").read_text()
    for value in ("mallory", "2200", "~/key"):
        assert value not in conf


def test_status_and_refresh_have_the_values_of_the_installation(gen: Gen, home: Path) -> None:
    path = spec(Path(), auth=CERTIFICATE | {"command": ["sh", "-c", "exit 1"], "key": "~/{user}"})
    write_profile(home, "user: ada")
    assert gen("install", str(path), "--user", "hpc1", "--yes").status == 0
    [status] = json.loads(gen("status", "ours", "--json").out)["sites"]
    assert status["certificate"] == str(home / "hpc1-cert.pub")
    check = gen("refresh", "ours", "--check")
    assert "~/hpc1-cert.pub" in check.err
    # The path of a spec is not the installed site.
    check = gen("refresh", str(path.absolute()), "--check")
    assert "~/ada-cert.pub" in check.err


def test_every_value_of_a_profile_has_an_option(gen: Gen, home: Path) -> None:
    options = ("--email", "a@b.org", "--client-id", "c1", "--allocation", "p2", "--home", "/home/a")
    assert gen("site", "musica", "--no-renew-on-connect", *options).status == 0
    recorded = json.loads(Path(".gen/musica.lock").read_text())["inputs"]
    assert recorded["profile"] == {
        "allocation": "p2",
        "client_id": "c1",
        "email": "a@b.org",
        "home": "/home/a",
        "renew_on_connect": False,
    }
    assert recorded["options"] == [*recorded["profile"]]


def test_a_dry_run_prints_the_kept_values_too(gen: Gen, home: Path) -> None:
    gen("site", "mila", "--user", "hpc1")
    result = gen("site", "mila", "--dry-run")
    assert result.out == ""
    assert values(result.err) == ["Kept from the last run", "user: hpc1"]


def test_what_a_lock_decides_about_machines_and_keys_is_printed_first(gen: Gen, home: Path) -> None:
    gen(*SITE)
    Path("mila-pipelines").rename("pipelines")
    options = ("--user", "hpc1", "--email", "ada@example.org", "--identity-file", "~/.ssh/shared")
    changes = ("--set", "hosts.mila.port=22", "--set", "slurm.partition=main")
    gen(*SITE, *options, *changes, "--project", "pipelines", "--force")
    again = gen(*SITE)
    assert again.status == 0, again.err
    assert values(again.err) == [
        "Kept from the last run",
        "identity_file: ~/.ssh/shared",
        "hosts.mila.port: 22",
        'slurm.partition: "main"',
        "email: ada@example.org",
        "user: hpc1",
        "Dagster project: pipelines (--no-project leaves it alone)",
    ]


def test_the_usual_project_of_a_lock_is_not_printed(gen: Gen, home: Path) -> None:
    gen(*SITE, "--user", "hpc1")
    assert values(gen(*SITE).err) == ["Kept from the last run", "user: hpc1"]
