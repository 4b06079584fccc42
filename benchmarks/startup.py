"""CPU time of a start of each command, as a multiple of `python -c pass`.

Run it with the Python that gen is installed for, on a quiet machine: `python
benchmarks/startup.py`. The CPU time (user and system) is that of the process and its children.
Each number is the median of some runs. Nothing is kept from an earlier run but Python's own
bytecode: each run has a home directory without any cache.

cookiecutter, copier and cruft print their version in the same run, where they are installed.
"""

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import generator
from generator.resources import CATALOGUE

RUNS = 21
SCRIPTS = Path(sysconfig.get_path("scripts"))
GEN = str(SCRIPTS / "gen")
MANY = 500
NEIGHBOURS = ("cookiecutter", "copier", "cruft")
CHECKED = "checked"
"""A directory that one site was generated into."""


@dataclass(frozen=True)
class Command:
    """A command to measure."""

    name: str
    words: Sequence[str]
    bound: float | None = None
    """The largest multiple of `python -c pass` that is accepted."""
    environment: Mapping[str, str] | None = None
    statuses: tuple[int, ...] = (0,)


COMPLETION = {"_GEN_COMPLETE": "complete_bash", "COMP_WORDS": "gen site mu", "COMP_CWORD": "2"}
COMMANDS = (
    Command("gen --version", [GEN, "--version"], 2.5),
    Command("completion of a site", [GEN], 8, COMPLETION),
    Command("gen list", [GEN, "list"], 12),
    Command("gen list --json", [GEN, "list", "--json"], 9),
    Command("gen show mila", [GEN, "show", "mila"], 18),
    Command("gen site mila", [GEN, "site", "mila", "--out", "out"], 20),
    Command("gen check", [GEN, "check", CHECKED], 22),
    # Status 1: there is no certificate, so it is due.
    Command("gen refresh --check", [GEN, "refresh", "musica", "--check"], 20, statuses=(1,)),
    Command("gen validate mila", [GEN, "validate", "mila.yaml"]),
    Command("gen --help", [GEN, "--help"]),
)


def cpu_seconds(command: Command, directory: Path) -> float:
    """Return the CPU time of one run."""
    environment = {"HOME": str(directory / "home"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        command.words,
        cwd=directory,
        env={**environment, **(command.environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # getrusage(RUSAGE_CHILDREN) would add up all runs; wait4 returns the times of this one.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in command.statuses:
        raise SystemExit(f"{command.name}: ended with the status {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def median(command: Command, directory: Path) -> float:
    """Return the median CPU time of some runs, after one that writes Python's bytecode."""
    # The environment of the runs has no PYTHONDONTWRITEBYTECODE, whatever that of this process has.
    cpu_seconds(command, directory)
    return statistics.median(cpu_seconds(command, directory) for _ in range(RUNS))


def prepare(directory: Path) -> None:
    """Create a home directory, a spec, and a directory to check."""
    (directory / "home").mkdir()
    shutil.copy(CATALOGUE / "mila.yaml", directory)
    command = [GEN, "site", "mila", "--out", CHECKED, "--user", "ada"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    # Without its bytecode, each run would compile the whole package again.
    if not compileall.compile_dir(Path(generator.__file__).parent, quiet=1):
        raise SystemExit(
            "the bytecode of gen cannot be written; run this as the owner of its files"
        )


def with_many_sites(directory: Path) -> list[Command]:
    """Copy gen, with a catalogue of MANY sites, and return the commands that list and complete."""
    package = directory / "many/generator"
    shutil.copytree(Path(generator.__file__).parent, package)
    specs = (
        (package / "_data/site_specs")
        if (package / "_data").exists()
        else directory / "many/site_specs"
    )
    specs.mkdir(exist_ok=True)
    shipped = sorted(CATALOGUE.glob("*.yaml"))
    for number in range(MANY):
        path = shipped[number % len(shipped)]
        name = f"{path.stem}-{number}"
        text = path.read_text().replace(f"site: {path.stem}\n", f"site: {name}\n", 1)
        (specs / f"{name}.yaml").write_text(text)
    environment = {"PYTHONPATH": str(package.parent)}
    write_index = "from generator.loading import index; print(index.text(), end='')"
    with (specs / "index.json").open("w") as file:
        subprocess.run(
            [sys.executable, "-c", write_index],
            cwd=directory,
            env={**os.environ, **environment},
            stdout=file,
            check=True,
        )
    gen = [sys.executable, "-m", "generator"]
    completion = {**COMPLETION, **environment, "COMP_WORDS": "gen site musica-"}
    return [
        Command(f"gen list, {MANY} sites", [*gen, "list"], 12, environment),
        Command(f"gen list --json, {MANY} sites", [*gen, "list", "--json"], 9, environment),
        Command(f"completion, {MANY} sites", gen, 8, completion),
    ]


def neighbours() -> list[Command]:
    """Return the commands of other tools that are installed beside gen, or on the PATH."""
    commands: list[Command] = []
    for name in NEIGHBOURS:
        beside = SCRIPTS / name
        program = str(beside) if beside.is_file() else shutil.which(name)
        if program:
            arguments = ["--help"] if name == "cruft" else ["--version"]
            commands.append(Command(f"{name} {arguments[0]}", [program, *arguments]))
    return commands


def main() -> int:
    """Print a line for each command; the status is 1 when one is above its bound."""
    too_slow: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        prepare(directory)
        base = median(Command("python", [sys.executable, "-c", "pass"]), directory)
        print(f"python -c pass: {base * 1000:.1f} ms of CPU time, median of {RUNS} runs")
        for command in (*COMMANDS, *with_many_sites(directory), *neighbours()):
            multiple = median(command, directory) / base
            bound = f"  (at most {command.bound:g})" if command.bound else ""
            print(f"{command.name:28}{multiple:6.1f} ×{bound}", flush=True)
            if command.bound and multiple > command.bound:
                too_slow.append(command.name)
    if too_slow:
        print(f"above the bound: {', '.join(too_slow)}")
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
