"""`gen new-site NAME`: asks what a first spec needs, and writes it."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from generator.cli.output import say
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.overrides import Change, change, merged
from generator.loading.spec_editor import fresh
from generator.schema.names import SLUG
from generator.workspace import writer

_REST = """
# Next, from the cluster's own documentation: host keys, compute nodes, queues. What it does not say is left out.
# host_keys:
#   login:
#     hosts: %s
#     fingerprints: { ed25519: "SHA256:…" }
#     source: login
"""


@dataclass(frozen=True)
class Question:
    """What is asked for one key of the spec; `{site}` in the key is the name of the site."""

    keys: str
    words: str
    usual: str | None = None
    """The answer when none is given; without one there must be an answer."""
    read: Callable[[str], Any] = str


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else text


_FIRST = (
    Question("title", "Name of the cluster, for people"),
    Question("operator", "Who runs it", ""),
    Question("country", "Country, a code of two letters", ""),
    Question("docs", "Address of its documentation", ""),
    Question("sources.login.url", "Page that says how to log in", ""),
    Question("hosts.{site}.host", "Host name to log in to"),
    Question("hosts.{site}.port", "Port", "22", _number),
    Question(
        "auth.method",
        "Login by publickey, keyboard, kerberos, step, certificate or agent",
        "publickey",
    ),
)
_BY_METHOD: Mapping[str, tuple[Question, ...]] = {
    "publickey": (
        Question(
            "auth.then", "What follows the key: keyboard-interactive, password, or nothing", ""
        ),
    ),
    "keyboard": (
        Question(
            "auth.asks",
            "What is asked for: password, otp, token, code, url, project",
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


def run(site: str, given: tuple[str, ...], specs: Path, today: date) -> int:
    """Ask what is not given with `--set`, and write the spec.

    Raises:
        GenError: no name of a site, the file is there already, an answer is missing and there is no terminal, or the
            spec has faults.
    """
    if not re.fullmatch(SLUG, site):
        raise GenError(
            f"NAME {site}: write small letters, digits and single dashes, as in csc-roihu"
        )
    path = specs / f"{site}.yaml"
    if path.exists():
        raise GenError(f"{path}: is there already; change it, or choose another name")
    changes = [Change(("site",), site, "NAME"), *map(change, given)]
    for question in _questions(site, changes):
        if question.keys not in {".".join(item.keys) for item in changes}:
            changes += _answered(question, changes, str(path))
    if any(item.keys == ("sources", "login", "url") for item in changes):
        changes += [Change(("sources", "login", "checked"), today.isoformat(), "")]
        changes += [Change(("hosts", site, "source"), "login", "")]
    spec = _text(changes, site)
    validate.spec(yaml_document.parse(spec.encode(), str(path)), str(path))
    writer.make(path, spec.encode(), 0o644)
    say(f"  new       {path}")
    say(f"\nNext: fill in what else the documentation says, then gen validate --strict {path}")
    return 0


def _questions(site: str, changes: list[Change]) -> Iterator[Question]:
    """Yield the questions for every site, then those for the way to log in that was answered meanwhile."""
    for question in _FIRST:
        yield replace(question, keys=question.keys.replace("{site}", site))
    method = next((item.value for item in changes if item.keys == ("auth", "method")), "")
    yield from _BY_METHOD.get(method, ())


def _answered(question: Question, changes: list[Change], path: str) -> list[Change]:
    """Return the answer to a question, asked again as long as it does not fit its key; nothing if it was left open.

    Raises:
        GenError: there is no terminal, and no usual answer.
        typer.Exit: with 130, when it was interrupted.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        if question.usual is None:
            raise GenError(
                f"{question.keys}: is missing; there is no terminal to ask on, so give it with --set"
            )
        return _change(question, question.usual)
    import typer

    while True:
        try:
            text = typer.prompt(
                question.words, default=question.usual, show_default=bool(question.usual), err=True
            )
            answer = _change(question, text)
            fault = _fault(question.keys, [*changes, *answer], path)
        except typer.Abort:
            say()
            raise typer.Exit(130) from None
        except ValueError as error:  # no UTF-8, or a quote that stays open
            fault = str(error)
        else:
            if fault is None:
                return answer
        say(f"  {fault}")


def _change(question: Question, text: str) -> list[Change]:
    keys = tuple(question.keys.split("."))
    return [Change(keys, question.read(text.strip()), question.keys)] if text.strip() else []


def _fault(keys: str, changes: list[Change], path: str) -> str | None:
    """Return what is wrong with the value of one key, if anything is; what is missing elsewhere is still to come."""
    try:
        validate.spec(yaml_document.parse(_text(changes, "").encode(), path), path)
    except GenError as error:
        mine = (line.partition(f": {keys}")[2] for line in str(error).splitlines())
        return next((line.partition(": ")[2] for line in mine if line), None)
    return None


def _text(changes: list[Change], site: str) -> str:
    return fresh(merged({}, changes)) + _REST % site
