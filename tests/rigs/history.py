"""A repository as a team keeps one: five specs, compiled into three directories."""

import hashlib
import os
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import Gen, Result, running

HISTORIES = Path(__file__).parents[1] / "scenarios/histories"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
"""A host key that no spec of the repository has."""
SECRET = "correct-horse-battery-staple"  # noqa: S105 - not the secret of anybody
EDIT = r"sed -i '5a\    # by hand' ssh/aster.conf"
"""The command that edits a generated file."""

DIRECTORIES = {
    "aster": ".",
    "birch": ".",
    "cedar": "teams/a",
    "dahlia": "teams/a",
    "elder": "teams/b/lab",
}
USERS = {"aster": "ada", "birch": "grace", "cedar": "edsger", "dahlia": "barbara", "elder": "tony"}

_IDENTITY = (
    *("-c", "user.name=Ada"),
    *("-c", "user.email=ada@example.org"),
    *("-c", "commit.gpgSign=false"),
)
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    # With the same times the commits have the same names in every run.
    "GIT_AUTHOR_DATE": "2026-06-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-06-01T12:00:00Z",
}


def fingerprint(name: str) -> str:
    """Return the fingerprint of a host key that does not exist."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def git(*arguments: str, directory: Path = Path(), stdin: str = "", status: int = 0) -> str:
    """Run git without the configuration of this machine, and return its output."""
    done = subprocess.run(
        ["git", *_IDENTITY, *arguments],
        cwd=directory,
        env={**os.environ, **_ENVIRONMENT},
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode("utf-8", "surrogateescape")


def commit(message: str) -> None:
    """Commit everything below the current directory."""
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)


def shell(command: str) -> None:
    """Run a command of bash that changes the repository."""
    subprocess.run(["bash", "-euc", command], check=True)


def spec(site: str) -> Path:
    """Return the path of a spec."""
    return Path("site_specs", f"{site}.yaml")


def lock(site: str) -> Path:
    """Return the path of a lock."""
    return Path(DIRECTORIES[site], ".gen", f"{site}.lock")


def replace(path: Path, text: str, replacement: str) -> None:
    """Replace a text that is in a file once."""
    before = path.read_bytes().decode()
    # As bytes, because a text file would change the line ends.
    assert before.count(text) == 1, f"{path} has {text!r} {before.count(text)} times"
    path.write_bytes(before.replace(text, replacement).encode())


def line_of(path: Path, text: str) -> int:
    """Return the number of the only line of a file that starts with a text, apart from spaces."""
    pattern = re.compile(rf"\s*(- )?{re.escape(text)}")
    numbers = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if pattern.match(line):
            numbers.append(number)
    [only] = numbers
    return only


def state(directory: Path) -> Mapping[str, tuple[object, ...]]:
    """Return everything below a directory: bytes, modes, times of change, targets of links."""
    return {str(path): _state(path) for path in sorted([directory, *directory.rglob("*")])}


def _state(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content: object = None
    if path.is_symlink():
        content = path.readlink()
    elif path.is_file():
        content = path.read_bytes()
    return status.st_mode, status.st_mtime_ns, status.st_ino, content


@contextmanager
def unchanged(directory: Path) -> Iterator[None]:
    """Assert that nothing changes below a directory."""
    before = state(directory)
    yield
    assert state(directory) == before


def _need_gnu_tools() -> None:
    """Skip a test whose script edits files with the options of GNU sed (macOS has another one)."""
    done = subprocess.run(["sed", "--version"], capture_output=True, check=False)
    missing = [name for name in ("sha256sum", "truncate") if not shutil.which(name)]
    if done.returncode or missing:
        pytest.skip("needs GNU sed and coreutils")


def _isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Hide everything around gen that differs between machines."""
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    for name in list(os.environ):
        if name.startswith(("GEN_", "XDG_CONFIG", "GIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def five_sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the repository: one commit on main."""
    _need_gnu_tools()
    directory = tmp_path_factory.mktemp("history")
    repository = directory / "repo"
    repository.mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(repository)
        _isolate(monkeypatch, directory / "home")
        gen = running(monkeypatch, lambda: ("", ""))
        git("init", "--quiet", "--template=", "--initial-branch=main")
        shutil.copytree(HISTORIES / "site_specs", "site_specs")
        for site, user in USERS.items():
            options = ("--out", DIRECTORIES[site], "--user", user, "--no-project")
            assert gen("site", f"./{spec(site)}", *options).status == 0
        commit("Generate five sites")
        # A pack is one file: each test copies the repository.
        git("gc", "--quiet")
    return repository


@pytest.fixture
def writing_gen(
    five_sites: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Gen:
    """Run gen in a copy of the repository, which is the current directory."""
    shutil.copytree(five_sites, tmp_path / "repo", symlinks=True)
    monkeypatch.chdir(tmp_path / "repo")
    _isolate(monkeypatch, tmp_path / "home")

    def read_output() -> tuple[str, str]:
        out, err = capsysbinary.readouterr()
        return out.decode("utf-8", "surrogateescape"), err.decode()

    return running(monkeypatch, read_output)


@pytest.fixture
def reading_gen(writing_gen: Gen, tmp_path: Path) -> Gen:
    """Run gen in the same copy, and assert that nothing changes in it or anywhere around it."""

    def run(*arguments: str) -> Result:
        with unchanged(tmp_path):
            return writing_gen(*arguments)

    return run
