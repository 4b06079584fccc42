"""The units: systemd finds no fault in them, and a real user manager runs them on time."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from usermanager import PROGRAMS, UserManager, user_manager
from waiting import wait_until

import generator
from generator import resources
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import systemd_timer
from generator.compiler.renewal_schedule import Schedule, schedule, timed_auth
from generator.loading import validate
from generator.schema.auth import CommandCertificateAuth
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

# The site whose unit has every option: a timer, step and a CA.
MUSICA = validate.site(resources.CATALOGUE / "musica.yaml")
GEN = Path(".local/bin/gen")
COMMAND: dict[str, Any] = {"method": "certificate", "command": ["get-certificate"]}

# It records its arguments, and tries everything that a renewal needs and some things that it must
# not do.
STAND_IN = r"""#!/bin/bash
try() { name=$1; shift; "$@" >/dev/null 2>&1; echo "$name=$?"; }
mkdir -p ~/.local/state
{
    echo "arguments=$*"
    echo "home=$HOME"
    echo "time zone=$TZ"
    echo "step=$STEPPATH"
    echo "umask=$(umask)"
    # A core file would have the secrets in it.
    echo "core=$(ulimit -c)"
    echo "namespace=$(readlink /proc/self/ns/user)"
    echo "privileges=$(sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)"
    for folder in .ssh .step .config .local/state; do
        file="~/$folder/written"
        try "write $folder" eval "mkdir -p ~/$folder && echo 1 > $file && grep -q 1 $file"
    done
    try "connect" eval 'echo hello > /dev/tcp/127.0.0.1/$(cat ~/port)'
    try "resolve names" getent ahosts localhost
    try "make a key" ssh-keygen -q -t ed25519 -N "" -f ~/.ssh/id_test
    try "sign a key" ssh-keygen -q -s ~/.ssh/id_test -I test -n ada ~/.ssh/id_test.pub
    try "read a certificate" ssh-keygen -L -f ~/.ssh/id_test-cert.pub
    try "talk to an agent" ssh-agent ssh-add -q ~/.ssh/id_test
    # The next steps of an exploited program.
    try "enter a namespace" unshare --user true
    try "make a program of another user's rights" chmod u+s ~/.ssh/written
} > ~/.local/state/report
"""


@pytest.fixture(
    params=[
        pytest.param(("root", "home"), id="root"),
        pytest.param(("daemon", "home"), id="an unprivileged user"),
        pytest.param(
            # systemd.unit(5), SPECIFIERS: %h stands for the home directory, also within a path.
            ("daemon", "a home, 5%h of it"),
            id="a home folder with blanks and a per cent sign",
        ),
    ]
)
def manager(request: pytest.FixtureRequest, need: Callable[..., None]) -> Iterator[UserManager]:
    need(*PROGRAMS, "bash", "ssh-keygen", "ssh-agent", root=True)
    with user_manager(*request.param) as manager:
        yield manager


@pytest.fixture
def as_root(need: Callable[..., None]) -> Iterator[UserManager]:
    need(*PROGRAMS, root=True)
    with user_manager() as manager:
        yield manager


def units(site: SiteSpec) -> list[Artifact]:
    return list(systemd_timer.emit(Account(site, SiteProfile())))


def site(**auth: Any) -> SiteSpec:
    return SiteSpec.model_validate(
        {
            "site": "x",
            "title": "X",
            "hosts": {"x": {"host": "x.example.org"}},
            "auth": COMMAND | auth,
        }
    )


def report(manager: UserManager) -> dict[str, str]:
    """Return the values that the script in place of gen recorded."""
    lines = (manager.home / ".local/state/report").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def started(manager: UserManager, listener: socket.socket) -> dict[str, str]:
    """Run the service of MUSICA once, and return the values that the script recorded."""
    manager.write(GEN, STAND_IN, 0o755)
    manager.write("port", str(listener.getsockname()[1]))
    manager.install(*units(MUSICA))
    manager.systemctl("start", "gen-cert-musica.service")
    return report(manager)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def test_the_service_sets_arguments_and_environment_of_gen(
    manager: UserManager, listener: socket.socket
) -> None:
    values = started(manager, listener)
    assert {
        name: values[name] for name in ("arguments", "home", "time zone", "step", "umask", "core")
    } == {
        "arguments": "refresh musica --retry",
        "home": str(manager.home),
        "time zone": "UTC",
        "step": f"{manager.home}/.step",
        # Secrets and keys are for the user alone, whatever the umask of the manager is.
        "umask": "0077",
        "core": "0",
    }


def test_the_service_can_do_everything_that_a_renewal_needs(
    manager: UserManager, listener: socket.socket
) -> None:
    values = started(manager, listener)
    needed = [f"write {folder}" for folder in (".ssh", ".step", ".config", ".local/state")]
    needed += [
        "connect",
        "resolve names",
        "make a key",
        "sign a key",
        "read a certificate",
        "talk to an agent",
    ]
    assert {name: values[name] for name in needed} == dict.fromkeys(needed, "0")
    connection, _ = listener.accept()
    with connection:
        # The service may reach the network, and this is the only way to the provider.
        assert connection.recv(10) == b"hello\n"
    assert (manager.home / ".ssh/id_test").stat().st_mode & 0o777 == 0o600
    assert (manager.home / ".step/written").stat().st_mode & 0o777 == 0o600


BARRED = ["enter a namespace", "make a program of another user's rights"]


def test_the_service_cannot_do_more(manager: UserManager, listener: socket.socket) -> None:
    values = started(manager, listener)
    assert "0" not in {values[name] for name in BARRED}
    # NoNewPrivileges=, systemd.exec(5).
    assert values["privileges"] == "1"


def test_outside_the_service_everything_is_possible(as_root: UserManager) -> None:
    as_root.write(GEN, STAND_IN, 0o755)
    as_root.run(str(as_root.home / GEN), "refresh", "musica")
    values = report(as_root)
    assert {values[name] for name in BARRED} == {"0"}
    assert values["privileges"] == "0"


def test_the_service_stays_out_of_user_namespaces(
    manager: UserManager, listener: socket.socket
) -> None:
    assert started(manager, listener)["namespace"] == str(
        Path(f"/proc/{manager.pid}/ns/user").readlink()
    )


PYTHON = f"""#!{sys.executable}
import ctypes, errno, os, pathlib, socket, ssl, subprocess, sys, threading
sys.path.insert(0, {str(Path(generator.__file__).parents[1])!r})
# MemoryDenyWriteExecute= breaks callbacks of ctypes, which keyring and others use.
assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)() == 7
assert ssl.create_default_context() and socket.getaddrinfo("localhost", 443)
assert all(socket.socketpair(socket.AF_UNIX))
assert socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET)
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
except OSError as error:
    assert error.errno == errno.EAFNOSUPPORT
