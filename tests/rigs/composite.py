"""Run the steps of a composite action as GitHub's runner does, and record other actions."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Context = Mapping[str, Any]
# The meaning of `shell: bash` in GitHub's workflow syntax.
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")


@dataclass
class Outcome:
    """The result of a run of the action."""

    status: int = 0
    """Status of the step that failed; no later step ran."""
    log: str = ""
    ran: list[str] = field(default_factory=list)
    """Names of the steps that were not skipped."""
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    """The inputs of each action that was used."""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Job:
    """A job with a checkout, in which an action runs."""

    workspace: Path
    temp: Path
    """The directory of the runner, which outlives a run of the action."""
    environment: Mapping[str, str]
    github: Context
    wrapped: Callable[..., list[str]] = lambda *command: list(command)
    """Return the command of a step with another command in front, for example `nsenter`."""


def steps(action: Path) -> list[dict[str, Any]]:
    """Return the steps of an action."""
    return list(_load(action)["runs"]["steps"])


def run(
    action: Path,
    job: Job,
    inputs: Mapping[str, str],
    used_outputs: Mapping[str, Mapping[str, str]],
    only: Callable[[str], bool] = bool,
) -> Outcome:
    """Run the steps whose names `only` accepts.

    `used_outputs` has the outputs of the used actions by step id, as no action runs here.
    """
    loaded = _load(action)
    contexts: dict[str, Any] = {
        "github": job.github,
        "steps": {name: {"outputs": outputs} for name, outputs in used_outputs.items()},
    }
    contexts["inputs"] = {
        name: fill(str(item.get("default", "")), contexts)
        for name, item in loaded["inputs"].items()
    }
    contexts["inputs"] |= inputs
    outcome = Outcome()
    for step in loaded["runs"]["steps"]:
        if not only(step["name"]) or ("if" in step and not value(step["if"], contexts)):
            continue
        outcome.ran.append(step["name"])
        if "uses" in step:
            outcome.used[step["uses"]] = {
                key: fill(str(text), contexts) for key, text in step["with"].items()
            }
            continue
        assert step["shell"] == "bash"
        outcome.status = _run(step, job, contexts, outcome)
        if outcome.status:
            break
    outcome.outputs = {
        name: fill(item["value"], contexts) for name, item in loaded["outputs"].items()
    }
    return outcome


def fill(text: str, contexts: Context) -> str:
    """Return a text with its expressions replaced by their values."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: str(value(match[1], contexts)), text)


def value(expression: str, contexts: Context) -> Any:
    """Return the value of an expression: names, comparisons with a text, and `&&`.

    A missing name is empty, as in GitHub's expressions.
    """
    result: Any = ""
    for part in expression.split(" && "):
        result = _compared(part, contexts)
        if not result:
            break
    return result


def _compared(part: str, contexts: Context) -> Any:
    comparison = re.fullmatch(r"(\S+) (==|!=) '([^']*)'", part)
    if not comparison:
        return _named(part, contexts)
    is_equal = _named(comparison[1], contexts) == comparison[3]
    return is_equal if comparison[2] == "==" else not is_equal


def _named(name: str, contexts: Context) -> Any:
    # An expression that this rig misread would let a test pass.
    assert re.fullmatch(r"(github|inputs|steps)(\.[a-z_-]+)+", name), (
        f"{name}: this rig does not know the expression"
    )
    result: Any = contexts
    for key in name.split("."):
        if not isinstance(result, Mapping):
            return ""
        result = result.get(key, "")
    return result


def _run(step: Mapping[str, Any], job: Job, contexts: dict[str, Any], outcome: Outcome) -> int:
    files = {
        name: job.temp / name.lower()
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")
    }
    for file in files.values():
        file.write_text("")
    script = job.temp / "step.sh"
    script.write_text(step["run"])
    done = subprocess.run(
        job.wrapped(*_BASH, str(script)),
        cwd=job.workspace,
        env={
            "PATH": os.environ["PATH"],
            **job.environment,
            "GITHUB_WORKSPACE": str(job.workspace),
            "RUNNER_TEMP": str(job.temp),
            **{name: str(file) for name, file in files.items()},
            **{name: fill(str(text), contexts) for name, text in step.get("env", {}).items()},
        },
        # A step has no terminal and no input; a question would hang here.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outcome.log += done.stdout
    outcome.summary += files["GITHUB_STEP_SUMMARY"].read_text()
    # Variables set here reach every later step of the job, also those of the user.
    assert files["GITHUB_ENV"].read_text() == ""
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    if "id" in step:
        contexts["steps"][step["id"]] = {"outputs": outputs}
    return done.returncode


def _load(action: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(action))
