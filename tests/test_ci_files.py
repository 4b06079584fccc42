"""The files of CI systems are valid, and the examples in the docs work."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from generator.loading import validate, yaml_document
from generator.schema.meta import Weight
from generator.workspace.accepted_file import AcceptedFile
from generator.workspace.drift import Cause

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/drift-review.md").read_text()
YAML_EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BIN = Path(sys.executable).parent
ACTION = ROOT / "action.yml"
GITLAB = ROOT / "integrations/gitlab.yml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def examples_with(key: str) -> list[str]:
    """Return the YAML examples of the page that have a key at the top."""
    return [text for text in YAML_EXAMPLES if re.search(rf"^{key}:", text, re.MULTILINE)]


def run(*command: str | Path, directory: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command, with the programs of the virtual environment before all others."""
    return subprocess.run(
        command,
        cwd=directory,
        # The scripts call `gen`, and must get the one under test.
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def check_schema(schema: str, path: Path) -> None:
    """Check a file against a schema that check-jsonschema ships."""
    result = run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def workflows(tmp_path: Path) -> list[Path]:
    """Return the workflows of this repository, of the page and of a Dagster project, as files."""
    directory = tmp_path / ".github/workflows"
    directory.mkdir(parents=True)
    for number, text in enumerate(examples_with("jobs")):
        (directory / f"page{number}.yml").write_text(text)
    for path in (ROOT / ".github/workflows").glob("*.yml"):
        shutil.copy(path, directory)
    [project] = (ROOT / "cookiecutter-project").glob("*/.github/workflows/*.yml")
    shutil.copy(project, directory / "project.yml")
    workflows = sorted(directory.iterdir())
    assert len(workflows) >= 4
    return workflows


@pytest.mark.system
def test_actionlint_finds_no_fault_in_a_workflow(
    workflows: list[Path], need: Callable[..., None]
) -> None:
    need("actionlint", "shellcheck")
    result = run("actionlint", *workflows, directory=workflows[0].parent)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_workflows_are_valid(workflows: list[Path]) -> None:
    for path in workflows:
        check_schema("github-workflows", path)


def test_workflows_pin_other_actions_by_commit_and_keep_no_credentials(
    workflows: list[Path],
) -> None:
    for path in workflows:
        for job in YAML(typ="safe").load(path)["jobs"].values():
            for step in job["steps"]:
                uses = step.get("uses", "")
                # OWNER stands for this repository: the page says to pin it too.
                if uses and not uses.startswith("OWNER/"):
                    assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses)
                if uses.startswith("actions/checkout@"):
                    # The token stays in .git/config, where every later step can read it: only a job
                    # that pushes, which no pull request starts, keeps it.
                    pushes = job.get("permissions", {}).get("contents") == "write"
                    has_mike = any("mike deploy --push" in str(each) for each in job["steps"])
                    assert step["with"]["persist-credentials"] is (pushes and has_mike)


def test_the_version_of_each_pinned_action_stands_beside_its_commit(workflows: list[Path]) -> None:
    # These were compared with the tags in the repositories of the actions in November 2025.
    for path in [*workflows, ACTION]:
        for line in path.read_text().splitlines():
            if "uses: " in line and "OWNER/" not in line:
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_action_is_valid() -> None:
    check_schema("github-actions", ACTION)


@pytest.mark.system
def test_shellcheck_finds_no_fault_in_the_scripts_of_the_action(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("shellcheck")
    scripts = []
    # actionlint reads workflows only, so the scripts of the action are taken out.
    for step in YAML(typ="safe").load(ACTION)["runs"]["steps"]:
        if "run" in step:
            scripts.append(step["run"])
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(f"#!/bin/bash\nset -eo pipefail\n{script}")
    # SC2016 doubts a dollar or a backtick in single quotes; GraphQL and Markdown need them.
    result = run("shellcheck", "--exclude=SC2016", *sorted(tmp_path.iterdir()))
    assert (result.returncode, result.stdout) == (0, "")


def test_the_action_and_the_template_install_the_dependencies_of_gen_from_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "integrations/requirements.txt").read_text().replace("\\\n", "")
    pinned = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        requirement, *hashes = line.split("--hash=sha256:")
        assert hashes, line
        name, _, version = requirement.partition(";")[0].strip().partition("==")
        pinned[str(canonicalize_name(name))] = version
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for entry in needed:
        wanted = Requirement(entry)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)])


