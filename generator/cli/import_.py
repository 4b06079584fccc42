"""`gen import ALIAS`: a first spec from a host of the person's ssh configuration, or from the site's own answers."""

import re
import secrets
import sys
from datetime import date
from pathlib import Path
from typing import Any

from generator.cli.output import say
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.inputs import profile_name
from generator.loading.spec_editor import fresh
from generator.probe import fix_spec, remote_script, session, spec_blocks
from generator.probe import import_host as aliases
from generator.probe.slurm_output import Queues
from generator.schema.names import SLUG
from generator.workspace import writer


def run(
    alias: str, name: str | None, specs: Path, *, live: bool, seconds: float, today: date
) -> int:
    """Write a first spec; nothing that is there already is replaced.

    Raises:
        GenError: the file is there, ssh knows no such host, or the site gave no answer.
    """
    own, at, host = alias.rpartition("@")
    if at:
        raise GenError(
            f"{alias}: a spec has no user name; say gen import {host}, with User {own} for it in ~/.ssh/config"
        )
    site = name or re.sub(r"[^a-z0-9]+", "-", alias.lower()).strip("-")
    if not re.fullmatch(SLUG, site):
        raise GenError(
            f"--name {site}: write small letters, digits and single dashes, as in csc-roihu"
        )
    path = specs / f"{site}.yaml"
    if path.exists():
        raise GenError(f"{path}: is there already; move it away, or choose another --name")
    data = aliases.start(alias, site, today)
    if live:
        say(f"asking {alias} …")
        queues = _asked(alias, seconds)
        data["sources"][fix_spec.SOURCE] = fix_spec.entry(alias, today) | {"checked": today}
        data["slurm"] = spec_blocks.slurm(queues, fix_spec.SOURCE)
    text = fresh(data)
    validate.spec(yaml_document.parse(text.encode(), str(path)), str(path))
    writer.make(path, text.encode(), 0o644)
    say(f"  new       {path}")
    _next(site, alias, path, data)
    return 0


def _asked(alias: str, seconds: float) -> Queues:
    """Ask a host for its queues, as the person's own configuration leads there.

    Raises:
        GenError: there was no session, or Slurm does not answer in it.
    """
    terminal = sys.stdin is not None and sys.stdin.isatty()
    told = session.settings(seconds, interactive=terminal, anew=False)
    options = [word for keyword, value in told for word in ("-o", f"{keyword}={value}")]
    mark = secrets.token_hex(8)
    went = session.run(
        options,
        alias,
        remote_script.script(mark, seconds),
        seconds,
        say if terminal else lambda _: None,
    )
    said = remote_script.answer(went.printed, mark)
    if not said.sections:
        raise GenError(f"{alias}: no session ({went.last_words}); ssh {alias} must work first")
    if said.queues.partitions is None:
        raise GenError(
            f"{alias}: Slurm does not answer there: {said.failed('nodes') or 'no partition'}"
        )
    return said.queues


def _next(site: str, alias: str, path: Path, data: dict[str, Any]) -> None:
    say(f"\nNot in it, for it is yours: your user name. Put it into {profile_name()}:")
    say(f"  sites: {{ {site}: {{ user: {aliases.user(alias)} }} }}")
    if "host_keys" in data:
        say(
            "\nIts host keys are what your known_hosts has. They are weak until you compared them with what the site"
        )
        say("publishes: then replace their source.")
    say(f"\nNext: gen validate --strict {path}, then gen site {site} --out .")
