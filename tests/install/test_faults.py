"""A disk that is full, a system that refuses, a run that is killed: at every write of an install and an uninstall.

`strace` makes one system call of a real run fail, or kills the run there; every call in turn.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from homes import Tree, spec, tree

import generator

pytestmark = [pytest.mark.system, pytest.mark.long]

INSTALL = ("install", "ours.yaml", "--yes")
UNINSTALL = ("uninstall", "ours", "--yes")
CONFIG = ".ssh/config"
OLD = b"# b\xfcro\r\nHost mine\r\n  User grace"
KILL = "signal=KILL"
FAULTS = ("error=ENOSPC", "error=EIO", "error=EACCES", KILL)
# The folders that a run makes before it can write down that it did.
BEYOND = {".local", ".local/state"}

_WRITES = (
    *(
        "openat",
        "write",
        "pwrite64",
        "rename",
        "renameat",
        "renameat2",
        "fsync",
        "fdatasync",
        "ftruncate",
        "flock",
    ),
    *(
        "fchmod",
        "chmod",
        "fchmodat",
        "mkdir",
        "mkdirat",
        "unlink",
        "unlinkat",
        "rmdir",
        "link",
        "linkat",
        "symlink",
    ),
    *("symlinkat", "utimensat", "chown", "fchown"),
)
_WRITING = re.compile(r"O_CREAT|O_WRONLY|O_RDWR|O_TMPFILE")


@dataclass(frozen=True)
class Point:
    """A system call of a run: which one, the how manieth of its kind, and what it is about."""

    call: str
    number: int
    what: str

    @property
    def scratch(self) -> bool:
        """Tell whether it only concerns the copies that ssh is asked with, or what is printed."""
        return (
            self.call in ("write", "openat", "mkdir", "rmdir", "unlinkat", "unlink")
            and "/home/" not in self.what
        )


@dataclass(frozen=True)
class Runs:
    """Runs of gen in one scratch home folder, by a process that forks for each."""

    folder: Path
    server: subprocess.Popen[str]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, arguments: tuple[str, ...], *trace: str) -> int:
        """Run gen, traced or not, and return its exit status."""
        assert self.server.stdin and self.server.stdout
        self.server.stdin.write(
            json.dumps([arguments, str(self.home), str(self.folder / "out"), bool(trace)]) + "\n"
        )
        self.server.stdin.flush()
        process = int(self.server.stdout.readline())
        if not trace:
            return int(self.server.stdout.readline())
        command = [
            "strace",
            "-o",
            str(self.folder / "trace"),
            "-p",
            str(process),
            "-e",
            f"trace={','.join(_WRITES)}",
        ]
        with subprocess.Popen([*command, *trace], stderr=subprocess.DEVNULL) as tracer:
            end = time.monotonic() + 20
            while "TracerPid:\t0\n" in Path(f"/proc/{process}/status").read_text():
                assert time.monotonic() < end and tracer.poll() is None
                time.sleep(0.001)
            os.kill(process, signal.SIGCONT)
            return int(self.server.stdout.readline())

    def points(self, arguments: tuple[str, ...]) -> list[Point]:
        """Run gen, and return every call that writes."""
        assert self.run(arguments, "-e", "signal=none") == 0, (self.folder / "out").read_text()
        counted: Counter[str] = Counter()
        found = []
        for line in (self.folder / "trace").read_text().splitlines():
            call, bracket, what = line.partition("(")
            counted[call] += 1
            if bracket and call in _WRITES and (call != "openat" or _WRITING.search(what)):
                found.append(Point(call, counted[call], what))
        return found

    def hit(self, point: Point, fault: str, arguments: tuple[str, ...]) -> int:
        """Run gen with a fault at a point, which must be met."""
        status = self.run(arguments, "-e", f"inject={point.call}:{fault}:when={point.number}")
        trace = (self.folder / "trace").read_text()
        assert ("killed by SIGKILL" if fault == KILL else "(INJECTED)") in trace, (point, fault)
        assert status in ((-9,) if fault == KILL else (0, 2)), (
            point,
            fault,
            (self.folder / "out").read_text(),
        )
        return status

    def restore(self, source: Path) -> None:
        """Put the home folder back as it was kept."""
        shutil.rmtree(self.home)
        shutil.copytree(source, self.home, symlinks=True)

    def keep(self, name: str) -> Path:
        """Keep a copy of the home folder as it is."""
        return Path(shutil.copytree(self.home, self.folder / name, symlinks=True))


@contextmanager
def runs(folder: Path) -> Iterator[Runs]:
    folder.mkdir()
    tools = folder / "bin"
    tools.mkdir()
    (tools / "ssh").symlink_to(str(shutil.which("ssh")))
    spec(folder)
    environment = {
        "PATH": str(tools),
        "PYTHONPATH": str(Path(generator.__file__).parents[1]),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
    }
    made = [sys.executable, "-m", "generator", "site", "ours.yaml", "--out", "out.d"]
    subprocess.run(made, env=environment, cwd=folder, check=True, capture_output=True, timeout=60)
    server = [sys.executable, str(Path(__file__).parents[1] / "rigs" / "zygote.py")]
    with subprocess.Popen(
        server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Runs(folder, process)
        assert process.stdin
        process.stdin.close()


def lived_in(home: Path) -> None:
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / CONFIG).write_bytes(OLD)
    (home / CONFIG).chmod(0o640)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("arguments", [INSTALL, UNINSTALL], ids=["install", "uninstall"])
def test_whatever_fails_the_config_is_whole_and_the_next_run_completes(
    arguments: tuple[str, ...],
    fault: str,
    tmp_path: Path,
    need: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    need("strace", "ssh")
    with ThreadPoolExecutor(2) as pool:
        halves = [
            pool.submit(_half, tmp_path / str(half), arguments, fault, half) for half in (0, 1)
        ]
        done = sum(half.result() for half in halves)
    with capsys.disabled():
        print(f"\n{arguments[0]}, {fault}: injected at {done} points")  # noqa: T201
    assert done > 30


def _half(folder: Path, arguments: tuple[str, ...], fault: str, half: int) -> int:
    """Inject a fault at every other point, and return at how many.

    Of the calls that only write copies for ssh to read, or print, each fault has its quarter.
    """
    with runs(folder) as gen:
        lived_in(gen.home)
        before = gen.keep("before")
        assert gen.run(INSTALL) == 0
        after = gen.keep("after")
        start, goal = (before, after) if arguments == INSTALL else (after, before)
        gen.restore(start)
        points = gen.points(arguments)
        assert comparable(tree(gen.home)) == comparable(tree(goal))
        mine = FAULTS.index(fault)
        chosen = [
            point
            for number, point in enumerate(points)
            if not point.scratch or number % len(FAULTS) == mine
        ]
        for point in chosen[half::2]:
            gen.restore(start)
            gen.hit(point, fault, arguments)
            _check(gen, start, goal, arguments, f"{point} {fault}")
        return len(chosen[half::2])


def _check(gen: Runs, start: Path, goal: Path, arguments: tuple[str, ...], where: str) -> None:
    """Every file is the old or the new one; the next run does what is left to do."""
    now, old, new = tree(gen.home), tree(start), tree(goal)
    for name in {**old, **new}:
        assert now.get(name) in (old.get(name), new.get(name)) or name.endswith(".json"), (
            f"{name}: {where}"
        )
    assert now[CONFIG] in (old[CONFIG], new[CONFIG]), where
    if now == old and arguments == INSTALL:
        return
    status = gen.run(arguments)
    words = (gen.folder / "out").read_text()
    assert status == 0 or (
        arguments == UNINSTALL and words == "ours: is not installed; nothing is\n"
    ), f"{words}{where}"
    assert comparable(tree(gen.home)) == comparable(new), where


def comparable(found: Tree) -> Tree:
    """Leave out which folders a run found missing, and the outermost of those."""
    return {
        name: what
        for name, what in found.items()
        if name not in BEYOND and not name.endswith("home.json")
    }