else:
    raise AssertionError("the service may talk to the kernel's network")
threading.Thread(target=lambda: None).start()
key = os.path.expanduser("~/key")
subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
import generator.cli
from generator import resources
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.schema.profile import SiteProfile
site = validate.site(resources.CATALOGUE / (sys.argv[2] + ".yaml"))
pathlib.Path("~/made").expanduser().write_text(str(len(compile_site(site, SiteProfile()))))
"""


def test_python_with_its_libraries_works_in_the_service(as_root: UserManager) -> None:
    # As root only, since other users may not be able to read this Python.
    as_root.write(GEN, PYTHON, 0o755)
    as_root.install(*units(MUSICA))
    as_root.systemctl("start", "gen-cert-musica.service")
    assert int((as_root.home / "made").read_text()) > 2


def test_a_refresh_that_fails_leaves_the_service_failed(as_root: UserManager) -> None:
    # A failed service is what `systemctl --user --failed` and gen status show.
    as_root.write(GEN, "#!/bin/sh\nexit 2\n", 0o755)
    as_root.install(*units(MUSICA))
    assert as_root.run("systemctl", "--user", "start", "gen-cert-musica.service").returncode != 0
    assert as_root.shown("gen-cert-musica.service", "ExecMainStatus") == "2"


def last_and_next_run(manager: UserManager, timer: str) -> tuple[float, float]:
    """Return when a timer has last elapsed and elapses next, its random delay included."""
    [row] = json.loads(manager.systemctl("list-timers", "--all", "--output=json", timer))
    return float(row["last"] or 0) / 1e6, float(row["next"] or 0) / 1e6


def schedule_of(site: SiteSpec) -> Schedule:
    auth = timed_auth(site)
    assert auth
    return schedule(auth)


def test_the_timer_fires_on_time_and_is_set_for_the_next_run(as_root: UserManager) -> None:
    # A minute: the shortest period, for which the test can wait.
    spec = site(lifetime="60s")
    plan = schedule_of(spec)
    as_root.write(GEN, "#!/bin/sh\n: > ~/looked\n", 0o755)
    as_root.install(*units(spec))
    as_root.systemctl("enable", "--now", "gen-cert-x.timer")
    wait_until((as_root.home / "looked").exists)
    last, following = last_and_next_run(as_root, "gen-cert-x.timer")
    # The random delay, AccuracySec=, and two seconds for a busy machine.
    assert last % plan.period < plan.delay + 1 + 2
    tick = (last // plan.period + 1) * plan.period
    assert tick <= following <= tick + plan.delay


@pytest.mark.parametrize(
    "was_off",
    [True, False],
    ids=["missed", "none missed"],
)
def test_a_missed_run_is_made_up_for_within_the_delay(was_off: bool, as_root: UserManager) -> None:
    spec = site(lifetime="365d")
    plan = schedule_of(spec)
    # Persistent=, systemd.timer(5): the time of this file is that of the last run.
    stamp = as_root.write(".local/share/systemd/timers/stamp-gen-cert-x.timer", "")
    last = time.time() - (2 * plan.period if was_off else 0)
    os.utime(stamp, (last, last))
    as_root.install(*units(spec))
    as_root.systemctl("enable", "--now", "gen-cert-x.timer")
    tick = time.time() if was_off else (last // plan.period + 1) * plan.period
    _, following = last_and_next_run(as_root, "gen-cert-x.timer")
    assert tick - 10 <= following <= tick + plan.delay


def test_an_enabled_timer_starts_with_the_manager_and_a_disabled_one_does_not(
    as_root: UserManager,
) -> None:
    as_root.install(*units(MUSICA))
    as_root.systemctl("enable", "gen-cert-musica.timer")
    assert "gen-cert-musica.timer" in as_root.shown("timers.target", "Wants")
    as_root.systemctl("disable", "gen-cert-musica.timer")
    assert "gen-cert-musica.timer" not in as_root.shown("timers.target", "Wants")


@pytest.fixture
def analyze(
    need: Callable[..., None], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run systemd-analyze, which needs no manager."""
    need("systemd-analyze")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        # systemd-analyze prints local times.
        "TZ": "UTC",
    }
    env["LC_ALL"] = "C.UTF-8"

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", *arguments],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def written(folder: Path, site: SiteSpec) -> list[Path]:
    paths = [folder / unit.path.name for unit in units(site)]
    for path, unit in zip(paths, units(site), strict=True):
        path.write_bytes(unit.content)
    return paths


