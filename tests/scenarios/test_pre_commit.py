"""The hooks, as the real pre-commit installs them and git runs them before a commit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from generator import resources

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")


@dataclass(frozen=True)
class Clone:
    """A git repository whose commands do not see the configuration of this machine."""

    folder: Path
    home: Path

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PRE_COMMIT_HOME": str(self.home / "pre-commit"),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
        }
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def commit(self) -> subprocess.CompletedProcess[str]:
        """Commit everything; a hook may refuse."""
        self.run("git", "add", "--all")
        return self.run("git", "commit", "--quiet", "--message=Change")


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Return a repository in sync, with the hooks of this tree installed."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text(
        "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n"
    )
    gen_repository = Clone(tmp_path_factory.mktemp("gen"), home)
    shutil.copytree(
        ROOT,
        # pre-commit installs hooks from a repository at a revision, so the tree under test has to
        # be one.
        gen_repository.folder,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns(".git", ".venv", "*_cache"),
    )
    gen_repository.run("git", "init", "--quiet")
    assert gen_repository.commit().returncode == 0
    revision = gen_repository.run("git", "rev-parse", "HEAD").stdout.strip()

    deploy = Clone(tmp_path_factory.mktemp("deploy"), home)
    (deploy.folder / "site_specs").mkdir()
    text = (resources.CATALOGUE / "mila.yaml").read_text().replace("site: mila\n", "site: lab\n")
    (deploy.folder / "site_specs/lab.yaml").write_text(text)
    hooks = "[{ id: gen-check }, { id: gen-validate }]"
    (deploy.folder / ".pre-commit-config.yaml").write_text(
        f"repos:\n  - repo: {gen_repository.folder}\n    rev: {revision}\n    hooks: {hooks}\n"
    )
    done = deploy.run(
        sys.executable, "-m", "generator", "site", "site_specs/lab.yaml", "--user=ada"
    )
    assert done.returncode == 0, done.stderr
    deploy.run("git", "init", "--quiet")
    done = deploy.run(PRE_COMMIT, "install", "--install-hooks")
    assert done.returncode == 0, done.stdout + done.stderr
    done = deploy.commit()
    assert done.returncode == 0, done.stdout + done.stderr
    return deploy


@pytest.fixture
def deploy(need: Callable[..., None], tmp_path: Path, request: pytest.FixtureRequest) -> Clone:
    """Return a copy of the repository with the hooks, in which everything is committed."""
    need("git")
    hooked: Clone = request.getfixturevalue("hooked")
    folder = shutil.copytree(hooked.folder, tmp_path / "deploy")
    return Clone(folder, hooked.home)


def change(path: Path, text: str, replacement: str) -> None:
    content = path.read_text()
    assert text in content
    path.write_text(content.replace(text, replacement))


def test_a_commit_that_keeps_everything_in_sync_passes(deploy: Clone) -> None:
    change(deploy.folder / "site_specs/lab.yaml", "port: 2222", "port: 2200")
    assert deploy.run(sys.executable, "-m", "generator", "site", "--all").returncode == 0
    done = deploy.commit()
    assert done.returncode == 0, done.stdout + done.stderr
    assert deploy.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    ("path", "text", "replacement", "message"),
    [
        pytest.param(
            "ssh/lab.conf",
            "Port 2222",
            "Port 2200",
            "ssh/lab.conf:",
            id="a generated file was edited",
        ),
        pytest.param(
            "site_specs/lab.yaml", "port: 2222", "port: 2200", "stale", id="a spec changed"
        ),
    ],
)
def test_a_commit_that_makes_a_file_drift_is_blocked(
    deploy: Clone, path: str, text: str, replacement: str, message: str
) -> None:
    before = deploy.run("git", "rev-parse", "HEAD").stdout
    change(deploy.folder / path, text, replacement)
    done = deploy.commit()
    assert done.returncode == 1
    assert message in done.stdout + done.stderr
    assert deploy.run("git", "rev-parse", "HEAD").stdout == before


def test_a_commit_that_deletes_a_generated_file_is_blocked(deploy: Clone) -> None:
    (deploy.folder / "ssh/lab.conf").unlink()
    done = deploy.commit()
    assert done.returncode == 1
    assert "missing" in done.stdout + done.stderr


def test_a_commit_of_a_spec_with_a_fault_is_blocked_with_its_line(deploy: Clone) -> None:
    (deploy.folder / "site_specs/new.yaml").write_text("site: new\ntitle: New\nhost: x\n")
    done = deploy.commit()
    assert done.returncode == 1
    assert "site_specs/new.yaml:3: host: there is no such key" in done.stdout + done.stderr
