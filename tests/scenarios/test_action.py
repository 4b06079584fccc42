"""The GitHub action on a pull request in a real repository, step by step as the runner runs it.

The real `gh` talks to a fake of GitHub.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from composite import Job, Outcome, run, steps, value
from fake_github import NUMBER, PROGRAMS, REPOSITORY, TOKEN, GitHub, fake_github
from syrupy.assertion import SnapshotAssertion

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
INSTALL = "Install gen"
MARKER = "<!-- gen:review -->"
PIN, OTHER_PIN = "SHA256:" + "A" * 43, "SHA256:" + "B" * 42 + "A"
SPEC = f"""\
site: lab
title: Lab cluster
operator: Lab
docs: https://docs.lab.example.org/
sources:
  login: {{ url: "https://docs.lab.example.org/login" }}
hosts:
  lab: {{ host: login.lab.example.org, source: login }}
host_keys:
  login: {{ hosts: lab, fingerprints: {{ ed25519: "{PIN}" }}, source: login }}
auth:
  method: publickey
"""
OTHERS = {"python": {"python-path": sys.executable}}


@pytest.fixture(scope="module")
def temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the runner's directory with gen as the action installs it."""
    folder = tmp_path_factory.mktemp("runner")
    checkout = tmp_path_factory.mktemp("checkout")
    # python -m imports from the working directory first: a pull request with a venv.py would run as
    # soon as the action installs gen.
    for name in ("venv", "pip", "ensurepip", "hatchling"):
        (checkout / f"{name}.py").write_text(
            "raise SystemExit('a module of the checkout was imported')\n"
        )
    job = Job(checkout, folder, {**os.environ, "GITHUB_ACTION_PATH": str(ROOT)}, {})
    done = run(ACTION, job, {}, OTHERS, only=lambda name: name == INSTALL)
    assert done.status == 0, done.log
    return folder


@dataclass(frozen=True)
class PullRequest:
    """A checkout of a pull request, and the GitHub that it is on."""

    folder: Path
    temp: Path
    github: GitHub
    base: str

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def change(self, path: str, *replacements: tuple[str, str]) -> None:
        """Change a file and commit it."""
        text = (self.folder / path).read_text()
        for part, replacement in replacements:
            # A text that is not there would make the test pass for nothing.
            assert part in text
            text = text.replace(part, replacement)
        (self.folder / path).write_text(text)
        self.git("commit", "--quiet", "--all", "--message=Change")

    def gen(self, *arguments: str) -> int:
        command = [str(self.temp / "gen/bin/gen"), *arguments]
        home = {"HOME": str(self.temp), "PATH": os.environ["PATH"]}
        return subprocess.run(
            command, cwd=self.folder, env=home, capture_output=True, check=False
        ).returncode

    def run(self, **inputs: str) -> Outcome:
        environment = {
            "HOME": str(self.temp),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "42",
            "GITHUB_SERVER_URL": "http://github.localhost",
        }
        event = {"pull_request": {"number": NUMBER, "base": {"sha": self.base}}}
        job = Job(
            self.folder,
            self.temp,
            environment,
            {"event": event, "token": TOKEN},
            self.github.inside,
        )
        return run(ACTION, job, inputs, OTHERS, only=lambda name: name != INSTALL)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, temp: Path) -> Path:
    """Return a repository whose main branch is in sync, and whose branch `drifting` is not."""
    folder = tmp_path_factory.mktemp("template") / "deploy"
    folder.mkdir()
    repository = PullRequest(folder, temp, GitHub(folder, 0), "")
    repository.git("init", "--quiet", "--initial-branch=main")
    (folder / "site_specs").mkdir()
    (folder / "site_specs/lab.yaml").write_text(SPEC)
    assert repository.gen("site", "site_specs/lab.yaml", "--user=ada", "--no-project") == 0
    repository.git("add", ".")
    repository.git("commit", "--quiet", "--message=The lab")
    repository.git("switch", "--quiet", "--create=drifting")
    port = ("host: login.lab.example.org", "host: login.lab.example.org, port: 2222")
    repository.change("site_specs/lab.yaml", (PIN, OTHER_PIN), port)
    repository.change(".env.lab", ("SLURM_EDGE_NODE_HOST=", "SLURM_EDGE_NODE_HOST=my."))
    repository.git("switch", "--quiet", "main")
    return folder