SITES = [
    pytest.param(MUSICA, id="musica"),
    pytest.param(site(lifetime="60s"), id="certificates of a minute"),
    pytest.param(site(lifetime="365d"), id="certificates of a year"),
]


@pytest.mark.parametrize("spec", SITES)
def test_systemd_finds_no_fault_in_the_units(
    spec: SiteSpec, tmp_path: Path, analyze: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    result = analyze("--user", "verify", *written(tmp_path, spec))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_systemd_finds_no_fault_in_the_units_of_the_page_about_deployment(
    tmp_path: Path, analyze: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    page = (Path(__file__).parents[2] / "docs/dagster-deployment.md").read_text()
    programs = tmp_path / "pipelines/.venv/bin"
    programs.mkdir(parents=True)
    paths = []
    # Each unit follows the line with its name.
    for name, text in re.findall(r"/(dagster-\w+\.service)`[^`]*```ini\n(.*?)```", page, re.DOTALL):
        # systemd takes %h from passwd and not from HOME.
        text = text.replace("%h", str(tmp_path)).replace("PACKAGE", "mila_pipelines")
        (tmp_path / name).write_text(text)
        program = programs / name.removesuffix(".service")
        program.touch(mode=0o755)
        paths.append(tmp_path / name)
    assert len(paths) == 2
    result = analyze("--user", "verify", *paths)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("suffix", ["service", "timer"])
def test_systemd_reports_a_fault_on_stderr(
    suffix: str, tmp_path: Path, analyze: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    # systemd-analyze exits 0 for an unknown key, and reports it on stderr only.
    paths = written(tmp_path, MUSICA)
    faulty = tmp_path / f"gen-cert-musica.{suffix}"
    faulty.write_text(faulty.read_text() + "Unknown=1\n")
    assert "Unknown" in analyze("--user", "verify", *paths).stderr


EXPOSURE = 6.6


def test_the_exposure_of_the_service_is_as_low_as_a_user_manager_allows(
    tmp_path: Path, analyze: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    # Without hardening it is 9.7. Half of the rest is for capabilities, which a user has none of to
    # give up.
    path = next(path for path in written(tmp_path, MUSICA) if path.suffix == ".service")
    result = analyze("--user", "security", "--offline=true", path)
    overall = re.search(r"exposure level for gen-cert-musica.service: ([\d.]+)", result.stdout)
    assert overall, result.stderr
    sys.stdout.write(f"{overall[0]}\n")
    assert float(overall[1]) <= EXPOSURE


# Times that a calendar expression may stumble over.
TIMES = [
    pytest.param("2026-06-15 12:00:00", id="at noon"),
    pytest.param("2026-06-15 12:00:01", id="just after a look"),
    pytest.param("2026-12-31 23:59:58", id="at the end of a year"),
    pytest.param("2028-02-28 23:30:01", id="before a leap day"),
    pytest.param("2026-10-25 00:59:59", id="when Europe's clocks go back"),
]


@pytest.mark.parametrize("due", TIMES)
@pytest.mark.parametrize(
    ("lifetime", "renew_before"),
    [
        pytest.param("60s", None, id="60s"),
        pytest.param("15m", None, id="15m"),
        pytest.param("1h", None, id="1h"),
        pytest.param("12h", None, id="12h"),
        pytest.param("16h", None, id="16h"),
        pytest.param("24h", None, id="24h"),
        pytest.param("24h", "30m", id="24h, 30m before"),
        pytest.param("16h", "20s", id="16h, 20s before"),
        pytest.param(None, None, id="unknown"),
        pytest.param(None, "30m", id="unknown, 30m before"),
    ],
)
def test_two_runs_come_before_a_certificate_expires(
    lifetime: str | None,
    renew_before: str | None,
    due: str,
    analyze: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    # A certificate is due when it lasts no longer than the skew. The worst case is due just after a
    # run.
    auth = CommandCertificateAuth.model_validate(
        COMMAND | {"lifetime": lifetime, "renew_before": renew_before}
    )
    plan = schedule(auth)
    expression = systemd_timer.calendar(plan.period)
    result = analyze("calendar", "--iterations=2", f"--base-time={due} UTC", expression)
    values = re.findall(
        r"(?:Next elapse|Iteration #2|Iter\. #2): \w+ ([-\d]+ [:\d]+) UTC", result.stdout
    )
    start = datetime.fromisoformat(due)
    looks = [
        (datetime.fromisoformat(elapse) - start).total_seconds() + plan.delay + 1
        for elapse in values
    ]
    assert len(looks) == 2, result.stdout
    assert 0 < looks[0] < looks[1] < plan.skew
