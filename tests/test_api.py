"""The public API, which notebooks and other tools import from `generator`."""

import doctest
import os
import subprocess
import sys
from pathlib import Path

import pytest

import generator
from generator import (
    GenError,
    Problem,
    SpecError,
    api,
    check,
    compile_site,
    list_sites,
    load_spec,
    render,
    review,
    validate_spec,
)

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PROGRAM = """\
from pathlib import Path
from generator import (
    Artifact, Finding, GenError, Level, Owner, Problem, Profile, Report, SiteSpec, SpecError,
    __version__, check, compile_site, list_sites, load_spec, render, review, validate_spec,
)

def ports(sites: dict[str, Path]) -> dict[str, int]:
    return {name: load_spec(name).hosts[name].port for name in sites}

def edited(report: Report) -> list[str]:
    return [finding.path for finding in report.findings if finding.level is Level.ERROR]

def conf(spec: SiteSpec, user: str) -> bytes:
    artifacts: tuple[Artifact, ...] = compile_site(spec, Profile(user=user), project="pipelines")
    return next(artifact.content for artifact in artifacts if artifact.owner is Owner.MANAGED)

def problems(path: Path) -> tuple[Problem, ...]:
    try:
        load_spec(path, override=["slurm.partition=main"])
    except SpecError as error:
        return error.problems
    except GenError as error:
        raise SystemExit(str(error)) from error
    return validate_spec(path)

findings: tuple[Finding, ...] = (*check("deploy").findings, *review("main", "HEAD").findings)
print(__version__, ports(list_sites()), render(check(Path("deploy")), "markdown"), findings)
"""


@pytest.mark.parametrize("module", [generator, api], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_run(module: object) -> None:
    result = doctest.testmod(module, optionflags=EXAMPLES)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


def test_every_exported_name_can_be_imported_and_dir_names_it() -> None:
    for name in generator.__all__:
        assert getattr(generator, name)
    assert set(generator.__all__) <= set(dir(generator))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'generator' has no attribute 'nonsense'"):
        generator.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_no_exported_name_is_that_of_a_module_which_an_import_would_put_in_its_place() -> None:
    # `import generator.check` would replace the function `generator.check` by a module.
    modules = {path.stem for path in Path(generator.__file__).parent.iterdir()}
    assert not modules & set(generator.__all__)


def test_importing_the_package_imports_nothing_else_until_a_name_is_used() -> None:
    code = (
        "import sys; before = set(sys.modules); import generator; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "generator\n"


@pytest.mark.parametrize(
    ("line", "errors"),
    [
        pytest.param("", [], id="a correct program"),
        pytest.param("load_spec(5)", ["arg-type"], id="a wrong argument"),
        pytest.param("from generator import nonsense", ["attr-defined"], id="an unknown name"),
        pytest.param("load_spec('mila').nonsense", ["attr-defined"], id="an unknown field"),
    ],
)
def test_mypy_checks_programs_that_use_the_api(
    line: str, errors: list[str], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(f"{PROGRAM}{line}\n")
    # No settings of this repository: they would hide an error that a user of the package sees.
    arguments = ["--strict", "--config-file", os.devnull, "--cache-dir", os.devnull, "program.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *arguments],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": "", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    codes = [line.rpartition("[")[2].rstrip("]") for line in lines if ": error: " in line]
    assert codes == errors, done.stdout


def test_every_fault_of_a_spec_is_returned_as_data(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text("site: theirs\ntitle: 5\nauth: { method: agent }\nslurm: { partitoin: x }\n")
    source = str(path)
    faults = (
        Problem(source, 1, "site", "must be ours, the name of the file"),
        Problem(source, 1, "hosts", "is missing"),
        Problem(source, 2, "title", 'is not a text; put it in quotes: "5"'),
        Problem(source, 4, "slurm.partitoin", "there is no such key; did you mean partition?"),
    )
    assert validate_spec(path) == faults
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert caught.value.problems == faults[1:]


def test_a_fault_of_the_yaml_has_its_line() -> None:
    [problem] = validate_spec(b"site: ours\n\ttitle: Ours\n")
    assert (problem.source, problem.line, problem.key) == ("spec.yaml", 2, "")


def test_strict_returns_the_questions_of_a_reviewer_about_a_sound_spec() -> None:
    assert validate_spec("vulcan") == ()
    [question] = validate_spec("vulcan", strict=True)
    assert question.key == "hosts.vulcan"
    assert question.message.startswith("does the site publish host keys?")


def test_a_spec_is_loaded_by_name_by_path_and_from_a_directory_of_specs(tmp_path: Path) -> None:
    shipped = list_sites()["mila"]
    copy = tmp_path / "mila.yaml"
    copy.write_text(shipped.read_text().replace("Mila cluster", "Our Mila"))
    assert load_spec("mila").title == load_spec(shipped).title == "Mila cluster"
    assert load_spec("mila", specs=tmp_path).title == load_spec(copy).title == "Our Mila"


def test_a_file_that_cannot_be_read_is_an_error() -> None:
    for function in (load_spec, validate_spec):
        with pytest.raises(GenError, match=r"^nope\.yaml: no such file or directory$"):
            function(Path("nope.yaml"))


def test_a_project_is_compiled_only_when_it_is_named() -> None:
    spec = load_spec("mila")
    without = {str(artifact.path) for artifact in compile_site(spec)}
    with_project = {str(artifact.path) for artifact in compile_site(spec, project="My Jobs")}
    assert without == {".env.mila", "ssh/mila.conf"}
    assert {"my-jobs/pyproject.toml", "my-jobs/src/my_jobs/sites/mila.toml"} < with_project


def test_check_compares_a_directory_with_its_specs(tmp_path: Path) -> None:
    gen = [sys.executable, "-m", "generator", "site", "mila", "--no-project"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(gen, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert check(tmp_path).findings == ()
    (tmp_path / ".env.mila").unlink()
    report = check(tmp_path)
    assert [(finding.rule, finding.file) for finding in report.findings] == [
        ("missing", str(tmp_path / ".env.mila"))
    ]
    assert "missing" in render(report, "markdown")


def test_two_revisions_are_reviewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "site_specs/mila.yaml"
    spec.parent.mkdir()
    spec.write_bytes(list_sites()["mila"].read_bytes())
    for arguments in (
        "init -q -b main",
        "add .",
        "-c user.name=Ada -c user.email=ada@example.org commit -q -m Specs",
    ):
        subprocess.run(["git", *arguments.split()], check=True)
    assert review("main").findings == ()
    spec.write_text(spec.read_text().replace("port: 2222", "port: 2223"))
    assert {finding.rule for finding in review("main").findings} == {"trust"}