@pytest.fixture
def pull_request(
    tmp_path: Path, need: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[PullRequest]:
    """Return a pull request that changes nothing yet."""
    need(*PROGRAMS, root=True)
    temp, template = request.getfixturevalue("temp"), request.getfixturevalue("template")
    folder = shutil.copytree(template, tmp_path / "deploy")
    with fake_github(tmp_path / "github") as github:
        base = PullRequest(folder, temp, github, "").git("rev-parse", "main")
        yield PullRequest(folder, temp, github, base)


@pytest.fixture
def drifting(pull_request: PullRequest) -> PullRequest:
    """Return a pull request with a changed spec, stale files, and an edited one."""
    pull_request.git("switch", "--quiet", "drifting")
    return pull_request


def commands(log: str) -> list[str]:
    """Return the lines that the runner reads as commands."""
    read_commands: list[str] = []
    stopped = ""
    for line in log.splitlines():
        if stopped:
            stopped = "" if line == f"::{stopped}::" else stopped
        elif line.startswith("::stop-commands::"):
            stopped = line.removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::"):
            read_commands.append(line)
    assert not stopped
    return read_commands


def test_drift_fails_the_job_and_is_in_annotations_the_summary_one_comment_and_a_patch(
    drifting: PullRequest, snapshot: SnapshotAssertion
) -> None:
    outcome = drifting.run()
    assert (outcome.status, outcome.outputs["status"]) == (1, "1")
    ran = ["Set up Python", "Compare", "Annotate drift", "Comment", "Upload gen.patch", "Verdict"]
    assert outcome.ran == ran
    [comment] = drifting.github.comments
    assert comment["body"] == snapshot(name="comment")
    assert commands(outcome.log) == snapshot(name="annotations")
    assert outcome.summary.count("\n- **") == len(commands(outcome.log))
    # The patch of the report is worth something only if git applies it and nothing drifts then.
    [upload] = [name for name in outcome.used if name.startswith("actions/upload-artifact@")]
    patch = outcome.used[upload]["path"]
    assert patch == outcome.outputs["patch"]
    assert drifting.gen("check") == 1
    drifting.git("apply", patch)
    assert drifting.gen("check") == 0


def test_one_comment_follows_the_pull_request_and_other_comments_stay(
    drifting: PullRequest,
) -> None:
    foreign_comments = [
        ("grace", "Why?"),
        # Anybody may write the marker. The action must not take such a comment for its own, neither
        # to edit it nor to leave its words.
        ("mallory", f"{MARKER}\nAll is well."),
        ("grace", f"> {MARKER}\nI see."),
    ]
    for author, body in foreign_comments:
        drifting.github.comment(author, body)
    drifting.run()
    *before, posted = drifting.github.comments
    assert "2222" in posted["body"]
    drifting.change("site_specs/lab.yaml", ("2222", "2200"))
    drifting.run()
    assert "2200" in drifting.github.comments[-1]["body"]
    drifting.git("reset", "--quiet", "--hard", drifting.base)
    assert drifting.run().status == 0
    *after, last = drifting.github.comments
    assert "no change in meaning" in last["body"]
    assert "every file is what its spec compiles to" in last["body"]
    assert [(comment["author"], comment["body"]) for comment in after] == foreign_comments
    assert before == after
    change = f"PATCH /repos/{REPOSITORY}/issues/comments/{posted['id']}"
    assert drifting.github.writes == [
        f"POST /repos/{REPOSITORY}/issues/{NUMBER}/comments",
        change,
        change,
    ]


def test_a_pull_request_without_findings_gets_no_comment(pull_request: PullRequest) -> None:
    outcome = pull_request.run()
    assert (outcome.status, outcome.outputs) == (0, {"status": "0", "patch": ""})
    assert outcome.ran == ["Set up Python", "Compare", "Annotate drift", "Comment", "Verdict"]
    assert pull_request.github.writes == []
    assert commands(outcome.log) == []


def test_a_proposal_without_drift_is_reviewed_and_passes(pull_request: PullRequest) -> None:
    pull_request.change("site_specs/lab.yaml", (PIN, OTHER_PIN))
    assert pull_request.gen("site", "--all") == 0
    outcome = pull_request.run()
    assert outcome.status == 0
    assert "**trust**" in pull_request.github.comments[0]["body"]


def test_a_fork_that_may_not_comment_gets_a_warning_and_the_same_status(
    drifting: PullRequest,
) -> None:
    # GitHub gives a workflow of a fork a token that can only read.
    drifting.github.forbid()
    outcome = drifting.run()
    assert outcome.status == 1
    assert drifting.github.comments == []
    assert commands(outcome.log)[-1].startswith("::warning title=gen::no comment was written")


@pytest.mark.parametrize(
    ("fail_on", "status"), [pytest.param("", 0, id="off"), pytest.param("trust", 1, id="trust")]
)
def test_a_fork_without_a_write_token_gets_the_same_verdict(
    pull_request: PullRequest, fail_on: str, status: int
) -> None:
    pull_request.change("site_specs/lab.yaml", (PIN, OTHER_PIN))
    assert pull_request.gen("site", "--all") == 0
    allowed = pull_request.run(**{"fail-on": fail_on})
    assert "**trust**" in pull_request.github.comments[0]["body"]
    pull_request.github.forbid()
    forbidden = pull_request.run(**{"fail-on": fail_on})
    assert (allowed.status, forbidden.status) == (status, status)
    assert forbidden.ran[-1] == "Verdict"
    assert "**trust**" in forbidden.summary


def test_an_unknown_weight_fails_and_is_not_silently_off(pull_request: PullRequest) -> None:
    # A typing error that turned the check off would be noticed only after an attack.
    assert pull_request.run(**{"fail-on": "Trust!"}).status == 2


@pytest.mark.parametrize(
    ("comment", "number", "expected"),
    [
        pytest.param("true", 7, True, id="on a pull request"),
        pytest.param("false", 7, False, id="where none is wanted"),
        pytest.param("true", "", False, id="after a push"),
    ],
)
def test_the_comment_step_runs_on_a_pull_request_if_the_input_is_true(
    comment: str, number: object, expected: bool
) -> None:
    [step] = [step for step in steps(ACTION) if step["name"] == "Comment"]
    contexts = {
        "inputs": {"comment": comment},
        "github": {"event": {"pull_request": {"number": number}}},
    }
    assert bool(value(step["if"], contexts)) is expected


def test_a_spec_with_faults_fails_with_2_after_the_comment(pull_request: PullRequest) -> None:
    pull_request.change("site_specs/lab.yaml", ("method: publickey", "method: magic"))
    outcome = pull_request.run()
    assert (outcome.status, outcome.outputs["patch"]) == (2, "")
    assert pull_request.github.comments[0]["body"].count("**refused**") == 2


def test_a_base_that_the_checkout_lacks_is_an_error_and_not_silence(
    pull_request: PullRequest,
) -> None:
    outcome = pull_request.run(base="1" * 40)
    assert outcome.status == 2
    [error] = commands(outcome.log)
    # actions/checkout fetches one commit by default, so this is the first fault of most users.
    assert error.endswith("add fetch-depth: 0 to the step with actions/checkout")
    assert "could not compare" in pull_request.github.comments[0]["body"]


def test_without_a_base_only_drift_is_reported(drifting: PullRequest) -> None:
    outcome = drifting.run(base="")
    assert outcome.status == 1
    [comment] = drifting.github.comments
    assert comment["body"].startswith(f"{MARKER}\n")
    assert "**trust**" not in comment["body"]
    assert "**stale**" in comment["body"]


def test_a_directory_without_specs_on_both_sides_is_not_reviewed(pull_request: PullRequest) -> None:
    assert pull_request.run(specs="elsewhere").status == 0


def test_specs_that_a_pull_request_deletes_are_reviewed(pull_request: PullRequest) -> None:
    pull_request.git("rm", "--quiet", "-r", "site_specs")
    outcome = pull_request.run()
    assert outcome.status == 1
    assert "the site lab was removed" in pull_request.github.comments[0]["body"]


def test_no_name_in_the_tree_is_a_command_to_the_runner(pull_request: PullRequest) -> None:
    # git allows line breaks in file names, and the runner reads commands from any line.
    folder = pull_request.folder / "x\n::set-output name=status::0\n::error::y"
    (folder / ".gen").mkdir(parents=True)
    (folder / ".gen/bad.lock").write_text("\n::error::z\n")
    outcome = pull_request.run(specs="x\n::error::y")
    assert outcome.status == 2
    # The names are in the findings, but no line of them starts a command.
    for command in commands(outcome.log):
        assert command.startswith("::error file=x\\u000a%3A%3Aset-output name=status%3A%3A0")


def test_drift_that_is_too_long_for_the_comment_is_in_the_summary(
    pull_request: PullRequest,
) -> None:
    # Many findings with long names: the comment is limited to 65,536 characters, the summary to 1
    # MiB.
    nodes = 'nodes: { alias: "lab{n}", host: "login{n}.of.the.lab.example.org", n: 1-99 }'
    pull_request.change(
        "site_specs/lab.yaml",
        ("source: login }\nhost_keys", f"source: login, {nodes} }}\nhost_keys"),
    )
    assert pull_request.gen("site", "--all") == 0
    for number in range(130):
        name = f"{'other-' * 9}{number}"
        (pull_request.folder / f".gen/{name}.lock").write_text("{}\n")
        (pull_request.folder / f"site_specs/{name}.yaml").write_text(f"site: {name}\n")
    outcome = pull_request.run()
    body = pull_request.github.comments[0]["body"]
    assert len(body) < 65_536 < len(outcome.summary)
    assert "The drift is too long for a comment" in body


@pytest.mark.parametrize(
    "step", [pytest.param(step, id=step["name"]) for step in steps(ACTION) if "run" in step]
)
def test_no_expression_is_pasted_into_a_script(step: dict[str, str]) -> None:
    # An expression is replaced before the shell reads the script, so a branch called $(id) would
    # run (GitHub: script injections).
    assert "${{" not in step["run"]


def test_every_third_party_action_is_pinned_by_commit() -> None:
    for step in steps(ACTION):
        if "uses" in step:
            # A tag can be moved to other code; this happened to tj-actions/changed-files
            # (CVE-2025-30066).
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"])


def test_only_the_step_that_comments_has_the_token() -> None:
    # The other steps run code and read files of the pull request.
    names = []
    for step in steps(ACTION):
        if "token" in str(step.get("env", "")):
            names.append(step["name"])
    assert names == ["Comment"]
