"""`gen status SITE --live`: asks the site itself, and tells where it is not what the spec says."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path, PurePosixPath

from generator import resources
from generator.cli.output import agreed, data, patch, say
from generator.compiler import build
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import ssh_config
from generator.errors import GenError, os_errors_named
from generator.formatting import printable
from generator.install import plan, record
from generator.loading import inputs
from generator.probe.finding import Finding
from generator.probe.fix_spec import mended
from generator.probe.probe import Visit, visit
from generator.schema.profile import SiteProfile
from generator.workspace import writer
from generator.workspace.patch import diff
from generator.workspace.plan import Action, Actual, Change


def run(
    choice: inputs.Choice, *, seconds: float, fix: bool, yes: bool, as_json: bool, today: date
) -> int:
    """Print what differs between a spec and its site; with `fix`, put the facts about its queues into the spec.

    Returns 1 where something differs, 2 where only a question could not be asked, 0 where all is as the spec says.

    Raises:
        GenError: faults in spec or profile, no ssh, or a spec that is not to be changed here.
    """
    given = inputs.read(choice)
    if fix:
        _refuse_shipped(given.spec.path)
    who = _as_installed(build.account(given)[0])
    (conf,) = ssh_config.emit(who)
    say(f"asking {who.site.title} …")
    found = visit(who, conf.content, terminal=_terminal(), seconds=seconds, tell=say)
    data(_json(who.site.site, found) if as_json else _text(who.site.site, found))
    left = found.findings
    if fix and found.queues is None:
        say("the site was not asked for its queues, so there is nothing to write")
    elif fix and found.queues:
        after = mended(given.spec.content, str(given.spec.path), found.host, found.queues, today)
        for one in after.left:
            say(printable(f"left to you: {one.about}: {one.site}"))
        if _write(given.spec, after.content, say if as_json else patch, yes=yes):
            left = (*(one for one in left if not one.mends), *after.left)
    return 1 if any(not one.kind.unasked for one in left) else 2 if left else 0


def _as_installed(who: Account) -> Account:
    """Fill in whom the site was installed for, where neither profile nor options say it."""
    was = record.installed(plan.home_directory()).get(who.site.site)
    known = {**(was.inputs.profile if was else {}), **who.profile.model_dump(exclude_unset=True)}
    known["renew_on_connect"] = False  # a visit changes nothing here
    return replace(who, profile=SiteProfile.model_validate(known))


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _refuse_shipped(path: Path) -> None:
    if path.is_relative_to(resources.CATALOGUE):
        copy = f"mkdir -p site_specs && cp {path} site_specs/"
        raise GenError(
            f"{path.name}: ships with gen, and is not changed here; copy it and say it again: {copy}"
        )


def _write(spec: inputs.File, content: bytes, show: Callable[[str], None], *, yes: bool) -> bool:
    """Show what changes, ask, and write; tell whether it was written.

    Raises:
        GenError: there is nobody to ask.
    """
    if content == spec.content:
        say("nothing for --fix-spec to write")
        return False
    path = spec.path.resolve()
    mode = path.stat().st_mode & 0o7777
    name = PurePosixPath(os.path.relpath(path))
    artifact = Artifact(name, content, mode)
    show(diff([Change(name, Action.UPDATE, Actual(spec.content, mode), artifact)], PurePosixPath()))
    if not yes and not _terminal():
        raise GenError(
            f"{spec.path}: nothing was written; there is no terminal to ask on, and no --yes"
        )
    if not (yes or agreed(f"Write it to {spec.path}?")):
        say("nothing was written")
        return False
    with os_errors_named(path):
        if path.read_bytes() != spec.content:
            raise GenError(
                f"{spec.path}: was changed meanwhile, so nothing was written; run this again"
            )
    writer.replace(path, content, mode)
    say(f"  changed   {spec.path}\n\nNext: gen validate --strict {spec.path}, and git diff")
    return True


def _text(site: str, found: Visit) -> str:
    lines = [line for one in found.findings for line in _lines(one)]
    unasked = sum(one.kind.unasked for one in found.findings)
    differ = len(found.findings) - unasked
    counted = [f"{differ} difference{'s' * (differ != 1)}" if differ else "nothing differs"]
    counted += [f"{unasked} question{'s' * (unasked != 1)} could not be asked"] if unasked else []
    return "\n".join(
        [*lines, f"{site}: {', '.join(counted)}", *_wrapped(f"compared: {', '.join(found.asked)}")]
    )


def _lines(one: Finding) -> Iterable[str]:
    yield f"{one.kind}: {printable(one.about)}"
    for name, text in (("spec", one.spec), ("site", one.site), ("do", one.todo)):
        yield from _wrapped(f"{name + ':':6}{printable(text)}")
    yield ""


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(
        text,
        80,
        initial_indent="  ",
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _json(site: str, found: Visit) -> str:
    findings = [
        {
            "kind": one.kind,
            "differs": not one.kind.unasked,
            **{key: value for key, value in asdict(one).items() if key not in ("kind", "mends")},
            "fixable": bool(one.mends),
        }
        for one in found.findings
    ]
    report = {
        "format_version": "1.0",
        "site": site,
        "host": found.host,
        "asked": found.asked,
        "findings": findings,
    }
    return json.dumps(report, indent=2)
