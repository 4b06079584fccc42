"""Several machines of one user: each with credentials of its own, or with one home directory."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from identity_provider import API, TOKENS, Fault, IdentityProvider
from sshd import Result, logged_in
from step_ca import CREDENTIALS, STATE, Authority, Member, membership

pytestmark = [pytest.mark.system, pytest.mark.long]

GEN = (sys.executable, "-m", "generator", "refresh", "rig")
HOST = re.compile(r"dagster-slurm-([a-z0-9-]+)-([0-9a-f]{8})-(?:app|api)-\d{14}-[0-9a-f]{6}")


@pytest.fixture
def second(
    member: Member, provider: IdentityProvider, ca: Authority, tmp_path: Path
) -> Iterator[Member]:
    """The same user at another machine, with a copy of the credentials file."""
    member.renewed("--rotate-app-password")
    with membership(tmp_path / "second", provider, ca) as machine:
        machine.settle(credentials=False)
        path = machine.home / CREDENTIALS
        path.parent.mkdir(parents=True)
        shutil.copy(member.home / CREDENTIALS, path)
        yield machine


def on_another_machine(member: Member, *options: str) -> Result:
    """Run `gen refresh` in the same home, as a machine that shares it over NFS without locks."""
    # The process lock is another file here, so flock has no effect, as with `nolock`.
    other_lock = member.rig.directory / "other.lock"
    other_lock.touch(0o600)
    lock = member.home / STATE / "rig.lock"
    lock.touch(0o600)
    renamed = ("unshare", "--uts", "sh", "-c", 'hostname other; exec "$@"', "sh")
    return member.run(
        *renamed, *GEN, *options, setup=f"mount --bind {other_lock} {lock}", timeout=120
    )


def marks(member: Member) -> set[str]:
    """Return the parts of the identifiers in the credentials file that stand for the folder."""
    found = set()
    for identifier in member.named():
        name = HOST.fullmatch(identifier)
        assert name, identifier
        found.add(name[2])
    return found


def test_a_copy_of_the_credentials_gets_a_pair_of_its_own_at_the_next_run(
    member: Member, second: Member
) -> None:
    first_pair = member.named()
    output = second.renewed().stderr
    assert (
        f"rig: note: {second.home / CREDENTIALS} was a copy from another machine; it has "
        "credentials of its own now, and the old ones stay for the other machine\n"
    ) in output
    # Both go on working: nothing of the other machine was deleted.
    assert member.works() and second.works()
    assert member.named() == first_pair
    assert sorted(member.provider.held) == sorted([*first_pair, *second.named()])
    assert len(marks(member) | marks(second)) == 2
    assert "rotated" not in second.renewed().stderr


def test_a_rotation_leaves_the_pair_of_the_other_machine_alone(
    member: Member, second: Member
) -> None:
    second.renewed()
    pair = second.named()
    member.renewed("--rotate-app-password")
    assert member.works() and second.works()
    assert second.named() == pair
    assert sorted(member.provider.held) == sorted([*member.named(), *pair])
    second.renewed("--force")
    assert logged_in(second.login())


def test_a_copy_that_the_other_machine_has_rotated_is_explained(
    member: Member, second: Member
) -> None:
    member.renewed("--rotate-app-password")
    line = second.refused()
    assert "refuses the API token …" in line
    assert (
        "it has expired, another machine has rotated it, or it is an App Password; create a Token "
        "(intent API) in authentik's user settings and store that one" in line
    )
    without_api_token = [
        text for text in (second.home / CREDENTIALS).read_text().splitlines() if "_API_" not in text
    ]
    (second.home / CREDENTIALS).write_text("\n".join([*without_api_token, ""]))
    line = second.refused()
    assert "(invalid_grant): it has expired, another machine has rotated it, or it is" in line
    assert f"and store it in ~/{CREDENTIALS}" in line.replace(str(second.home), "~")


def test_two_timers_of_a_shared_home_rotate_once(member: Member, need: Callable[..., None]) -> None:
    need("unshare", "hostname", root=True)
    member.provider.held.clear()
    member.provider.token_lifetime = timedelta(days=3)
    member.credentials()
    member.provider.token_lifetime = timedelta(days=20)
    member.provider.fault = Fault(delay=2, at=API, times=1)
    with ThreadPoolExecutor(2) as threads:
        here = threads.submit(member.refresh, timeout=120)
        there = threads.submit(on_another_machine, member)
        runs = [here.result(), there.result()]
    assert [run.returncode for run in runs] == [0, 0], runs
    outputs = "".join(run.stderr for run in runs)
    assert outputs.count("credentials rotated") == 1
    assert outputs.count("renewed, valid") == 1
    assert member.provider.count(TOKENS, "POST") == 2
    assert sorted(member.provider.held) == member.named()
    assert member.works()
    assert not (member.home / STATE / "rig.holder").exists()


def test_machines_with_one_home_share_one_pair(member: Member, need: Callable[..., None]) -> None:
    need("unshare", "hostname", root=True)
    member.renewed("--rotate-app-password")
    mark = marks(member)
    done = on_another_machine(member, "--rotate-app-password")
    assert done.returncode == 0, done
    assert marks(member) == mark
    assert "dagster-slurm-other-" in member.named()[0]
    # The pair of the same folder, and so replaced, whichever machine made it.
    assert sorted(member.provider.held) == member.named()