def test_the_page_names_every_input_of_the_action() -> None:
    for name in YAML(typ="safe").load(ACTION)["inputs"]:
        assert f"\n| `{name}` |" in PAGE


def test_the_gitlab_template_is_valid() -> None:
    check_schema("gitlab-ci", GITLAB)


def test_the_gitlab_example_of_the_page_is_valid_and_equals_the_comment_in_the_template(
    tmp_path: Path,
) -> None:
    [text] = examples_with("include")
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(text)
    check_schema("gitlab-ci", path)
    # The template shows its own use in a comment, which must not go stale.
    comment = "".join(f"#   {line}\n" for line in text.splitlines())
    assert comment in GITLAB.read_text()


def test_pre_commit_accepts_the_hooks() -> None:
    result = run(BIN / "pre-commit", "validate-manifest", HOOKS)
    assert result.returncode == 0, result.stdout


def test_pre_commit_accepts_the_configuration_of_the_page_which_has_every_hook(
    tmp_path: Path,
) -> None:
    [text] = examples_with("repos")
    path = tmp_path / ".pre-commit-config.yaml"
    path.write_text(text)
    result = run(BIN / "pre-commit", "validate-config", path)
    assert result.returncode == 0, result.stdout
    # A new hook is easily forgotten on the page.
    hooks = {hook["id"] for hook in YAML(typ="safe").load(HOOKS)}
    assert {hook["id"] for hook in YAML(typ="safe").load(text)["repos"][0]["hooks"]} == hooks


def test_the_accepted_drift_of_the_page_is_valid() -> None:
    [text] = examples_with("accepted")
    document = yaml_document.parse(text.encode(), "accepted.yaml")
    [entry] = validate.validated(AcceptedFile, document, "accepted.yaml").accepted
    assert entry.path == "ssh/musica.conf"
    assert entry.cause == Cause.EDITED
    assert entry.until == date(2027, 3, 31)


@pytest.mark.parametrize("name", [*Cause, *Weight, "refused", "unsourced", "aged"])
def test_the_reference_explains_every_cause_and_weight(name: str) -> None:
    assert f"\n| `{name}` |" in (ROOT / "docs/drift-reference.md").read_text()


@pytest.mark.parametrize(
    "path",
    [
        ".env.mila",
        "ssh/mila.conf",
        "systemd/gen-cert-musica.timer",
        "launchd/gen-cert-musica.plist",
        ".gen/mila.lock",
        "mila-pipelines/src/mila_pipelines/sites/mila.toml",
        "deploy/ssh/mila.known_hosts",
        "deploy/.env.mila",
        "teams/a/systemd/gen-cert-musica.service",
        "mila-pipelines/.gen/project.json",
        "mila-pipelines/src/mila_pipelines/client.py",
    ],
)
def test_the_attributes_of_the_page_hold_for_every_generated_file(
    tmp_path: Path, path: str
) -> None:
    [text] = re.findall(r"```gitattributes\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / ".gitattributes").write_text(text)
    run("git", "init", "--quiet", directory=tmp_path)
    attributes = ("text", "eol", "linguist-generated")
    result = run("git", "check-attr", *attributes, "--", path, directory=tmp_path)
    values = [line.rpartition(": ")[2] for line in result.stdout.splitlines()]
    assert values[:2] == ["set", "lf"]
    # Beside the modules of gen are those of the team, which a reviewer reads.
    assert values[2] == ("unspecified" if path.endswith(".py") else "set")
