"""A run that is killed: at each step of a replacement and of a rotation, by strace, just before a system call.

Afterwards a login that worked still works, no secret is left in a temporary file, and the next run recovers by itself.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
from sshd import logged_in
from step_ca import STATE, Member

pytestmark = [pytest.mark.system, pytest.mark.long]

GEN = (sys.executable, "-m", "generator", "refresh", "rig")
# What changes something for whoever looks afterwards: on the disk, at the other end of a connection, or by another
# program. A file that is just made is there, and empty, before the first write to it.
CALLS = "mkdir,write,rename,unlink,unlinkat,rmdir,vfork,clone"


def steps(member: Member, *options: str) -> list[tuple[str, int]]:
    """Return the calls of a whole run that change something: the name of each, and which of its kind it is."""
    log = member.home / "calls"
    done = member.run("strace", f"--trace={CALLS}", f"--output={log}", *GEN, *options)
    assert done.returncode == 0, done.stderr
    numbers, found = Counter[str](), []
    for line in log.read_text().splitlines():
        call = re.match(r"(\w+)\(.*= (-?\d+)", line)
        if call:
            numbers[call[1]] += 1
            if int(call[2]) >= 0:
                found.append((call[1], numbers[call[1]]))
    log.unlink()
    return found


def killed(member: Member, step: tuple[str, int], *options: str) -> None:
    """Run gen, and kill it where it is about to make a call."""
    done = member.run(*deadly(*step), *GEN, *options)
    assert done.returncode == -SIGKILL, (step, done)


def deadly(name: str, number: int) -> tuple[str, ...]:
    """Return the words before a command that is to be killed at a call of some name."""
    return (
        "strace",
        f"--trace={name}",
        f"--inject={name}:signal=SIGKILL:when={number}",
        "--output=/dev/null",
    )


def recovered(member: Member, *options: str) -> None:
    """Let the next run put things in order, and see that it has."""
    member.renewed(*options)
    # What no renewal follows stays beside the state, until one does; no secret is in it.
    assert [
        path for path in member.temporary() if path.parent != member.home / STATE or path.is_dir()
    ] == []
    assert member.works()
    assert sorted(member.provider.held) == member.named()
    assert member.spilled() == []


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "options", [("--force",), ("--rotate-app-password",)], ids=["replacement", "rotation"]
)
def test_a_login_that_worked_still_works_wherever_it_is_killed(
    options: tuple[str, ...],
    member: Member,
    need: Callable[..., None],
    record_property: Callable[[str, object], None],
) -> None:
    need("strace")
    member.renewed()
    assert logged_in(member.login())
    member.renewed(*options)  # so that Python, too, has written what it keeps of each module
    points = steps(member, *options)
    record_property("points", len(points))
    sys.stdout.write(
        f"killed at {len(points)} points of {' '.join(options)}: {Counter(name for name, _ in points)}\n"
    )
    assert len(points) > 15
    left = list[Path]()
    for point in points:
        killed(member, point, *options)
        left += member.temporary()
        assert member.works(), point
        assert not open_secrets(member), point
        assert "--force" not in options or logged_in(member.login()), point
        recovered(member)
    assert left  # or there was nothing to take away
    member.renewed("--force")
    assert member.temporary() == []
    assert logged_in(member.login())


def open_secrets(member: Member) -> list[Path]:
    """Return the files with a secret that others than the person may read."""
    found = [Path(place) for place in member.spilled() if place.startswith("/")]
    return [path for path in found if path.stat().st_mode & 0o077]


def test_the_first_time_it_is_killed_it_begins_anew(
    member: Member, need: Callable[..., None]
) -> None:
    """Where ssh-keygen makes a key, and where step makes a context, signs, and is asked for the CA's keys."""
    need("strace")
    for name in ("vfork", "clone"):
        number = 1
        while (done := member.run(*deadly(name, number), *GEN, "--force")).returncode == -SIGKILL:
            number += 1
            assert number < 10
        assert done.returncode == 0, done.stderr
        assert number > 1
    assert logged_in(member.login())
    recovered(member)
