"""Measure `gen check` and `gen review` over many projects, beside the checks of copier and cruft.

Run it with the Python that gen is installed for: `python benchmarks/drift.py`. The numbers of
projects are 10, 100, 500 and 1,000. The aims: one more project takes at most 2 ms of CPU time in a
check, and 5 ms in a review of one changed site, both with 1,000 of them; a check of 1,000 projects
takes at most 100 MiB. Each project has a directory of its own and is generated for another user,
from ten of the specs that ship with gen. The other tools come from a virtual environment: `--with
DIR` names one; otherwise the benchmark makes one before it measures anything. Their template is a
local git repository with as many files, so nothing is downloaded during the measurement. They
check one project per process, so each of them runs 10 and 100 times, and the time for 1,000 is ten
times that for 100.
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
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SIZES = (10, 100, 500, 1000)
OTHER_SIZES = (10, 100)
SPECS = 10  # at every size, so that the sizes differ in nothing but the number of projects
RUNS = 7
COST = 0.002  # seconds of CPU time for one more project
REVIEW_COST = 0.005  # seconds of CPU time for one more project that did not change
MEMORY = 100  # MiB for 1,000 projects
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
    """The CPU time and the largest memory of a command."""

    seconds: float
    mebibytes: float


def run(command: list[str], directory: Path | None = None) -> Run:
    """Run a command that ends with 0, in a directory. The time of the programs that it runs counts.

    CPU time, unlike elapsed time, is nearly the same on a busy machine.
    """
    child = subprocess.Popen(
        command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = usage.ru_utime + usage.ru_stime
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return Run(seconds, usage.ru_maxrss * unit / 2**20)


def generate(directory: Path, number: int) -> None:
    """Generate projects below a directory, each for another user."""
    from generator.cli.site import run as site
    from generator.loading.inputs import Choice
    from generator.resources import CATALOGUE

    shutil.copytree(CATALOGUE, directory / "site_specs")
    specs = sorted((directory / "site_specs").glob("*.yaml"))[:SPECS]
    for n in range(number):
        user = {"user": f"user{n}", "email": f"user{n}@example.org"}
        choice = Choice(str(specs[n % len(specs)]), None, None, user, ())
        with contextlib.redirect_stderr(io.StringIO()):
            site([choice], directory / f"project-{n:04}", dry_run=False, force=False, as_json=False)


def git(directory: Path, *arguments: str) -> None:
    """Run git in a directory."""
    subprocess.run([*GIT, *arguments], cwd=directory, check=True, capture_output=True)


def template(directory: Path, inner: str, answers: str, content: str, suffix: str = "") -> None:
    """Make a template in a git repository: the file of answers, and the files to render."""
    (directory / inner).mkdir(parents=True)
    (directory / answers).write_text(content)
    for n in range(FILES):
        (directory / inner / f"file{n}.conf{suffix}").write_text("# a line\n" * 20)
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "A template")
    git(directory, "tag", "v1.0.0")


def many(first: Path, number: int) -> list[Path]:
    """Copy a project with its answers, and return the project and its copies."""
    copies = [first.with_name(f"{first.name}-{n:04}") for n in range(1, number)]
    for copy in copies:
        shutil.copytree(first, copy)
    return [first, *copies]


def copier(tools: Path, directory: Path) -> Callable[[Path], list[str]]:
    """Make a project of copier, and return a function that names the command to check it."""
    template(directory / "template", ".", "copier.yml", "name: { type: str, default: x }\n")
    remembered = "{{ _copier_answers|to_nice_yaml }}"
    (directory / "template" / "{{ _copier_conf.answers_file }}.jinja").write_text(remembered)
    git(directory / "template", "add", "--all")
    git(directory / "template", "commit", "--quiet", "--message", "Answers")
    git(directory / "template", "tag", "v1.0.1")
    subprocess.run(
        [
            str(tools / "copier"),
            "copy",
            "--quiet",
            "--defaults",
            str(directory / "template"),
            str(directory / "project"),
        ],
        check=True,
        capture_output=True,
    )
    return lambda project: [str(tools / "copier"), "check-update", "--quiet", str(project)]


def cruft(tools: Path, directory: Path) -> Callable[[Path], list[str]]:
    """Make a project of cruft, and return a function that names the command to check it."""
    template(
        directory / "template",
        "{{cookiecutter.name}}",
        "cookiecutter.json",
        '{ "name": "project" }\n',
    )
    subprocess.run(
        [
            str(tools / "cruft"),
            "create",
            str(directory / "template"),
            "--no-input",
            "--output-dir",
            str(directory),
        ],
        check=True,
        capture_output=True,
    )
    return lambda project: [str(tools / "cruft"), "check", "--project-dir", str(project)]


def tools_in(directory: Path) -> Path:
    """Make a virtual environment with copier and cruft; return the directory of its commands."""
    venv.create(directory, with_pip=True)
    subprocess.run(
        [str(directory / "bin/pip"), "install", "--quiet", "copier", "cruft"], check=True
    )
    return directory / "bin"


def part(whole: Path, directory: Path, number: int) -> Path:
    """Copy the specs and as many projects."""
    for path in (whole / "site_specs", *sorted(whole.glob("project-*"))[:number]):
        shutil.copytree(path, directory / path.name)
    return directory


def measure_gen(directory: Path) -> tuple[dict[int, float], float]:
    """Measure `gen check`, all sizes in turn; return the medians, and the memory of the largest."""
    generate(directory / "all", SIZES[-1])
    commands = {
        size: [GEN, "check", str(part(directory / "all", directory / f"gen-{size}", size))]
        for size in SIZES
    }
    for command in commands.values():
        run(command)
    runs: dict[int, list[Run]] = {size: [] for size in SIZES}
    for _ in range(RUNS):
        for size, command in commands.items():
            runs[size].append(run(command))
    seconds: dict[int, float] = {}
    memory = 0.0
    for size in SIZES:
        seconds[size] = statistics.median(result.seconds for result in runs[size])
        memory = max(result.mebibytes for result in runs[size])
        print(f"gen check           {size:5} projects {seconds[size]:9.2f} s {memory:6.0f} MiB")
    return seconds, memory


def change_one_site(directory: Path) -> None:
    """Commit all projects, then change a generated file of one of them and the spec behind it."""
    git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", "Generated")
    changed = next((directory / "project-0000/ssh").glob("*.conf"))
    changed.write_text(f"{changed.read_text()}# by hand\n")
    spec = directory / "site_specs" / f"{changed.stem}.yaml"
    spec.write_text(f"{spec.read_text()}# by hand\n")


def measure_review(directory: Path) -> dict[int, float]:
    """Measure `gen review` of one changed site in the smallest and the largest directory."""
    sizes = (SIZES[0], SIZES[-1])
    for size in sizes:
        change_one_site(directory / f"gen-{size}")
        run([GEN, "review", "main"], directory / f"gen-{size}")
    runs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(RUNS):
        for size in sizes:
            runs[size].append(run([GEN, "review", "main"], directory / f"gen-{size}").seconds)
    seconds: dict[int, float] = {}
    for size in sizes:
        seconds[size] = statistics.median(runs[size])
        print(f"gen review          {size:5} projects {seconds[size]:9.2f} s")
    return seconds


def measure_other(
    name: str,
    make: Callable[[Path, Path], Callable[[Path], list[str]]],
    tools: Path,
    directory: Path,
) -> dict[int, float]:
    """Measure another tool, one process per project, and return the seconds for each size."""
    directory.mkdir()
    command = make(tools, directory)
    seconds: dict[int, float] = {}
    projects = many(directory / "project", OTHER_SIZES[-1])
    run(command(projects[0]))
    for size in OTHER_SIZES:
        seconds[size] = sum(run(command(project)).seconds for project in projects[:size])
        print(f"{name:19} {size:5} projects {seconds[size]:9.2f} s")
    seconds[SIZES[-1]] = seconds[OTHER_SIZES[-1]] * SIZES[-1] / OTHER_SIZES[-1]
    print(f"{name:19} {SIZES[-1]:5} projects {seconds[SIZES[-1]]:9.2f} s, ten times 100")
    return seconds


def main() -> int:
    """Print a line for each size and tool; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--with", dest="tools", type=Path, metavar="DIR", help="virtual environment with both tools"
    )
    parser.add_argument("--alone", action="store_true", help="measure gen alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(directory / "cache")
        others: dict[str, dict[int, float]] = {}
        tools = None
        if options.tools:
            tools = options.tools / "bin"
        elif not options.alone:
            tools = tools_in(directory / "venv")
        seconds, memory = measure_gen(directory)
        review_seconds = measure_review(directory)
        if tools:
            tools = tools.absolute()
            others["copier check-update"] = measure_other(
                "copier check-update", copier, tools, directory / "copier"
            )
            others["cruft check"] = measure_other("cruft check", cruft, tools, directory / "cruft")
        start = measure_start()
    status = report(seconds, memory, others, start)
    return max(status, report_review(review_seconds, start))


def measure_start() -> float:
    """Return the CPU time of a Python that does nothing: the measure of this machine."""
    return statistics.median(run([sys.executable, "-c", "pass"]).seconds for _ in range(RUNS))


def cost_line(name: str, cost: float, aim: float, start: float) -> str:
    """Return a cost, its ratio to the aim, and its ratio to the start of Python."""
    return (
        f"{name:19} {cost * 1000:.2f} ms, {cost / aim:.2f} of the aim of {aim * 1000:.0f} ms,"
        f" {cost / start:.3f} × python -c pass"
    )


def report(
    seconds: dict[int, float], memory: float, others: dict[str, dict[int, float]], start: float
) -> int:
    """Print the comparison; return 1 if an aim is missed."""
    least, _, half, most = SIZES
    lower = (seconds[half] - seconds[least]) / (half - least)
    upper = (seconds[most] - seconds[half]) / (most - half)
    average = (seconds[most] - seconds[least]) / (most - least)
    print(cost_line("one more project", average, COST, start))
    print(f"growth              {upper / lower:.2f} (cost above {half} / below; 1 is linear)")
    print(f"memory              {memory:.0f} MiB for {most} projects (aim: {MEMORY} MiB)")
    for tool, tool_seconds in others.items():
        ratios = [f"{tool_seconds[size] / seconds[size]:.0f} × for {size}" for size in tool_seconds]
        print(f"{tool:19} takes {', '.join(ratios)}")
    return 1 if average > COST or memory > MEMORY else 0


def report_review(seconds: dict[int, float], start: float) -> int:
    """Print the cost of a review; return 1 if its aim is missed."""
    average = (seconds[SIZES[-1]] - seconds[SIZES[0]]) / (SIZES[-1] - SIZES[0])
    print(cost_line("one more, reviewed", average, REVIEW_COST, start))
    return 1 if average > REVIEW_COST else 0


if __name__ == "__main__":
    sys.exit(main())
