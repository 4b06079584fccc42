"""`gen import ALIAS`: a first spec from a host of the user's ssh configuration."""

import re
import secrets
import shlex
from datetime import date
from pathlib import Path
from typing import Any

from generator import paths
from generator.cli.output import on_terminal, say, say_next
from generator.compiler.build import build
from generator.compiler.foreign_names import foreign_names
from generator.errors import GenError
from generator.install.known_names import known_names
from generator.loading.inputs import File, Inputs, profile_name
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
        if queues:
            spec["sources"][fix_spec.SOURCE] = fix_spec.live_source(alias, today) | {
                "checked": today
            }
            spec["slurm"] = spec_blocks.slurm(queues, fix_spec.SOURCE)
    content = fresh(spec, specs).encode()
    user = import_host.configured_user(alias)
    # What cannot be compiled cannot be installed, so it is refused before the file is written.
    conf = _conf(site, File(path, content), user)
    writer.write_file(path, content, 0o644)
    say(f"  new       {path}")
    _print_other_settings(alias)
    _print_next_steps(site, user, spec)
    install = ["gen", "install", str(path), "--user", user]
    # Without an entry of its own there are no lines to replace.
    if import_host.has_entry(alias):
        install.append("--take-over")
    for foreign in dict.fromkeys([*known_names(Path.home(), conf), *foreign_names(conf)]):
        install += ["--allow-name", foreign]
    say_next(shlex.join(["gen", "validate", "--strict", str(path)]), shlex.join(install))
    return 0


def _conf(site: str, spec: File, user: str) -> bytes:
    """Return the ssh configuration that a spec compiles to for a user."""
    for artifact in build(Inputs(spec, None, {"user": user}, ())).artifacts:
        if artifact.install_to == paths.installed_ssh_config(site):
            return artifact.content
    # The emitter of the ssh configuration yields one for every site.
    raise AssertionError(f"{site} has no ssh configuration")


def _queues(alias: str, seconds: float) -> Queues | None:
    """Log in through the user's own ssh configuration, and return the queues that Slurm reports.

    ``None`` if Slurm does not answer: many machines have no queues.
    """
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
        say(f"{alias}: Slurm does not answer there ({reason}), so the spec has no queues")
        return None
    return answer.queues


def _print_other_settings(alias: str) -> None:
    """Print the settings of an alias that its spec does not have."""
    settings = import_host.other_settings(alias)
    if settings.kept:
        say("\nNot in the spec, and still in effect from your own ssh configuration:")
        for setting in settings.kept:
            say(f"  {setting}")
    if settings.lost:
        say("\nNot kept, because the file of a site has its own value:")
        for setting in settings.lost:
            say(f"  {setting}")


def _print_next_steps(site: str, user: str, spec: dict[str, Any]) -> None:
    say(f"\nYour user name is not part of a spec. Give it as below, or add it to {profile_name()}:")
    say(f"  sites: {{ {site}: {{ user: {user} }} }}")
    for name, host in spec["hosts"].items():
        if "user" in host:
            say(f"Your user name at {name} is another one: delete it before you share the spec.")
    if "host_keys" in spec:
        say("\nThe host keys are those of your known_hosts: a weak source.")
        say("Compare them with the keys that the site publishes, then replace their source.")
