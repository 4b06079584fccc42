"""A renewal and a rotation are killed just before each system call, and during each request.

strace kills before a system call; the identity provider kills during a request. Afterwards a login
that worked still works, no secret is left in a temporary file, and the next run recovers by itself.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from queue import Queue
from signal import SIGKILL

import pytest
from sshd import logged_in
from step_ca import STATE, Member

pytestmark = [pytest.mark.system, pytest.mark.long]

GEN = (sys.executable, "-m", "generator", "refresh", "rig")
# Calls that change the disk, print something, or start another program or a request: a request runs
# in a thread, which clone3 starts. A file that was just created is empty before the first write.
CALLS = "mkdir,write,rename,unlink,unlinkat,rmdir,vfork,clone,clone3"
REQUEST = "request"
"""Stands for a system call: a kill when a request has taken effect, and gen has no answer yet."""


def steps(member: Member, *options: str) -> list[tuple[str, int]]:
    """Return the name and the number of each system call of a run that changes something."""
    log = member.home / "calls"
    # Its threads are not followed: strace counts the calls of each thread by themselves, so it
    # could kill in the first request only. `killed_in_request` covers what happens in all of them.
    done = member.run("strace", f"--trace={CALLS}", f"--output={log}", *GEN, *options)
    assert done.returncode == 0, done.stderr
    numbers = Counter[str]()
    changes = []
    for line in log.read_text().splitlines():
        call = re.match(r"(\w+)\(.*= (-?\d+)", line)
        if call:
            numbers[call[1]] += 1
            if int(call[2]) >= 0:
                changes.append((call[1], numbers[call[1]]))
    log.unlink()
    return changes


def killed(member: Member, step: tuple[str, int], *options: str) -> None:
    """Run gen, and kill it where it is about to make a call."""
    done = member.run(*deadly(*step), *GEN, *options)
    assert done.returncode == -SIGKILL, (step, done)


def deadly(name: str, number: int) -> tuple[str, ...]:
    """Return the command that kills another one at its NUMBERth call of NAME."""
    return (
        "strace",
        f"--trace={name}",
        f"--inject={name}:signal=SIGKILL:when={number}",
        "--output=/dev/null",
    )


def killed_in_request(member: Member, number: int, *options: str) -> None:
    """Run gen, and kill it when its NUMBERth request has taken effect, before the answer."""
    requests = count(1)
    processes = Queue[subprocess.Popen[str]]()

    def kill() -> None:
        if next(requests) == number:
            processes.get(timeout=60).kill()

    member.provider.witness = kill
    process = member.start(*GEN, *options)
    processes.put(process)
    done = member.ended(process)
    member.provider.witness = lambda: None
    assert done.returncode == -SIGKILL, (number, done)


def recovered(member: Member, *options: str) -> None:
    """Check that the next run recovers."""
    member.renewed(*options)
    # What no renewal follows stays beside the state, until one does; no secret is in it.
    for path in member.temporary():
        assert path.parent == member.home / STATE and not path.is_dir()
    assert member.works()
    assert sorted(member.provider.held) == member.named()
    assert member.spilled() == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "options", [("--force",), ("--rotate-app-password",)], ids=["replacement", "rotation"]
)
def test_a_login_still_works_wherever_a_run_is_killed(
    options: tuple[str, ...],
    member: Member,
    need: Callable[..., None],
    record_property: Callable[[str, object], None],
) -> None:
    need("strace")
    member.renewed()
    assert logged_in(member.login())
    # Once more, so that Python has written the bytecode of each module: its writes differ.
    member.renewed(*options)
    earlier_requests = len(member.provider.requests)
    points = steps(member, *options)
    for number in range(1, len(member.provider.requests) - earlier_requests + 1):
        points.append((REQUEST, number))
    record_property("points", len(points))
    numbers = Counter(name for name, _ in points)
    sys.stdout.write(f"killed at {len(points)} points of {' '.join(options)}: {numbers}\n")
    # Fewer would mean that strace traced the wrong process.
    assert len(points) > 15
    # A request is a thread: without these, no kill comes before or within one.
    assert numbers["clone3"] and numbers[REQUEST]
    leftovers: list[Path] = []
    for point in points:
        if point[0] == REQUEST:
            killed_in_request(member, point[1], *options)
        else:
            killed(member, point, *options)
        leftovers += member.temporary()
        assert member.works(), point
        assert not open_secrets(member), point
        assert "--force" not in options or logged_in(member.login()), point
        recovered(member)
    # Otherwise no kill left anything, and the test did not show that a later run cleans up.
    assert leftovers
    member.renewed("--force")
    assert member.temporary() == []
    assert logged_in(member.login())


def open_secrets(member: Member) -> list[Path]:
    """Return the files with a secret that other users may read."""
    paths = [Path(location) for location in member.spilled() if location.startswith("/")]
    return [path for path in paths if path.stat().st_mode & 0o077]


def test_a_first_run_that_is_killed_starts_afresh(
    member: Member, need: Callable[..., None]
) -> None:
    # gen is killed where it starts another program: ssh-keygen, or step with each of its tasks.
    need("strace")
    kills = 0
    # Python starts a program with one of these: clone if it sets a death signal for it.
    for name in ("vfork", "clone", "clone3"):
        number = 1
        while (done := member.run(*deadly(name, number), *GEN, "--force")).returncode == -SIGKILL:
            number += 1
            kills += 1
            assert number < 10
        assert done.returncode == 0, done.stderr
    assert kills > 1
    assert logged_in(member.login())
    recovered(member)
