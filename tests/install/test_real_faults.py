"""A kill at any moment, a full disk and a read-only one: real ones, beside the injected faults."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from homes import Tree, spec, tree
from test_faults import CONFIG, INSTALL, UNINSTALL, Runs, runs, used_home, without_record

import generator

pytestmark = pytest.mark.system

KILLS = 200
EDITED: dict[str, Any] = {
    "title": "Edited",
    "hosts": {"ours": {"host": "edited.example.org", "port": 2222}},
}


def killed(gen: Runs, arguments: tuple[str, ...], moment: float) -> bool:
    """Run gen, kill it after some seconds, and return whether it still ran."""
    assert gen.server.stdin and gen.server.stdout
    run = json.dumps([arguments, str(gen.home), str(gen.folder / "out"), False])
    gen.server.stdin.write(f"{run}\n")
    gen.server.stdin.flush()
    process = int(gen.server.stdout.readline())
    time.sleep(moment)
    # It may have ended, and its parent knows.
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
    return int(gen.server.stdout.readline()) == -signal.SIGKILL


@pytest.mark.long
def test_after_a_kill_at_a_random_moment_each_file_is_old_or_new_and_the_next_run_completes(
    tmp_path: Path, need: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    need("ssh")
    chance = random.Random(20261127)  # noqa: S311 - not a secret
    kills: dict[str, int] = {"install": 0, "edit": 0, "uninstall": 0}
    with runs(tmp_path / "runs") as gen:
        used_home(gen.home)
        before = gen.keep("before")
        assert gen.run(INSTALL) == 0
        installed = gen.keep("installed")
        first_spec = (gen.folder / "ours.yaml").read_bytes()
        spec(gen.folder, **EDITED)
        edited_spec = (gen.folder / "ours.yaml").read_bytes()
        assert gen.run(INSTALL) == 0
        edited = gen.keep("edited")
        steps = {
            "install": (before, installed, INSTALL, first_spec),
            "edit": (installed, edited, INSTALL, edited_spec),
            "uninstall": (edited, before, UNINSTALL, edited_spec),
        }
        longest: dict[str, float] = {}
        for name, (start, goal, arguments, content) in steps.items():
            (gen.folder / "ours.yaml").write_bytes(content)
            gen.restore(start)
            begin = time.monotonic()
            assert gen.run(arguments) == 0
            longest[name] = time.monotonic() - begin
            assert without_record(tree(gen.home)) == without_record(tree(goal))
        while sum(kills.values()) < KILLS:
            name = chance.choice(list(steps))
            start, goal, arguments, content = steps[name]
            (gen.folder / "ours.yaml").write_bytes(content)
            gen.restore(start)
            moment = chance.uniform(0, longest[name])
            if killed(gen, arguments, moment):
                kills[name] += 1
            check(gen, start, goal, arguments, f"{name} killed after {moment:.4f} s")
    with capsys.disabled():
        print(f"\nkilled at random moments: {kills}")  # noqa: T201 - the figures


def check(gen: Runs, start: Path, goal: Path, arguments: tuple[str, ...], label: str) -> None:
    """Check that each file is the old or the new one, and that the next run completes."""
    current, before, after = tree(gen.home), tree(start), tree(goal)
    for name in {**before, **after}:
        # Records are written in steps: one lists the files of both versions until the end.
        if not name.endswith((".json", ".lock")):
            assert current.get(name) in (before.get(name), after.get(name)), f"{name}: {label}"
    status = gen.run(arguments)
    output = (gen.folder / "out").read_text()
    # The kill may have come after the last change of an uninstallation.
    is_gone = arguments == UNINSTALL and output == "ours: is not installed; no site is\n"
    assert status == 0 or is_gone, f"{output}{label}"
    assert without_record(tree(gen.home)) == without_record(after), label


# Mount the home directory, copy the files of a user there, run gen, and copy the result out.
MOUNTED = """
set -eu
mount -t tmpfs -o mode=700,{options} tmpfs "$HOME"
cp -a "$1/." "$HOME"
{before}
shift
status=0
"$@" 2>"$ERRORS" || status=$?
cp -a "$HOME/." "$RESULT"
exit $status
"""


def mounted(
    tmp_path: Path, start: Path, arguments: tuple[str, ...], options: str, before: str = ""
) -> tuple[int, str, Tree]:
    """Run gen in a home directory on a file system of its own; return status, errors and files."""
    result = tmp_path / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(mode=0o700)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    script = MOUNTED.format(options=options, before=before)
    gen = [sys.executable, "-m", "generator", *arguments]
    outcome = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(start), *gen],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ERRORS": str(tmp_path / "errors"),
            "RESULT": str(result),
            "PYTHONPATH": str(Path(generator.__file__).parents[1]),
        },
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    return outcome.returncode, (tmp_path / "errors").read_text(), tree(result)


class Interruption(NamedTuple):
    """A run of gen to interrupt, with the homes before and after it, and the runs that follow."""

    arguments: tuple[str, ...]
    start: Path
    goal: Path
    following: tuple[tuple[tuple[str, ...], Path], ...]


def assert_the_next_runs_complete(tmp_path: Path, interrupted: Tree, step: Interruption) -> None:
    """Check that each file is old or new, and that the following runs reach their goals.

    The interrupted home directory is in `result`.
    """
    before, after = tree(step.start), tree(step.goal)
    for name in {**before, **after}:
        if not name.endswith((".json", ".lock")):
            assert interrupted.get(name) in (before.get(name), after.get(name)), name
    for arguments, goal in step.following:
        start = (tmp_path / "result").rename(tmp_path / f"before-{arguments[0]}")
        status, errors, result = mounted(tmp_path, start, arguments, "size=8m")
        assert status == 0, errors
        assert without_record(result) == without_record(tree(goal))


@pytest.fixture
def steps(tmp_path: Path, need: Callable[..., None]) -> dict[str, Interruption]:
    """Return an installation, an update with an edited spec, and an uninstallation."""
    need("ssh", "unshare", root=True)
    before = tmp_path / "before"
    before.mkdir(mode=0o700)
    used_home(before)
    homes = [before]
    for name, parts in (("installed", {}), ("edited", EDITED)):
        spec(tmp_path, **parts)
        status, errors, _ = mounted(tmp_path, homes[-1], INSTALL, "size=8m")
        assert status == 0, errors
        homes.append((tmp_path / "result").rename(tmp_path / name))
    spec(tmp_path)
    _, installed, edited = homes
    there, back = (INSTALL, installed), (UNINSTALL, before)
    return {
        "install": Interruption(INSTALL, before, installed, (there, back)),
        "edit": Interruption(INSTALL, installed, edited, ((INSTALL, edited), back)),
        "uninstall": Interruption(UNINSTALL, installed, before, (back, there)),
    }


# A page is the least that a file takes on a tmpfs.
@pytest.mark.long
@pytest.mark.parametrize("pages", [0, 1, 3, 5, 40])
@pytest.mark.parametrize("name", ["install", "edit", "uninstall"])
def test_after_a_full_disk_each_file_is_old_or_new_and_the_next_run_completes(
    tmp_path: Path, steps: dict[str, Interruption], name: str, pages: int
) -> None:
    step = steps[name]
    if name == "edit":
        spec(tmp_path, **EDITED)
    page = os.sysconf("SC_PAGE_SIZE")
    fill = (
        f'dd if=/dev/zero of="$HOME/room" bs={page} count={pages} 2>/dev/null || :; '
        'dd if=/dev/zero of="$HOME/full" bs=4096 2>/dev/null || :; rm "$HOME/room"'
    )
    status, errors, _ = mounted(tmp_path, step.start, step.arguments, "size=1m", fill)
    (tmp_path / "result/full").unlink()
    # In between, it depends on the number of files that a run writes.
    assert status == {0: 2, 40: 0}.get(pages, status)
    if status != 0:
        assert (status, "no space left on device" in errors.splitlines()[-1]) == (2, True), errors
    elif name == "uninstall":
        step = step._replace(following=step.following[1:])
    assert_the_next_runs_complete(tmp_path, tree(tmp_path / "result"), step)


READ_ONLY = {
    "the home directory": ".",
    "the ssh directory": ".ssh",
}


@pytest.mark.parametrize("directory", READ_ONLY.values(), ids=READ_ONLY)
@pytest.mark.parametrize(
    "name", ["install", pytest.param("edit", marks=pytest.mark.long), "uninstall"]
)
def test_a_read_only_disk_is_refused_and_the_next_run_completes(
    tmp_path: Path, steps: dict[str, Interruption], directory: str, name: str
) -> None:
    step = steps[name]
    if name == "edit":
        spec(tmp_path, **EDITED)
    path = f'"$HOME/{directory}"'
    mount = f"mount --bind {path} {path}; mount -o remount,bind,ro {path}"
    status, errors, result = mounted(tmp_path, step.start, step.arguments, "size=8m", mount)
    assert (status, "read-only file system" in errors.splitlines()[-1]) == (2, True), errors
    assert result[CONFIG] == tree(step.start)[CONFIG]
    if directory == ".":
        assert result == tree(step.start)
    assert_the_next_runs_complete(tmp_path, result, step)
