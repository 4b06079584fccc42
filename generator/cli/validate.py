"""`gen validate FILE…`: every fault of every file, a line each; with `--strict` what a reviewer would ask, too."""

import json
import re
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

from generator.cli.output import data, say
from generator.errors import Fault, GenError
from generator.loading import catalogue, inputs, validate, yaml_document
from generator.loading.yaml_document import Node
from generator.review.lint import questions
from generator.schema.names import SLUG
from generator.schema.site import SiteSpec


def run(files: list[Path], *, strict: bool, as_json: bool, today: date) -> int:
    """Check the files; 2 when one of them has a fault, 1 when all are sound and there are questions."""
    faults: dict[str, list[str]] = {}
    asked: dict[str, list[str]] = {}
    for file in files:
        faults[str(file)], asked[str(file)] = [], []
        try:
            root = yaml_document.parse(inputs.file(file).content, str(file))
            faults[str(file)] = _name(root, file)
            site = validate.spec(root, str(file))
        except GenError as error:
            faults[str(file)] += str(error).splitlines()
        else:
            open_ = questions(site, _others(file.parent), today) if strict else []
            asked[str(file)] = [
                line for fault in open_ for line in validate.lines([fault], root, str(file))
            ]
    if as_json:
        report = {"format_version": "1.0", "files": faults} | (
            {"questions": asked} if strict else {}
        )
        data(json.dumps(report, indent=2))
    else:
        for line in (
            line for found in (faults, asked) for lines in found.values() for line in lines
        ):
            say(line)
    say(f"{len(files)} checked, {_ending(faults, asked, strict)}")
    return 2 if any(faults.values()) else 1 if any(asked.values()) else 0


def _ending(faults: Mapping[str, list[str]], asked: Mapping[str, list[str]], strict: bool) -> str:
    wrong = sum(map(bool, faults.values()))
    open_ = sum(map(len, asked.values()))
    ending = f", {open_} open question{'s' if open_ != 1 else ''}" if strict else ""
    return (f"{wrong} with faults" if wrong else "all sound") + ending


def _name(root: Node, file: Path) -> list[str]:
    """Return the fault of a site that is not called as its file; a name that is none is told with the other faults."""
    name = root.keys.get("site")
    if name is None or name.value == file.stem or not re.fullmatch(SLUG, str(name.value)):
        return []
    return validate.lines(
        [Fault(("site",), f"must be {file.stem}, as the file is called")], root, str(file)
    )


@cache
def _others(folder: Path) -> Mapping[str, SiteSpec]:
    """Return the sites that a spec must live beside: those of its folder and of the catalogue that are sound."""
    found = {}
    siblings = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    for path in (catalogue.sites(None) | siblings).values():
        try:
            site = validate.site(path)
        except GenError:
            continue  # it is told when that file is checked
        found[site.site] = site
    return found
