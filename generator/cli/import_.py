"""`gen import ALIAS`: a first spec from a host of the user's ssh configuration."""

import re
import secrets
import shlex
from datetime import date
from pathlib import Path
from typing import Any

from generator.cli.output import on_terminal, say, say_next
from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.loading.inputs import profile_name
from generator.loading.spec_editor import fresh
from generator.probe import fix_spec, import_host, remote_script, session, spec_blocks
from generator.probe.slurm_output import Queues
from generator.schema.names import SLUG
from generator.workspace import writer


def run(
    alias: str, name: str | None, specs: Path, *, live: bool, seconds: float, today: date
) -> int:
    """Write a first spec; an existing file is never replaced."""
    user, at, host = alias.rpartition("@")
    if at:
        raise GenError(
            f"{alias}: a spec has no user name; set User {user} for {host} in ~/.ssh/config,"
            f" then run gen import {host}"
        )
    site = name or re.sub(r"[^a-z0-9]+", "-", alias.lower()).strip("-")
    if not re.fullmatch(SLUG, site):
        raise GenError(
            f"--name {site}: write lowercase letters, digits and single dashes, as in csc-roihu"
        )
    path = specs / f"{site}.yaml"
    if path.exists():
        raise GenError(f"{path}: already exists; move it, or choose another --name")
    spec = import_host.start_spec(alias, site, today)
    if live:
        say(f"asking {alias} …")
        queues = _queues(alias, seconds)
        spec["sources"][fix_spec.SOURCE] = fix_spec.live_source(alias, today) | {"checked": today}
        spec["slurm"] = spec_blocks.slurm(queues, fix_spec.SOURCE)
    content = fresh(spec).encode()
    validate.spec(yaml_document.parse(content, str(path)), str(path))
    writer.write_file(path, content, 0o644)
    say(f"  new       {path}")
    _print_next_steps(site, alias, path, spec)
    return 0


def _queues(alias: str, seconds: float) -> Queues:
    """Log in through the user's own ssh configuration, and return the queues that Slurm reports."""
    terminal = on_terminal()
    options: list[str] = []
    for keyword, value in session.settings(seconds, interactive=terminal, new_connection=False):
        options += ["-o", f"{keyword}={value}"]
    mark = secrets.token_hex(8)
    script = remote_script.script(mark, seconds)
    result = session.run(options, alias, script, seconds, say if terminal else None)
    answer = remote_script.parse_answer(result.output, mark)
    if not answer.sections:
        raise GenError(f"{alias}: no session ({result.last_message}); ssh {alias} must work first")
    if answer.queues.partitions is None:
        reason = answer.failure("nodes") or "no partition"
        raise GenError(f"{alias}: Slurm does not answer there: {reason}")
    return answer.queues


def _print_next_steps(site: str, alias: str, path: Path, spec: dict[str, Any]) -> None:
    say(f"\nYour user name is not part of a spec. Add it to {profile_name()}:")
    say(f"  sites: {{ {site}: {{ user: {import_host.configured_user(alias)} }} }}")
    if "host_keys" in spec:
        say("\nThe host keys are those of your known_hosts: a weak source.")
        say("Compare them with the keys that the site publishes, then replace their source.")
    name = shlex.quote(str(path))
    say_next(f"gen validate --strict {name}", f"gen site {site} --out .")
