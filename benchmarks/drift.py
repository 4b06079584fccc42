"""What `gen check` costs over 10, 100 and 1,000 generated projects, beside `copier check-update` and `cruft check`.

Run it with the Python that gen is installed for: `python benchmarks/drift.py`. Aims: 3 ms for one more project, 200 MiB
for 1,000. Every project has a folder of its own and is generated for another person, from ten of the specs that ship
with gen. copier and cruft are those of a virtual environment: `--with DIR` names one, else a scratch one is made before
anything is measured. Their template is a local git repository of as many files; nothing comes from the network
meanwhile. They check one project a process, so each of them runs 10 and 100 times, and 1,000 is ten times 100.
"""

import argparse
import contextlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SIZES = (10, 100, 500, 1000)
THEIRS = (10, 100)
SPECS = 10  # at every size, so that the sizes differ in nothing but the number of projects
RUNS = 7
COST = 0.003  # seconds for one more project
MEMORY = 200  # MiB for 1,000 projects
FILES = 4  # of a template; gen writes 2 to 6 for a project, and its lock
GEN = str(Path(sysconfig.get_path("scripts")) / "gen")
GIT = [
    "git",
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "init.defaultBranch=main",
]


@dataclass(frozen=True)
class Run:
    """A command that ran: how long, and how much memory it took at most."""

    seconds: float
    mebibytes: float


def run(command: list[str]) -> Run:
    """Run a command that finds everything current."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return Run(seconds, usage.ru_maxrss * unit / 2**20)


def generate(folder: Path, number: int) -> None:
    """Generate projects below a folder, each for another person."""
    from generator.cli.site import run as site
    from generator.loading.inputs import Choice
    from generator.resources import CATALOGUE

    shutil.copytree(CATALOGUE, folder / "site_specs")
    specs = sorted((folder / "site_specs").glob("*.yaml"))[:SPECS]
    for n in range(number):
        person = {"user": f"user{n}", "email": f"user{n}@example.org"}
        choice = Choice(str(specs[n % len(specs)]), None, None, person, ())
        with contextlib.redirect_stderr(io.StringIO()):
            site(choice, folder / f"project-{n:04}", dry_run=False, force=False, as_json=False)


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)


def template(folder: Path, inner: str, answers: str, content: str, suffix: str = "") -> None:
    """Make a template in a git repository, with the file that holds the answers and those that are rendered."""
    (folder / inner).mkdir(parents=True)
    (folder / answers).write_text(content)
    for n in range(FILES):
        (folder / inner / f"file{n}.conf{suffix}").write_text("# a line\n" * 20)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A template")
    git(folder, "tag", "v1.0.0")


def many(first: Path, number: int) -> list[Path]:
    """Copy a project, its answers with it, and return all of them."""
    copies = [first.with_name(f"{first.name}-{n:04}") for n in range(1, number)]
    for copy in copies:
        shutil.copytree(first, copy)
    return [first, *copies]


def copier(tools: Path, folder: Path) -> Callable[[Path], list[str]]:
    """Make a project of copier's, and return how one is checked."""
    template(folder / "template", ".", "copier.yml", "name: { type: str, default: x }\n")
    remembered = "{{ _copier_answers|to_nice_yaml }}"
    (folder / "template" / "{{ _copier_conf.answers_file }}.jinja").write_text(remembered)
    git(folder / "template", "add", "--all")
    git(folder / "template", "commit", "--quiet", "--message", "Answers")
    git(folder / "template", "tag", "v1.0.1")
    subprocess.run(
        [
            str(tools / "copier"),
            "copy",
            "--quiet",
            "--defaults",
            str(folder / "template"),
            str(folder / "project"),
        ],
        check=True,
        capture_output=True,
    )
    return lambda project: [str(tools / "copier"), "check-update", "--quiet", str(project)]


