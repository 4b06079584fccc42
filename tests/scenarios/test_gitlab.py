"""The GitLab template on a merge request in a real repository, as the runner of GitLab runs it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_gitlab import NUMBER, PROJECT, TOKEN, USER, GitLab, fake_gitlab
from ruamel.yaml import YAML

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "integrations/gitlab.yml"
BIN = Path(sys.executable).parent
MARKER = "<!-- gen:review -->"
# All that the package is built from.
PACKAGE = ("generator", "site_specs", "cookiecutter-project", "integrations")
PACKAGE_FILES = ("pyproject.toml", "README.md", "LICENSE")
AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def run(*command: str | Path, directory: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def script(name: str) -> str:
    """Return a script of the job; the runner joins its lines and stops at the first failure."""
    return "\n".join(YAML(typ="safe").load(TEMPLATE)["gen"][name])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of gen, from which the template installs it."""
    directory = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGE:
        shutil.copytree(ROOT / name, directory / name, ignore=ignored)
    for name in PACKAGE_FILES:
        shutil.copy(ROOT / name, directory)
    run("git", "init", "--quiet", directory=directory)
    run("git", "add", "--all", directory=directory)
    run("git", *AUTHOR, "commit", "--quiet", "--message=gen", directory=directory)
    run("git", "tag", "v0", directory=directory)
    return directory


