"""A full disk, a refusing system or a kill at every write of an installation and uninstallation.

`strace` makes one system call of a real run fail, or kills the run at it, for each call in turn.
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
# Latin-1, CRLF, no final newline: a write that re-encodes would show.
OLD = b"# b\xfcro\r\nHost mine\r\n  User grace"
KILL = "signal=KILL"
# A full disk, a broken one, a security module that says no, and a power cut.
FAULTS = ("error=ENOSPC", "error=EIO", "error=EACCES", KILL)

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
    """A system call of a run: its name, its number among the calls of that name, its arguments."""

    call: str
    number: int
    detail: str

    @property
    def scratch(self) -> bool:
        """Return whether it only writes copies for ssh to read, or output."""
        return (
            self.call in ("write", "openat", "mkdir", "rmdir", "unlinkat", "unlink")
            and "/home/" not in self.detail
        )


@dataclass(frozen=True)
class Runs:
    """Runs of gen in one scratch home directory, by a process that forks for each."""

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
            # strace has no way to say that it is attached.
            while "TracerPid:\t0\n" in Path(f"/proc/{process}/status").read_text():
                assert time.monotonic() < end and tracer.poll() is None
                time.sleep(0.001)
            os.kill(process, signal.SIGCONT)
            return int(self.server.stdout.readline())

    def points(self, arguments: tuple[str, ...]) -> list[Point]:
        """Run gen, and return every system call that writes."""
        assert self.run(arguments, "-e", "signal=none") == 0, (self.folder / "out").read_text()
        counted: Counter[str] = Counter()
        result = []
        for line in (self.folder / "trace").read_text().splitlines():
            call, bracket, detail = line.partition("(")
            counted[call] += 1
            if bracket and call in _WRITES and (call != "openat" or _WRITING.search(detail)):
                result.append(Point(call, counted[call], detail))
        return result

    def hit(self, point: Point, fault: str, arguments: tuple[str, ...]) -> int:
        """Run gen with a fault at a point, and check that it was injected."""
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
        """Restore the home directory from a copy."""
        shutil.rmtree(self.home)
        shutil.copytree(source, self.home, symlinks=True)

    def keep(self, name: str) -> Path:
        """Copy the home directory, and return the path of the copy."""
        return Path(shutil.copytree(self.home, self.folder / name, symlinks=True))


@contextmanager
def runs(folder: Path) -> Iterator[Runs]:
    folder.mkdir()
    tools = folder / "bin"
    tools.mkdir()
    # ssh alone: gen must not find systemctl, VS Code or a gen of this machine.
    (tools / "ssh").symlink_to(str(shutil.which("ssh")))
    spec(folder)
    environment = {
        "PATH": str(tools),
        "PYTHONPATH": str(Path(generator.__file__).parents[1]),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "HOME": str(folder),
    }
    command = [sys.executable, "-m", "generator", "site", "ours.yaml", "--out", "out.d"]
    subprocess.run(
        command, env=environment, cwd=folder, check=True, capture_output=True, timeout=60
    )
    server = [sys.executable, str(Path(__file__).parents[1] / "rigs" / "zygote.py")]
    with subprocess.Popen(
        server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Runs(folder, process)
        assert process.stdin
        process.stdin.close()


def used_home(home: Path) -> None:
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / CONFIG).write_bytes(OLD)
    (home / CONFIG).chmod(0o640)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("arguments", [INSTALL, UNINSTALL], ids=["install", "uninstall"])
def test_after_any_fault_the_config_is_whole_and_the_next_run_completes(
    arguments: tuple[str, ...],
    fault: str,
    tmp_path: Path,
    need: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    need("strace", "ssh")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(_half, tmp_path / "0", arguments, fault, 0)
        second = pool.submit(_half, tmp_path / "1", arguments, fault, 1)
        done = first.result() + second.result()
    with capsys.disabled():
        print(f"\n{arguments[0]}, {fault}: injected at {done} points")  # noqa: T201
    # An installation writes about ten files, and each of them needs several calls. Fewer points
    # would mean that strace saw another program.
    assert done > 30


def _half(folder: Path, arguments: tuple[str, ...], fault: str, half: int) -> int:
    """Inject a fault at every other point, and return the number of points.

    Of the calls that only write copies for ssh or output, each fault gets a quarter.
    """
    with runs(folder) as gen:
        used_home(gen.home)
        before = gen.keep("before")
        assert gen.run(INSTALL) == 0
        after = gen.keep("after")
        start, goal = (before, after) if arguments == INSTALL else (after, before)
        gen.restore(start)
        points = gen.points(arguments)
        assert without_record(tree(gen.home)) == without_record(tree(goal))
        quarter = FAULTS.index(fault)
        chosen = []
        for number, point in enumerate(points):
            if not point.scratch or number % len(FAULTS) == quarter:
                chosen.append(point)
        for point in chosen[half::2]:
            gen.restore(start)
            gen.hit(point, fault, arguments)
            _check(gen, start, goal, arguments, f"{point} {fault}")
        return len(chosen[half::2])


def _check(gen: Runs, start: Path, goal: Path, arguments: tuple[str, ...], label: str) -> None:
    """Check that each file is the old or the new one, and that the next run completes."""
    current, before, after = tree(gen.home), tree(start), tree(goal)
    for name in {**before, **after}:
        if not name.endswith(".json"):
            assert current.get(name) in (before.get(name), after.get(name)), f"{name}: {label}"
    assert current[CONFIG] in (before[CONFIG], after[CONFIG]), label
    if current == before and arguments == INSTALL:
        return
    status = gen.run(arguments)
    output = (gen.folder / "out").read_text()
    # The fault may have come after the last change of an uninstallation.
    is_gone = arguments == UNINSTALL and output == "ours: is not installed; no site is\n"
    assert status == 0 or is_gone, f"{output}{label}"
    assert without_record(tree(gen.home)) == without_record(after), label


def without_record(result: Tree) -> Tree:
    """Return a tree without the record of missing directories."""
    kept = {}
    for name, detail in result.items():
        if not name.endswith("home.json"):
            kept[name] = detail
    return kept
