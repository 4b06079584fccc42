"""The functions of the public API, which `generator` exports.

`generator/__init__.py` says what is stable.

Each function is a line or two over the package. None of them prints or asks; they raise
`GenError` for an error that a user can fix.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path, PurePosixPath

from generator.compiler.artifact import Artifact
from generator.compiler.compile import compilation
from generator.loading import catalogue, inputs, overrides, validate, yaml_document
from generator.loading.validate import Problem
from generator.report.finding import Report
from generator.report.format import Format
from generator.report.rendered import rendered
from generator.revisions.revision_report import revision_report
from generator.revisions.spec_check import check_file
from generator.schema import project as projects
from generator.schema.profile import Profile
from generator.schema.site import SiteSpec
from generator.workspace.drift_report import drift_report


def list_sites(specs: Path | None = None) -> dict[str, Path]:
    """Return the spec of every site, by name.

    gen searches the directory `specs`, then `./site_specs`, the installed specs, and those that
    ship with gen.

    Examples:
        >>> list_sites()["mila"].name
        'mila.yaml'
    """
    return catalogue.sites(specs)


def load_spec(
    site: str | Path, *, specs: Path | None = None, override: Sequence[str] = ()
) -> SiteSpec:
    """Return the validated spec of a site: its name in `list_sites`, or a path.

    `override` has the form of the option `--set`. A spec with faults raises `SpecError`, which
    has them all in `problems`.

    Examples:
        >>> load_spec("mila").hosts["mila"].port
        2222
        >>> load_spec("mila", override=["slurm.partition=main"]).slurm.partition
        'main'
        >>> load_spec("mila", override=["slurm.partition=mian"])
        Traceback (most recent call last):
        generator.loading.validate.SpecError: --set slurm.partition: the site has no partition ...
    """
    path = _spec_path(site, specs)
    root = yaml_document.parse(inputs.file(path).content, str(path))
    return validate.spec(root, str(path), [overrides.change(text) for text in override])


def _spec_path(site: str | Path, specs: Path | None) -> Path:
    if isinstance(site, Path):
        return site
    return catalogue.spec(site, specs)


def validate_spec(
    spec: str | Path | bytes, *, strict: bool = False, today: date | None = None
) -> tuple[Problem, ...]:
    """Return every fault of a spec: a name, a path, or its content as bytes. A sound spec has none.

    With `strict`, a sound spec returns the questions that a reviewer would ask. Some depend on
    the date.

    Examples:
        >>> validate_spec("mila")
        ()
        >>> [problem] = validate_spec(b"{ site: ours, title: Ours, auth: { method: agent } }")
        >>> problem.line, problem.key, problem.message
        (1, 'hosts', 'is missing')
    """
    if isinstance(spec, bytes):
        file = inputs.File(Path("spec.yaml"), spec)
    else:
        file = inputs.file(_spec_path(spec, None))
    check = check_file(
        file,
        strict=strict,
        # A caller that repeats a check gives the date: facts age, and accepted drift ends.
        today=today or date.today(),
        # Content alone has no file whose name the site could contradict.
        any_name=isinstance(spec, bytes),
    )
    return check.faults or check.questions


def compile_site(
    spec: SiteSpec, profile: Profile | None = None, *, project: str | None = None
) -> tuple[Artifact, ...]:
    """Return every file that gen writes for a site and a user, in memory.

    `project` names a Dagster project to add. The overrides that a profile has for the site
    (`set`) are not applied here: give them to `load_spec`.

    Examples:
        >>> spec = load_spec("mila")
        >>> artifacts = compile_site(spec, Profile(user="ada"))
        >>> [str(artifact.path) for artifact in artifacts]
        ['.env.mila', 'ssh/mila.conf']
        >>> "User ada" in artifacts[1].content.decode()
        True
    """
    values = (profile or Profile()).at(spec.site, {})
    destination = None
    if project is not None:
        directory = PurePosixPath(projects.slug(project, frozenset()))
        destination = projects.Project(directory, projects.package(str(directory)))
    result = compilation(spec, values, (), destination)
    return result.artifacts + result.project_files


def check(directory: str | Path = ".", *, today: date | None = None) -> Report:
    """Compare every site that was generated below a directory with its spec, as `gen check` does.

    A report without findings means that every file matches. Accepted drift can expire, so the
    result depends on the date.

    Examples:
        >>> report = check("deploy")  # doctest: +SKIP
        >>> [(finding.rule, finding.file) for finding in report.findings]  # doctest: +SKIP
        [('edited', 'deploy/ssh/mila.conf')]
    """
    return drift_report(Path(directory), today or date.today())


def review(
    base: str,
    head: str | None = None,
    *,
    specs: str | Path = "site_specs",
    today: date | None = None,
) -> Report:
    """Review the specs of two revisions of a git repository, as `gen review` does.

    The repository is the one around the current directory.

    Without `head`, the files in the work tree are reviewed.

    Examples:
        >>> print(render(review("main"), "markdown"))  # doctest: +SKIP
    """
    return revision_report(base, head, Path(specs), today or date.today())


def render(report: Report, form: str = "text") -> str:
    """Return a report as text, or in one of the other formats.

    They are json, markdown, github, sarif, rdjsonl and codequality.

    Examples:
        >>> from generator import Report
        >>> '"findings": []' in render(Report("drift", 1, ()), "json")
        True
    """
    return rendered(report, Format(form))
