"""Questions to ssh about a configuration, on copies of its files; the real ssh answers."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from generator.errors import GenError
from generator.ssh.config_files import Files, read_configuration
from generator.ssh.effective_config import effective_lines, effective_settings
from generator.ssh.renewal_command import RENEWAL_COMMAND

Configuration = Callable[[Mapping[str, str]], Files]


@pytest.fixture
def configuration(tmp_path: Path, need: Callable[..., None]) -> Configuration:
    """Return a function that writes files below ~/.ssh, and returns the configuration."""
    need("ssh")

    def write(files: Mapping[str, str]) -> Files:
        for name, content in files.items():
            path = tmp_path / ".ssh" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        # The file of this machine would add lines of its own.
        return Files(tmp_path, system=tmp_path / "ssh_config")

    return write


def places(files: Files, name: str) -> list[str]:
    """Return the places of the lines that apply to a name."""
    lines = effective_lines(read_configuration(files), [name])[name]
    return [line.location for line in lines]


def test_the_settings_of_several_names_are_returned(configuration: Configuration) -> None:
    files = configuration({"config": "Host a\n  Port 1\nHost b\n  Port 2\n"})
    settings = effective_settings(read_configuration(files), ["a", "b", "c"])
    ports = {name: values["port"] for name, values in settings.items()}
    assert ports == {"a": ("1",), "b": ("2",), "c": ("22",)}


def test_the_overlay_replaces_files_and_adds_them(configuration: Configuration) -> None:
    files = configuration({"config": "Port 1\n", "d/a.conf": "User a\n"})
    config = files.home / ".ssh/config"
    overlay = {
        config: b"Include d/*.conf\n",
        # None stands for a file that the plan deletes.
        config.with_name("d") / "a.conf": None,
        config.with_name("d") / "b.conf": b"User b\n",
    }
    planned = Files(files.home, overlay, files.system)
    settings = effective_settings(read_configuration(planned), ["x"])["x"]
    assert (settings["port"], settings["user"]) == (("22",), ("b",))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"config": "User a\nHost x\n  Port 1\nHost y\n  Port 2\n"},
            ["~/.ssh/config:1", "~/.ssh/config:3"],
            id="before and in a Host block",
        ),
        pytest.param(
            # ssh_config(5), PATTERNS: a negation excludes, whatever else matches.
            {"config": "Host * !x\n  Port 1\nHost x*\n  Port 2\n"},
            ["~/.ssh/config:4"],
            id="negated pattern",
        ),
        pytest.param(
            {"config": "Match host y\n  Port 1\nMatch host x exec true\n  Port 2\n"},
            ["~/.ssh/config:4"],
            id="Match with two criteria",
        ),
        pytest.param(
            {"config": 'Match host x exec "false"\n  Port 1\nMatch all\n  Port 2\n'},
            ["~/.ssh/config:4"],
            id="Match all",
        ),
        pytest.param(
            {
                "config": "Host x\n  Include d/*\n  Port 3\n",
                # A block of an included file ends with the file, and the block around it goes on.
                "d/a": "Port 1\nHost y\n  Port 4\n",
                "d/b": "Host x\n  Port 2\n",
            },
            ["~/.ssh/d/a:1", "~/.ssh/d/b:2", "~/.ssh/config:3"],
            id="Include in a block that applies",
        ),
        pytest.param(
            {"config": "Host y\n  Include d\n  Port 3\n", "d": "Port 1\nHost x\n  Port 2\n"},
            [],
            id="Include in a block that does not apply",
        ),
        pytest.param(
            # Only a second reading finds it, which ssh -G makes too.
            {"config": "Match final host x\n  Port 1\n"},
            ["~/.ssh/config:2"],
            id="Match final",
        ),
    ],
)
def test_the_lines_that_apply_are_returned(
    files: Mapping[str, str], expected: list[str], configuration: Configuration
) -> None:
    assert places(configuration(files), "x") == expected


def test_lines_of_the_system_apply_after_those_of_the_user(configuration: Configuration) -> None:
    files = configuration({"config": "Host y\n  Port 1\nHost *\n  User a\n"})
    files.system.write_text("Port 2\n")
    assert places(files, "x") == ["~/.ssh/config:4", "~/ssh_config:1"]


def test_a_question_runs_no_command_of_a_site(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin/gen"
    program.parent.mkdir()
    # A gen that leaves a trace: the real one would ask the provider for a certificate.
    program.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    command = f"/bin/sh -c '{RENEWAL_COMMAND}' mila"
    match = f'Match originalhost x exec "{command}"\n'
    # At the top and in an included file, since each is copied on its own.
    files = configuration({"config": f"{match}Include d\n", "d": match})
    effective_settings(read_configuration(files), ["x"])
    effective_lines(read_configuration(files), ["x"])
    assert not (tmp_path / "runs").exists()


def test_a_command_of_the_user_is_run_since_it_decides(configuration: Configuration) -> None:
    # Without it gen would show settings that ssh does not use.
    files = configuration({"config": 'Match exec "test %n = x"\n  Port 1\n'})
    settings = effective_settings(read_configuration(files), ["x", "y"])
    assert (settings["x"]["port"], settings["y"]["port"]) == (("1",), ("22",))


def test_a_command_can_see_that_gen_asks(configuration: Configuration) -> None:
    # `gen refresh --on-connect` does nothing then, even in a file that only ssh finds.
    files = configuration({"config": 'Match exec "env | grep -q ^GEN_ASKS_SSH="\n  Port 1\n'})
    settings = effective_settings(read_configuration(files), ["x"])
    assert settings["x"]["port"] == ("1",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {"config": "Host x\n  Prot 1\n"},
            "~/.ssh/config:2: bad configuration option: prot",
            id="unknown option",
        ),
        pytest.param(
            # ssh lists all of them; the first one is the one to fix first.
            {"config": "Host x\n  Prot 1\n  Hosst y\n"},
            "~/.ssh/config:2: bad configuration option: prot",
            id="two unknown options",
        ),
        pytest.param(
            {"config": "Host x\nInclude d\n", "d": "\nPort x\n"},
            "~/.ssh/d:2: bad port 'x'.",
            id="bad value in an included file",
        ),
        pytest.param(
            {"config": "Host y\nInclude d\n", "d": "IgnoreUnknown Foo,Pro?\nProt 1\n"},
            "~/.ssh/d:2: bad configuration option: prot\n"
            "~/.ssh/d:1: this IgnoreUnknown has no effect below a Host or Match line; "
            "move the Include of this file to the top",
            id="IgnoreUnknown below a Host line",
        ),
        pytest.param(
            {"config": "IgnoreUnknown Foo\nInclude d\n", "d": "Prot 1\n"},
            "~/.ssh/d:1: bad configuration option: prot\n"
            "~/.ssh/config:1: ssh uses this IgnoreUnknown only, and no later one; "
            "add the option to it",
            id="IgnoreUnknown for another option",
        ),
    ],
)
def test_an_error_names_the_file_and_not_its_copy(
    files: Mapping[str, str], message: str, configuration: Configuration
) -> None:
    with pytest.raises(GenError) as error:
        effective_settings(read_configuration(configuration(files)), ["x"])
    lines = str(error.value).splitlines()
    assert "\n".join(lines[: message.count("\n") + 1]) == message
    assert lines[-1] == "ssh does not accept this configuration, so it refuses every host."


def test_an_error_that_names_no_line_is_that_of_ssh(configuration: Configuration) -> None:
    files = configuration({"config": "Host x\nHostName %q\n"})
    with pytest.raises(GenError) as error:
        effective_settings(read_configuration(files), ["x"])
    assert re.fullmatch(r"ssh fails: .*unknown key %q; .*", str(error.value))


@pytest.mark.parametrize("name", ["config", "d"])
def test_a_fifo_is_refused(name: str, configuration: Configuration) -> None:
    files = configuration({"config": "Include d\n"})
    path = files.home / ".ssh" / name
    path.unlink(missing_ok=True)
    if name == "d":
        (files.home / ".ssh/config").write_text("Include d\n")
    os.mkfifo(path)
    with pytest.raises(GenError) as error:
        effective_settings(read_configuration(files), ["x"])
    assert str(error.value) == f"{path}: is a FIFO; move it away, then try again"


def test_files_that_include_each_other_are_left_to_ssh(
    configuration: Configuration, tmp_path: Path
) -> None:
    # Ten files that each include all ten would be read in 3,628,800 orders.
    include = f"Include {tmp_path}/.ssh/d/*\n"
    files = {f"d/{number}": include for number in range(10)}
    refuses_too_many_levels(configuration({"config": include} | files))


def refuses_too_many_levels(files: Files) -> None:
    with pytest.raises(GenError) as error:
        effective_settings(read_configuration(files), ["x"])
    assert "too many recursive" in str(error.value).lower()


@pytest.mark.parametrize("depth", [15, 40])
def test_more_levels_of_include_than_ssh_reads_are_left_to_ssh(
    configuration: Configuration, tmp_path: Path, depth: int
) -> None:
    directory = tmp_path / ".ssh/d"
    contents = {f"d/{number}": f"Include {directory}/{number + 1}\n" for number in range(depth)}
    contents |= {"config": f"Include {directory}/0\n", f"d/{depth}": "Port 2222\n"}
    files = configuration(contents)
    if depth == 40:
        refuses_too_many_levels(files)
        return
    settings = effective_settings(read_configuration(files), ["x"])
    assert settings["x"]["port"] == ("2222",)
