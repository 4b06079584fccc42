"""The files that CI systems read: their own checkers find no fault in them, and what the docs show works."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from generator.loading import validate, yaml_document
from generator.revisions.facts import Weight
from generator.workspace.accepted_drift import Accepted
from generator.workspace.drift import Cause

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/drift-review.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BIN = Path(sys.executable).parent


def shown(key: str) -> list[str]:
    """Return the YAML of the page that has a key at the top."""
    return [text for text in EXAMPLES if re.search(rf"^{key}:", text, re.MULTILINE)]


def run(*command: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def schema_faults(schema: str, path: Path) -> str:
    done = run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", path)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def workflows(tmp_path: Path) -> list[Path]:
    """Return the workflows of this repository and those of the page, as files."""
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    for number, text in enumerate(shown("jobs")):
        (folder / f"page{number}.yml").write_text(text)
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        shutil.copy(path, folder)
    found = sorted(folder.iterdir())
    assert len(found) >= 3
    return found


@pytest.mark.system
def test_actionlint_finds_no_fault_in_a_workflow(
    workflows: list[Path], need: Callable[..., None]
) -> None:
    need("actionlint", "shellcheck")
    done = run("actionlint", *workflows, folder=workflows[0].parent)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_workflows_are_valid(workflows: list[Path]) -> None:
    assert [schema_faults("github-workflows", path) for path in workflows] == [""] * len(workflows)


def test_the_action_is_valid() -> None:
    assert schema_faults("github-actions", ROOT / "action.yml") == ""


@pytest.mark.system
def test_shellcheck_finds_no_fault_in_the_scripts_of_the_action(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need(
        "shellcheck"
    )  # but for its doubts of a dollar or a backtick in single quotes, which Markdown and GraphQL need
    scripts = [
        step["run"]
        for step in YAML(typ="safe").load(ROOT / "action.yml")["runs"]["steps"]
        if "run" in step
    ]
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(f"#!/bin/bash\nset -eo pipefail\n{script}")
    done = run("shellcheck", "--exclude=SC2016", *sorted(tmp_path.iterdir()))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_page_names_every_input_of_the_action() -> None:
    inputs = YAML(typ="safe").load(ROOT / "action.yml")["inputs"]
    assert [name for name in inputs if f"\n| `{name}` |" not in PAGE] == []


def test_the_gitlab_template_is_valid() -> None:
    assert schema_faults("gitlab-ci", ROOT / "integrations/gitlab.yml") == ""


def test_what_the_page_shows_of_gitlab_is_valid_and_is_what_the_template_says(
    tmp_path: Path,
) -> None:
    [text] = shown("include")
    (tmp_path / ".gitlab-ci.yml").write_text(text)
    assert schema_faults("gitlab-ci", tmp_path / ".gitlab-ci.yml") == ""
    comment = "".join(f"#   {line}\n" for line in text.splitlines())
    assert comment in (ROOT / "integrations/gitlab.yml").read_text()


def test_pre_commit_takes_the_hooks() -> None:
    done = run(BIN / "pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def test_pre_commit_takes_the_configuration_of_the_page(tmp_path: Path) -> None:
    [text] = shown("repos")
    (tmp_path / ".pre-commit-config.yaml").write_text(text)
    done = run(BIN / "pre-commit", "validate-config", tmp_path / ".pre-commit-config.yaml")
    assert done.returncode == 0, done.stdout
    hooks = {hook["id"] for hook in YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")}
    assert {hook["id"] for hook in YAML(typ="safe").load(text)["repos"][0]["hooks"]} == hooks


def test_the_accepted_drift_of_the_page_is_sound() -> None:
    [text] = shown("accepted")
    [entry] = validate.validated(
        Accepted, yaml_document.parse(text.encode(), "accepted.yaml"), "accepted.yaml"
    ).accepted
    assert (entry.path, entry.cause, entry.until) == (
        "ssh/musica.conf",
        Cause.EDITED,
        date(2026, 3, 31),
    )


@pytest.mark.parametrize("name", [*Cause, *Weight, "refused", "unsourced", "aged"])
def test_the_page_explains_every_cause_and_weight(name: str) -> None:
    assert f"\n| `{name}` |" in PAGE


@pytest.mark.parametrize(
    "path",
    [
        ".env.mila",
        "ssh/mila.conf",
        "systemd/gen-cert-musica.timer",
        "launchd/gen-cert-musica.plist",
        ".gen/mila.lock",
    ],
)
def test_the_attributes_of_the_page_hold_for_every_generated_file(
    tmp_path: Path, path: str
) -> None:
    [text] = re.findall(r"```gitattributes\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / ".gitattributes").write_text(text)
    run("git", "init", "--quiet", folder=tmp_path)
    done = run(
        "git", "check-attr", "text", "eol", "linguist-generated", "--", path, folder=tmp_path
    )
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == ["set", "lf", "set"]


def gitlab(folder: Path, base: str) -> int:
    """Run the script of the template as GitLab's runner does, and return its status."""
    job = YAML(typ="safe").load(ROOT / "integrations/gitlab.yml")["gen"]
    environment = {
        **job["variables"],
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "HOME": str(folder),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    script = "set -eo pipefail\n" + "\n".join(job["script"])
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, check=False
    ).returncode


@pytest.mark.system
def test_the_script_for_gitlab_passes_in_sync_and_keeps_a_patch_of_drift(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("bash", "git")
    (tmp_path / "site_specs").mkdir()
    spec = tmp_path / "site_specs/lab.yaml"
    text = (ROOT / "site_specs/mila.yaml").read_text().replace("site: mila\n", "site: lab\n")
    spec.write_text(text)
    assert (
        run(BIN / "gen", "site", "site_specs/lab.yaml", "--user", "ada", folder=tmp_path).returncode
        == 0
    )
    for words in (
        "init -q",
        "add .",
        "-c user.name=Ada -c user.email=ada@example.org commit -q -m Lab",
    ):
        assert run("git", *words.split(), folder=tmp_path).returncode == 0
    base = run("git", "rev-parse", "HEAD", folder=tmp_path).stdout.strip()
    assert gitlab(tmp_path, base) == 0
    assert not (tmp_path / "gen.patch").exists()
    spec.write_text(text.replace("port: 2222", "port: 2200"))
    assert gitlab(tmp_path, base) == 1
    assert run("git", "apply", "--check", "gen.patch", folder=tmp_path).returncode == 0
