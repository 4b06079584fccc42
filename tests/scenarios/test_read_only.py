"""`gen check`, `gen diff` and `gen review` write nothing and read only the tree.

strace and a read-only mount show it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator import resources

pytestmark = pytest.mark.system

READ_ONLY = (
    'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$2" && shift 2 && exec "$@"'
)
WRITES = re.compile(
    r"\b(creat|f?truncate|f?chmod(at)?2?|[fl]?chown(at)?|mkdir(at)?|rmdir|mknod(at)?|"
    r"rename(at2?)?|(sym)?link(at)?|"
    r"unlink(at)?|utimens?(at)?|futimesat|[fl]?(set|remove)xattr|fallocate)\("
)
OPENED = re.compile(r"\bopen(?:at2?)?\b.* = [0-9]+<(?P<path>[^>]*)>$")
FOR_WRITING = re.compile(r"\bopen(?:at2?)?\(.*\bO_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
TRACED = "%file,%network,ftruncate,fchmod,fchown,fsetxattr,fremovexattr,fallocate"
SYSTEM = (
    "/usr/",
    "/lib",
    "/etc/",
    "/proc/",
    "/sys/",
    "/dev/null",
    "/dev/tty",
    sys.prefix,
    sys.base_prefix,
    # A .pth file may add packages from elsewhere.
    *(path for path in sys.path if path.endswith("site-packages")),
)
COMMANDS = [
    pytest.param(("check",), 1, id="check"),
    pytest.param(("diff",), 1, id="diff"),
    pytest.param(("review", "HEAD"), 0, id="review"),
]

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Desk:
    """A repository that drifts, a home, and files outside that gen must not read."""

    root: Path

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def run(self, *command: str) -> Result:
        environment = {
            "HOME": str(self.root / "home"),
            "PATH": os.environ["PATH"],
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            command,
            cwd=self.tree,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def gen(self, *arguments: str) -> Result:
        return self.run(sys.executable, "-m", "generator", *arguments)

    def traced(self, *arguments: str) -> tuple[list[str], Result]:
        """Return the system calls of a run of gen on files and sockets, and its result."""
        log = self.root / "calls"
        options = [
            "--follow-forks",
            "--seccomp-bpf",
            "--decode-fds=path",
            "--quiet=all",
            "--string-limit=4096",
            f"--trace={TRACED}",
        ]
        done = self.run(
            "strace", *options, f"--output={log}", sys.executable, "-m", "generator", *arguments
        )
        return log.read_text(errors="surrogateescape").splitlines(), done


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = Desk(tmp_path_factory.mktemp("template") / "desk")
    for folder in (desk.tree / "site_specs", desk.outside / "gen", desk.root / "home/.config/gen"):
        folder.mkdir(parents=True)
    spec = (resources.CATALOGUE / "mila.yaml").read_text().replace("site: mila\n", "site: lab\n")
    (desk.tree / "site_specs/lab.yaml").write_text(spec)
    assert desk.gen("site", "site_specs/lab.yaml", "--user=ada").returncode == 0
    desk.run("git", "init", "--quiet")
    desk.run("git", "add", ".")
    desk.run(
        "git",
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.org",
        "commit",
        "--quiet",
        "--message=Lab",
    )
    (desk.tree / "site_specs/lab.yaml").write_text(spec.replace("port: 2222", "port: 2200"))
    (desk.tree / ".env.lab").write_text("EDITED=1\n")
    # The profile of whoever runs the check must not change its result, so gen must not read it.
    (desk.root / "home/.config/gen/profile.yaml").write_text("user: eve\n")
    (desk.outside / "lab.yaml").write_text(spec)
    (desk.outside / "lab.conf").write_text("Host secret\n")
    (desk.outside / "accepted.yaml").write_text("accepted: []\n")
    (desk.outside / "gen/lab.lock").write_bytes((desk.tree / ".gen/lab.lock").read_bytes())
    return desk.root


@pytest.fixture
def desk(tmp_path: Path, need: Callable[..., None], request: pytest.FixtureRequest) -> Desk:
    need("git", "mount", "strace", "unshare", root=True)
    return Desk(shutil.copytree(request.getfixturevalue("template"), tmp_path / "desk"))


@pytest.mark.parametrize(("arguments", "status"), COMMANDS)
def test_a_command_works_on_a_read_only_file_system(
    desk: Desk, arguments: tuple[str, ...], status: int
) -> None:
    inside = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(desk.root), str(desk.tree))
    # Otherwise root wrote through the mount, and the test shows nothing.
    assert "Read-only file system" in desk.run(*inside, "touch", "written").stderr
    result = desk.run(*inside, sys.executable, "-m", "generator", *arguments)
    assert result.returncode == status
    writable = desk.gen(*arguments)
    assert (result.stdout, result.stderr) == (writable.stdout, writable.stderr)
    assert result.stdout


@pytest.mark.parametrize(("arguments", "status"), COMMANDS)
def test_a_command_tries_no_write_and_reads_only_the_tree_and_itself(
    desk: Desk, arguments: tuple[str, ...], status: int
) -> None:
    calls, _ = desk.traced(*arguments)
    assert any("site_specs/lab.yaml" in path for path in opened(calls)), "strace recorded nothing"
    assert writes(calls) == []
    assert [call for call in calls if re.search(r"\bAF_INET6?\b", call)] == []
    # The template of the project is a part of gen, as the catalogue is.
    directories = (desk.tree, resources.PACKAGE, resources.CATALOGUE, resources.PROJECT)
    allowed = (*SYSTEM, *(f"{directory}/" for directory in directories))
    # Python lists the parent of the package to find it.
    exactly = {str(directory) for directory in (*directories, resources.PACKAGE.parent)}
    for path in opened(calls):
        assert path.startswith(allowed) or path in exactly


def outside_spec(desk: Desk, folder: str = ".") -> None:
    lock = desk.tree / folder / ".gen/lab.lock"
    record = json.loads(lock.read_text())
    record["inputs"]["spec"]["path"] = os.path.relpath(
        desk.outside / "lab.yaml", desk.tree / folder
    )
    lock.write_text(json.dumps(record))


def link(desk: Desk, path: str, target: str) -> None:
    """Replace a file or directory by a link that leads out."""
    link_path = desk.tree / path
    if link_path.exists():
        link_path.rename(desk.root / "moved")
    link_path.symlink_to(desk.outside / target)


def check_everywhere(desk: Desk) -> None:
    """Make a directory for each kind of path that leads out."""
    for name in ("of the lock", "lock", "spec", "file"):
        shutil.copytree(
            desk.tree,
            desk.tree / name,
            ignore=shutil.ignore_patterns(".git", "of *", "lock", "spec"),
        )
    outside_spec(desk, "of the lock")
    link(desk, "lock/.gen/lab.lock", "gen/lab.lock")
    link(desk, "spec/site_specs/lab.yaml", "lab.yaml")
    link(desk, "file/ssh/lab.conf", "lab.conf")
    link(desk, "nobody names it.yaml", "lab.yaml")
    link(desk, "a folder", ".")


LEADS_OUT = [
    pytest.param(check_everywhere, ("check",), 4, id="check: specs, locks and files"),
    pytest.param(
        lambda desk: link(desk, ".gen/accepted.yaml", "accepted.yaml"),
        ("check",),
        1,
        id="check: accepted drift",
    ),
    pytest.param(outside_spec, ("diff",), 1, id="diff: a lock that names a spec outside"),
    pytest.param(
        lambda desk: link(desk, "ssh/lab.conf", "lab.conf"), ("diff",), 1, id="diff: a file"
    ),
    pytest.param(
        lambda desk: link(desk, "site_specs/lab.yaml", "lab.yaml"),
        ("review", "HEAD"),
        1,
        id="review: a spec",
    ),
    pytest.param(
        lambda desk: link(desk, ".gen", "gen"),
        ("check",),
        1,  # the directory; what would be in it is not searched
        id="check: all locks",
    ),
    pytest.param(
        lambda desk: link(desk, "site_specs", "."),
        ("review", "HEAD"),
        1,
        id="review: all specs",
    ),
]


@pytest.mark.parametrize(("change", "arguments", "refusals"), LEADS_OUT)
def test_a_path_that_leads_out_is_refused_and_never_opened(
    desk: Desk, change: Callable[[Desk], None], arguments: tuple[str, ...], refusals: int
) -> None:
    change(desk)
    calls, done = desk.traced(*arguments)
    forbidden = (str(desk.outside), str(desk.root / "home"))
    for path in opened(calls):
        assert not path.startswith(forbidden)
    assert writes(calls) == []
    assert done.returncode == 2
    assert len(re.findall(r"leads out of|is not below", done.stdout + done.stderr)) == refusals


def opened(calls: list[str]) -> list[str]:
    """Return the real paths of all opened files."""
    paths = []
    for call in calls:
        match = OPENED.search(call)
        if match:
            paths.append(match["path"])
    return paths


def writes(calls: list[str]) -> list[str]:
    """Return the calls that change something, or try to."""
    changing = []
    for call in calls:
        is_write = WRITES.search(call) or FOR_WRITING.search(call)
        # git opens these for writing; neither keeps anything.
        if is_write and not re.search(r'"/dev/(null|tty)"', call):
            changing.append(call)
    return changing
