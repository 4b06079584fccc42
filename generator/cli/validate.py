"""`gen validate FILE…`: print every fault of every spec.

With `--strict`, print the questions of a reviewer too.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from generator import codec
from generator.cli.output import data, say
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.errors import Fault, GenError
from generator.install.foreign_names import foreign_names
from generator.loading import catalogue, inputs, validate, yaml_document
from generator.loading.validate import Problem
from generator.loading.yaml_document import Node
from generator.revisions.lint import questions
from generator.schema.names import SLUG
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec


@dataclass(frozen=True)
class FileCheck:
    """The faults of a spec, and the questions that it leaves open."""

    path: Path
    faults: tuple[Problem, ...] = ()
    questions: tuple[Problem, ...] = ()


def run(files: list[Path], *, strict: bool, as_json: bool, today: date) -> int:
    """Check the files.

    Return 2 if one of them has a fault, 1 if all are sound and there are questions.
    """
    checks = [_checked(file, strict=strict, today=today) for file in files]
    faults = [fault for check in checks for fault in check.faults]
    open_questions = [question for check in checks for question in check.questions]
    if as_json:
        data(codec.report({"files": [_json(check, strict=strict) for check in checks]}))
    else:
        for problem in (*faults, *open_questions):
            say(str(problem))
    say(_summary(checks, strict=strict))
    if faults:
        return 2
    return 1 if open_questions else 0


def check(file: inputs.File, *, strict: bool, today: date, any_name: bool = False) -> FileCheck:
    """Return the faults of a spec; if `strict`, also the questions of a reviewer about a sound one.

    A site must be named after its file, unless `any_name` is set.
    """
    path, name = file.path, str(file.path)
    wrong_name: Sequence[Problem] = ()
    try:
        root = yaml_document.parse(file.content, name)
        wrong_name = () if any_name else _wrong_name(root, path)
        site = validate.spec(root, name)
    except GenError as error:
        return FileCheck(path, (*wrong_name, *validate.problems_in(error, name)))
    if not strict:
        return FileCheck(path, tuple(wrong_name))
    open_questions: list[Problem] = []
    for question in (*questions(site, _other_sites(path.parent), today), *_foreign_names(site)):
        open_questions += validate.problems([question], root, name)
    return FileCheck(path, tuple(wrong_name), tuple(open_questions))


def _foreign_names(site: SiteSpec) -> list[Fault]:
    """Return a question for each name that `gen install` needs the user's consent to."""
    asked: list[Fault] = []
    for artifact in ssh_config.emit(Account(site, SiteProfile(user="user"))):
        for name in foreign_names(artifact.content):
            key = ("hosts", name) if name in site.hosts else ("compute",)
            message = f"{name} is not a name of this site; why does the spec decide where it leads?"
            asked.append(Fault(key, message))
    return asked


def _checked(path: Path, *, strict: bool, today: date) -> FileCheck:
    try:
        return check(inputs.file(path), strict=strict, today=today)
    except GenError as error:  # the file cannot be read
        return FileCheck(path, validate.problems_in(error, str(path)))


def _json(check: FileCheck, *, strict: bool) -> dict[str, object]:
    report: dict[str, object] = {"path": str(check.path), "faults": check.faults}
    if strict:
        report["questions"] = check.questions
    return report


def _summary(checks: Sequence[FileCheck], *, strict: bool) -> str:
    faulty = sum(bool(check.faults) for check in checks)
    summary = f"{len(checks)} checked, " + (f"{faulty} with faults" if faulty else "all sound")
    if not strict:
        return summary
    number = sum(len(check.questions) for check in checks)
    noun = "question" if number == 1 else "questions"
    return f"{summary}, {number} open {noun}"


def _wrong_name(root: Node, path: Path) -> list[Problem]:
    """Return the fault of a site that is not named after its file.

    A name that is not valid has a fault already, which `validate.spec` reports with the others.
    """
    name = root.keys.get("site")
    if name is None or name.value == path.stem or not re.fullmatch(SLUG, str(name.value)):
        return []
    fault = Fault(("site",), f"must be {path.stem}, the name of the file")
    return validate.problems([fault], root, str(path))


@cache
def _other_sites(directory: Path) -> Mapping[str, SiteSpec]:
    """Return the sites whose names a spec must not take: in its directory, and in the catalogue."""
    sites: dict[str, SiteSpec] = {}
    siblings = {path.stem: path for path in sorted(directory.glob("*.yaml"))}
    for path in (catalogue.sites(None) | siblings).values():
        try:
            site = validate.site(path)
        except GenError:
            continue  # gen validate reports it for that file
        sites[site.site] = site
    return sites
