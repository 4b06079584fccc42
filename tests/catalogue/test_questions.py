"""A reviewer's questions about the catalogue are known; `questions.yaml` says why they stay."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from generator.loading import catalogue, validate
from generator.revisions.lint import questions
from generator.schema.site import SiteSpec

LISTED: Mapping[str, Any] = YAML(typ="safe").load(Path(__file__).with_name("questions.yaml"))
DAY = date(2026, 11, 27)
# How a question of each list begins.
BEGINNINGS = {
    "without_host_keys": "does the site publish host keys?",
    "weak_hosts": "is there a better source? All sources are weak",
    "weak_host_keys": "is there a better source? gen does not pin these keys",
    "aged": "does this still hold?",
}


@cache
def specs() -> Mapping[str, SiteSpec]:
    return {name: validate.site(path) for name, path in catalogue.shipped().items()}


@cache
def asked() -> dict[str, dict[str, list[str]]]:
    """Return the entries of each list of questions, by site; other questions by themselves."""
    by_list: dict[str, dict[str, list[str]]] = {name: {} for name in [*BEGINNINGS, "others"]}
    for site, spec in specs().items():
        for fault in questions(spec, specs(), DAY):
            name = list_of(fault.message)
            entry = fault.message if name == "others" else fault.loc[-1]
            by_list[name].setdefault(site, []).append(str(entry))
    return by_list


def list_of(question: str) -> str:
    for name, beginning in BEGINNINGS.items():
        if question.startswith(beginning):
            return name
    return "others"


def test_no_spec_clashes_with_another_or_lacks_a_source_or_a_date() -> None:
    assert asked()["others"] == {}


def test_the_open_questions_about_host_keys_and_weak_sources_are_listed() -> None:
    for name in ("without_host_keys", "weak_hosts", "weak_host_keys"):
        assert asked()[name] == LISTED[name], name


def test_the_specs_with_aged_facts_are_listed() -> None:
    assert list(asked()["aged"]) == LISTED["aged"]


def test_a_site_without_a_question_is_in_no_list() -> None:
    listed = {site for name in BEGINNINGS for site in LISTED[name]}
    assert listed <= set(specs())
    assert "mila" not in LISTED["weak_hosts"]