@dataclass(frozen=True)
class MergeRequest:
    """A checkout of a merge request, in which the job runs."""

    directory: Path
    base: str
    gitlab: GitLab
    source: Path
    tools: Path
    """Where gen is installed already; a test of the installation makes its own."""

    def run(self, token: str = TOKEN, **variables: str) -> tuple[int, str]:
        """Run the script of the job, and return its status and its log."""
        before = f'tools={self.tools}; note_token="$GEN_NOTE_TOKEN"; unset GEN_NOTE_TOKEN'
        return self._bash(f"{before}\n{script('script')}", token, variables)

    def run_whole(self, **variables: str) -> tuple[int, str]:
        """Run the job with the installation of gen."""
        return self._bash(f"{script('before_script')}\n{script('script')}", TOKEN, variables)

    def _bash(self, text: str, token: str, variables: dict[str, str]) -> tuple[int, str]:
        environment = {
            **YAML(typ="safe").load(TEMPLATE)["gen"]["variables"],
            "GEN_SOURCE": f"git+file://{self.source}@v0",
            "GEN_NOTE_TOKEN": token,
            "CI_API_V4_URL": self.gitlab.url,
            "CI_MERGE_REQUEST_PROJECT_ID": str(PROJECT),
            "CI_MERGE_REQUEST_IID": str(NUMBER),
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.base,
            "HOME": str(self.directory.parent),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "TMPDIR": str(self.directory.parent),
            **variables,
        }
        done = subprocess.run(
            ["bash", "-c", f"set -eo pipefail\n{text}"],
            cwd=self.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def change_port(self) -> None:
        """Change a spec, which makes its files stale."""
        spec = self.directory / "site_specs/lab.yaml"
        spec.write_text(spec.read_text().replace("port: 2222", "port: 2200"))

    def report(self) -> list[str]:
        entries = json.loads((self.directory / "gl-code-quality-report.json").read_text())
        return [entry["check_name"] for entry in entries]


@pytest.fixture
def merge_request(
    tmp_path: Path, need: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[MergeRequest]:
    """Return a merge request that changes nothing yet."""
    need("bash", "git")
    directory = tmp_path / "deploy"
    (directory / "site_specs").mkdir(parents=True)
    # A site of the repository, under a name that no shipped site has.
    text = (ROOT / "site_specs/mila.yaml").read_text().replace("site: mila\n", "site: lab\n")
    (directory / "site_specs/lab.yaml").write_text(text)
    options = ("--user", "ada", "--no-project")
    run(BIN / "gen", "site", "site_specs/lab.yaml", *options, directory=directory, HOME="/none")
    run("git", "init", "--quiet", directory=directory)
    run("git", "add", "--all", directory=directory)
    run("git", *AUTHOR, "commit", "--quiet", "--message=Lab", directory=directory)
    base = run("git", "rev-parse", "HEAD", directory=directory)
    tools = tmp_path / "tools"
    tools.mkdir()
    tools.joinpath("source").symlink_to(ROOT)
    with fake_gitlab() as gitlab:
        yield MergeRequest(directory, base, gitlab, request.getfixturevalue("source"), tools)


def test_a_merge_request_in_sync_passes_without_a_note(merge_request: MergeRequest) -> None:
    status, log = merge_request.run()
    assert (status, merge_request.report()) == (0, []), log
    assert merge_request.gitlab.writes == []
    assert not (merge_request.directory / "gen.patch").exists()


def test_drift_fails_and_is_in_the_report_one_note_and_a_patch(merge_request: MergeRequest) -> None:
    merge_request.change_port()
    status, log = merge_request.run()
    assert status == 1, log
    names = merge_request.report()
    assert names[0] == "gen/trust"
    assert "gen/stale" in names
    [note] = merge_request.gitlab.notes
    assert note["body"].startswith(f"{MARKER}\n### Changes of the specs, by meaning\n")
    assert "2222 → 2200" in note["body"]
    assert "**stale**" in note["body"]
    # GitLab runs a line that starts with a slash as a command of the author: `/merge`, say.
    assert not [line for line in note["body"].splitlines() if line.startswith("/")]
    # The patch of the artifact must fit the tree that the job saw.
    run("git", "apply", "--check", "gen.patch", directory=merge_request.directory)


def test_gen_is_installed_from_hashes_and_the_whole_job_reports_the_same(
    merge_request: MergeRequest,
) -> None:
    merge_request.change_port()
    status, log = merge_request.run_whole()
    assert status == 1, log
    assert merge_request.report()[0] == "gen/trust"
    assert len(merge_request.gitlab.notes) == 1
    # With other hashes nothing is installed, and nothing passes.
    requirements = merge_request.source / "integrations/requirements.txt"
    forged = re.sub("sha256:[0-9a-f]{8}", f"sha256:{'0' * 8}", requirements.read_text())
    requirements.write_text(forged)
    run(
        "git",
        *AUTHOR,
        "commit",
        "--quiet",
        "--all",
        "--message=Forged",
        directory=merge_request.source,
    )
    head = run("git", "rev-parse", "HEAD", directory=merge_request.source)
    status, log = merge_request.run_whole(GEN_SOURCE=f"git+file://{merge_request.source}@{head}")
    assert status != 0
    assert "hash" in log.lower()


def test_one_note_follows_the_merge_request_and_notes_of_others_stay(
    merge_request: MergeRequest,
) -> None:
    others = [(9, "Why?"), (9, f"{MARKER}\nAll is well."), (USER, "Our own talk.")]
    for author, body in others:
        merge_request.gitlab.note(author, body)
    for number in range(120):
        merge_request.gitlab.note(9, f"Note {number}")  # more than a page of the API
    merge_request.change_port()
    merge_request.run()
    posted = merge_request.gitlab.notes[-1]
    assert posted["author"]["id"] == USER
    run("git", "checkout", "--quiet", ".", directory=merge_request.directory)
    assert merge_request.run()[0] == 0
    assert merge_request.gitlab.writes == ["POST", f"PUT {posted['id']}"]
    assert "no change in meaning" in merge_request.gitlab.notes[-1]["body"]
    assert [
        (note["author"]["id"], note["body"]) for note in merge_request.gitlab.notes[:3]
    ] == others


@pytest.mark.parametrize("fail_on", ["", "trust"])
@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param({"status": 403}, id="a token that may not write"),
        pytest.param({"status": 500}, id="a server that fails"),
        pytest.param({"location": "REDIRECT"}, id="a redirect"),
    ],
)
def test_the_verdict_is_the_same_without_a_note(
    merge_request: MergeRequest, fail_on: str, refusal: dict[str, object]
) -> None:
    merge_request.change_port()
    run(BIN / "gen", "site", "--all", directory=merge_request.directory)
    with fake_gitlab() as elsewhere:
        for name, value in refusal.items():
            setattr(merge_request.gitlab, name, elsewhere.url if value == "REDIRECT" else value)
        variables = {"GEN_FAIL_ON": fail_on} if fail_on else {}
        status, log = merge_request.run(**variables)
        assert status == (1 if fail_on else 0), log
        assert "gen: no note was written (" in log
        # urllib would follow a redirect with the token.
        assert elsewhere.tokens == []
    assert TOKEN not in log
    assert merge_request.report()[0] == "gen/trust"


def test_a_fork_without_the_token_gets_the_same_verdict_and_no_note(
    merge_request: MergeRequest,
) -> None:
    # GitLab gives the pipeline of a fork no variable of the project.
    merge_request.change_port()
    run(BIN / "gen", "site", "--all", directory=merge_request.directory)
    assert merge_request.run(token="", GEN_FAIL_ON="trust")[0] == 1
    assert merge_request.gitlab.tokens == []


def test_a_note_says_where_to_look_if_gen_cannot_compare(merge_request: MergeRequest) -> None:
    status, log = merge_request.run(CI_MERGE_REQUEST_DIFF_BASE_SHA="1" * 40)
    assert status == 2, log
    [note] = merge_request.gitlab.notes
    assert "gen wrote no review.markdown; the log of the job says why." in note["body"]


@pytest.mark.parametrize("name", ["gl-code-quality-report.json", "gen.patch"])
def test_the_job_does_not_take_a_file_of_the_merge_request_for_its_result(
    merge_request: MergeRequest, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "target"
    target.write_text("before")
    (merge_request.directory / name).symlink_to(target)
    assert merge_request.run()[0] == 0
    assert target.read_text() == "before"
    assert not (merge_request.directory / name).is_symlink()
