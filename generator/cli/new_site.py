"""`gen new-site NAME`: ask for the facts that a first spec needs, and write the spec."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from generator.cli import output
from generator.cli.output import say
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import SpecChange, change, merged
from generator.loading.spec_editor import fresh
from generator.loading.validate import SpecError
from generator.schema.names import SLUG
from generator.workspace import writer

# As comments, since the spec is valid without them and the user has to look them up first.
_REST = """
# Next, from the cluster's own documentation: host keys, compute nodes, queues.
# host_keys:
#   login:
#     hosts: %s
#     fingerprints: { ed25519: "SHA256:…" }
#     source: login
"""


@dataclass(frozen=True)
class Question:
    """A question for one key of the spec; `{site}` in the key stands for the name of the site."""

    key: str
    text: str
    default: str | None = None
    """The answer if the user gives none; ``None`` if there must be an answer."""
    read: Callable[[str], Any] = str


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _number(text: str) -> int | str:
    # int() would also take "²" and digits without end; the spec's own check words the fault.
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else text


_FOR_ALL_SITES = (
    Question("title", "Name of the cluster, for people"),
    Question("operator", "Organization that runs it", ""),
    Question("country", "Country, as a code of two letters", ""),
    Question("docs", "Address of its documentation", ""),
    Question("sources.login.url", "Page that explains how to log in", ""),
    Question("hosts.{site}.host", "Host name to log in to"),
    Question("hosts.{site}.port", "Port", "22", _number),
    Question(
        "auth.method",
        "Login method: publickey, keyboard, kerberos, step, certificate or agent",
        "publickey",
    ),
)
_BY_METHOD: Mapping[str, tuple[Question, ...]] = {
    "publickey": (
        Question(
            "auth.then",
            "What the site asks for after the key: keyboard-interactive or password (Enter: none)",
            "",
        ),
    ),
    "keyboard": (
        Question(
            "auth.asks",
            "What the site asks for: password, otp, token, code, url, project",
            "password",
            _list,
        ),
    ),
    "kerberos": (Question("auth.principal", "Principal, as in {user}@EXAMPLE.ORG"),),
    "step": (
        Question("auth.ca_url", "Address of the certificate authority"),
        Question("auth.ca_fingerprint", "Fingerprint of its root, 64 hexadecimal digits"),
        Question("auth.context", "Name of step's context"),
    ),
    "certificate": (Question("auth.command", "Command that gets a certificate", "", shlex.split),),
}


def run(site: str, overrides: tuple[str, ...], specs: Path, today: date) -> int:
    """Ask every question that no `--set` answers, and write the spec."""
    if not re.fullmatch(SLUG, site):
        raise GenError(
            f"NAME {site}: write lowercase letters, digits and single dashes, as in csc-roihu"
        )
    path = specs / f"{site}.yaml"
    if path.exists():
        raise GenError(f"{path}: already exists; edit it, or choose another name")
    answers = [SpecChange(("site",), site, "NAME"), *map(change, overrides)]
    for question in _questions(site, answers):
        if tuple(question.key.split(".")) not in _keys(answers):
            answers += _answer(question, answers, str(path))
    if ("sources", "login", "url") in _keys(answers):
        answers.append(SpecChange(("sources", "login", "checked"), today.isoformat(), ""))
        for keys in (("hosts", site, "source"), ("auth", "source")):
            if keys not in _keys(answers):
                answers.append(SpecChange(keys, "login", ""))
    spec = _spec(answers, site, specs)
    # Values of --set are not checked one by one.
    validate.spec(yaml_document.parse(spec.encode(), str(path)), str(path))
    writer.write_file(path, spec.encode(), 0o644)
    say(f"  new       {path}")
    say(f"\nNext: add the host keys and queues from the documentation to {path}, then:")
    say(f"  gen validate --strict {shlex.quote(str(path))}")
    return 0


def _keys(answers: list[SpecChange]) -> set[tuple[str, ...]]:
    return {answer.keys for answer in answers}


def _questions(site: str, answers: list[SpecChange]) -> Iterator[Question]:
    """Yield the questions for every site, then those for the login method.

    The method is known by then: it is the last question of every site.
    """
    for question in _FOR_ALL_SITES:
        # The usual host has the name of the site as its alias.
        yield replace(question, key=question.key.replace("{site}", site))
    for answer in answers:
        if answer.keys == ("auth", "method"):
            yield from _BY_METHOD.get(answer.value, ())
            return


def _answer(question: Question, answers: list[SpecChange], path: str) -> list[SpecChange]:
    """Return the answer to a question, or nothing if the user leaves it open.

    A question is repeated until its answer is valid.
    """
    if not output.on_terminal():
        if question.default is None:
            raise GenError(
                f"{question.key}: is missing; there is no terminal to ask on,"
                f" so add --set {question.key}=VALUE"
            )
        return _change(question, question.default)
    while True:
        try:
            answer = _change(question, output.answer(question.text, question.default))
        except ValueError as error:  # input that is not UTF-8, or a quote without its end
            say(f"  {error}")
            continue
        fault = _fault(question.key, [*answers, *answer], path)
        if fault is None:
            return answer
        say(f"  {fault}")


def _change(question: Question, text: str) -> list[SpecChange]:
    keys = tuple(question.key.split("."))
    return [SpecChange(keys, question.read(text), question.key)] if text.strip() else []


def _fault(key: str, answers: list[SpecChange], path: str) -> str | None:
    """Return the fault of one key, if it has one; other keys may still be missing."""
    try:
        validate.spec(yaml_document.parse(_spec(answers, "", Path()).encode(), path), path)
    except SpecError as error:
        for problem in error.problems:
            if problem.key == key or problem.key.startswith((f"{key}.", f"{key}[")):
                return problem.message
    return None


def _spec(answers: list[SpecChange], site: str, directory: Path) -> str:
    return fresh(merged({}, answers), directory) + _REST % site
