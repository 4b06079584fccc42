"""Check one spec file: every fault in it, and the questions that a reviewer would ask about it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.compiler.foreign_names import foreign_names
from generator.errors import Fault, GenError
from generator.loading import catalogue, inputs, validate, yaml_document
from generator.loading.validate import Problem
from generator.loading.yaml_document import Node
from generator.revisions.lint import questions
from generator.schema.names import SLUG
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec


@dataclass(frozen=True)
class SpecCheck:
    """The faults of a spec, and the questions that it leaves open."""

    path: Path
    faults: tuple[Problem, ...] = ()
    questions: tuple[Problem, ...] = ()


def check_path(path: Path, *, strict: bool, today: date) -> SpecCheck:
    """Check the spec in a file; a file that cannot be read has that as its fault."""
    try:
        file = inputs.file(path)
    except GenError as error:
        return SpecCheck(path, validate.problems_in(error, str(path)))
    return check_file(file, strict=strict, today=today)


def check_file(
    file: inputs.File, *, strict: bool, today: date, any_name: bool = False
) -> SpecCheck:
    """Return the faults of a spec; if `strict`, also the questions of a reviewer about a sound one.

    A site must be named after its file, unless `any_name` is set.
    """
    path, name = file.path, str(file.path)
    faults: list[Problem] = []
    try:
        root = yaml_document.parse(file.content, name)
        if not any_name:
            faults += _wrong_name(root, path)
        site = validate.spec(root, name)
    except GenError as error:
        return SpecCheck(path, (*faults, *validate.problems_in(error, name)))
    open_questions: list[Problem] = []
    if strict:
        for question in _questions(site, path, today):
            # One at a time: of several faults of one key, `problems` reports only the first, but
            # a reviewer has to answer every question.
            open_questions += validate.problems([question], root, name)
    return SpecCheck(path, tuple(faults), tuple(open_questions))


def _questions(site: SiteSpec, path: Path, today: date) -> Iterator[Fault]:
    yield from questions(site, _other_sites(path.parent), today)
    yield from _foreign_name_questions(site)


def _foreign_name_questions(site: SiteSpec) -> Iterator[Fault]:
    """Yield a question for each name that `gen install` needs the user's consent to."""
    for artifact in ssh_config.emit(Account(site, SiteProfile(user="user"))):
        for name in foreign_names(artifact.content):
            key = ("hosts", name) if name in site.hosts else ("compute",)
            message = f"{name} is not a name of this site; why does the spec decide where it leads?"
            yield Fault(key, message)


def _wrong_name(root: Node, path: Path) -> list[Problem]:
    """Return the fault of a site that is not named after its file.

    A name that is not valid has a fault already, which `validate.spec` reports with the others.
    """
    name = root.keys.get("site")
    if name is None or name.value == path.stem or not re.fullmatch(SLUG, str(name.value)):
        return []
    fault = Fault(("site",), f"must be {path.stem}, the name of the file")
    return validate.problems([fault], root, str(path))


# `gen validate --strict site_specs/*.yaml` compares each file with all others: without the cache,
# every spec would be read as many times as there are files.
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
