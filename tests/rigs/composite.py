"""Runs the steps of a composite action as GitHub's runner does; other actions that it uses are noted, not run."""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Context = Mapping[str, Any]
_BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")  # what `shell: bash` means there


@dataclass
class Outcome:
    """What a run of the action came to."""

    status: int = 0
    """Status of the step that failed, after which no other ran."""
    log: str = ""
    ran: list[str] = field(default_factory=list)
    """Names of the steps that were not skipped."""
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    """What other actions were given."""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Job:
    """A job with a checkout, in which an action runs."""

    workspace: Path
    temp: Path
    """The runner's own folder, which outlives a run of the action."""
    environment: Mapping[str, str]
    github: Context
    around: Callable[..., list[str]] = lambda *command: list(command)
    """Where a step runs: puts something in front of its command."""


def steps(action: Path) -> list[dict[str, Any]]:
    """Return the steps of an action."""
    return list(_load(action)["runs"]["steps"])


def run(
    action: Path,
    job: Job,
    given: Mapping[str, str],
    others: Mapping[str, Mapping[str, str]],
    only: Callable[[str], bool] = bool,
) -> Outcome:
    """Run those steps whose names `only` takes; `others` has the outputs of the actions that it uses, by step id."""
    loaded = _load(action)
    contexts: dict[str, Any] = {
        "github": job.github,
        "steps": {name: {"outputs": outputs} for name, outputs in others.items()},
    }
    contexts["inputs"] = {
        name: fill(str(item.get("default", "")), contexts)
        for name, item in loaded["inputs"].items()
    }
    contexts["inputs"] |= given
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
    """Return a text with the values of the expressions in it."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(value(found[1], contexts)), text)


def value(expression: str, contexts: Context) -> Any:
    """Return what an expression comes to: names, comparisons with a text, and `&&`; what is not there is empty."""
    result: Any = ""
    for part in expression.split(" && "):
        result = _compared(part, contexts)
        if not result:
            break
    return result


def _compared(part: str, contexts: Context) -> Any:
    if found := re.fullmatch(r"(\S+) (==|!=) '([^']*)'", part):
        return (_named(found[1], contexts) == found[3]) is (found[2] == "==")
    return _named(part, contexts)


def _named(name: str, contexts: Context) -> Any:
    assert re.fullmatch(r"(github|inputs|steps)(\.[a-z_-]+)+", name), (
        f"{name}: no expression that is known here"
    )
    found: Any = contexts
    for key in name.split("."):
        found = found.get(key, "") if isinstance(found, Mapping) else ""
    return found


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
        job.around(*_BASH, str(script)),
        cwd=job.workspace,
        env={
            "PATH": os.environ["PATH"],
            **job.environment,
            "GITHUB_WORKSPACE": str(job.workspace),
            "RUNNER_TEMP": str(job.temp),
            **{name: str(file) for name, file in files.items()},
            **{name: fill(str(text), contexts) for name, text in step.get("env", {}).items()},
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    outcome.log += done.stdout
    outcome.summary += files["GITHUB_STEP_SUMMARY"].read_text()
    assert files["GITHUB_ENV"].read_text() == ""
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    if "id" in step:
        contexts["steps"][step["id"]] = {"outputs": outputs}
    return done.returncode


def _load(action: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(action))