def cruft(tools: Path, folder: Path) -> Callable[[Path], list[str]]:
    """Make a project of cruft's, and return how one is checked."""
    template(
        folder / "template", "{{cookiecutter.name}}", "cookiecutter.json", '{ "name": "project" }\n'
    )
    subprocess.run(
        [
            str(tools / "cruft"),
            "create",
            str(folder / "template"),
            "--no-input",
            "--output-dir",
            str(folder),
        ],
        check=True,
        capture_output=True,
    )
    return lambda project: [str(tools / "cruft"), "check", "--project-dir", str(project)]


def tools_in(folder: Path) -> Path:
    """Make a virtual environment with copier and cruft, and return where its commands are."""
    venv.create(folder, with_pip=True)
    subprocess.run([str(folder / "bin/pip"), "install", "--quiet", "copier", "cruft"], check=True)
    return folder / "bin"


def part(whole: Path, folder: Path, number: int) -> Path:
    """Copy the specs and as many projects."""
    for path in (whole / "site_specs", *sorted(whole.glob("project-*"))[:number]):
        shutil.copytree(path, folder / path.name)
    return folder


def ours(folder: Path) -> tuple[dict[int, float], float]:
    """Measure `gen check`, all sizes in turn, and return the median for each and the memory of the largest."""
    generate(folder / "all", SIZES[-1])
    commands = {
        size: [GEN, "check", str(part(folder / "all", folder / f"gen-{size}", size))]
        for size in SIZES
    }
    for command in commands.values():
        run(command)
    runs = [{size: run(command) for size, command in commands.items()} for _ in range(RUNS)]
    seconds = {size: statistics.median(one[size].seconds for one in runs) for size in SIZES}
    memory = {size: max(one[size].mebibytes for one in runs) for size in SIZES}
    for size in SIZES:
        print(
            f"gen check           {size:5} projects {seconds[size]:9.2f} s {memory[size]:6.0f} MiB"
        )
    return seconds, memory[SIZES[-1]]


def theirs(
    name: str, make: Callable[[Path, Path], Callable[[Path], list[str]]], tools: Path, folder: Path
) -> dict[int, float]:
    """Measure another tool, one process a project, and return the seconds for each size."""
    folder.mkdir()
    command = make(tools, folder)
    seconds: dict[int, float] = {}
    projects = many(folder / "project", THEIRS[-1])
    run(command(projects[0]))
    for size in THEIRS:
        seconds[size] = sum(run(command(project)).seconds for project in projects[:size])
        print(f"{name:19} {size:5} projects {seconds[size]:9.2f} s")
    seconds[SIZES[-1]] = seconds[THEIRS[-1]] * SIZES[-1] / THEIRS[-1]
    print(f"{name:19} {SIZES[-1]:5} projects {seconds[SIZES[-1]]:9.2f} s, ten times 100")
    return seconds


def main() -> int:
    """Print a line for each size and tool; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--with", dest="tools", type=Path, metavar="DIR", help="virtual environment with both tools"
    )
    parser.add_argument("--alone", action="store_true", help="measure gen check only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        others: dict[str, dict[int, float]] = {}
        tools = (
            None
            if options.alone
            else options.tools / "bin"
            if options.tools
            else tools_in(folder / "venv")
        )
        seconds, memory = ours(folder)
        if tools:
            tools = tools.absolute()
            others["copier check-update"] = theirs(
                "copier check-update", copier, tools, folder / "copier"
            )
            others["cruft check"] = theirs("cruft check", cruft, tools, folder / "cruft")
    least, _, half, most = SIZES
    lower = (seconds[half] - seconds[least]) / (half - least)
    upper = (seconds[most] - seconds[half]) / (most - half)
    more = (seconds[most] - seconds[least]) / (most - least)
    print(f"one more project    {more * 1000:.2f} ms (aim: {COST * 1000:.0f} ms)")
    print(
        f"growth              {upper / lower:.2f} (what one more costs above {half}, and below; 1 is linear)"
    )
    print(f"memory              {memory:.0f} MiB for {most} projects (aim: {MEMORY} MiB)")
    for other, took in others.items():
        ratios = ", ".join(f"{took[size] / seconds[size]:.0f} × for {size}" for size in took)
        print(f"{other:19} takes {ratios}")
    return 1 if more > COST or memory > MEMORY else 0


if __name__ == "__main__":
    sys.exit(main())
