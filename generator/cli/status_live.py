"""`gen status SITE --live`: probe the site, and print where it differs from its spec."""

import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath

from generator import codec, resources
from generator.cli.output import agreed, data, on_terminal, patch, say, say_next
from generator.compiler import build
from generator.compiler.artifact import Artifact
from generator.compiler.emitters import ssh_config
from generator.errors import GenError, os_errors_named
from generator.files import read_regular
from generator.formatting import count, printable, wrapped
from generator.install.installed_account import installed_choice
from generator.loading import inputs
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.fix_spec import fix_spec
from generator.probe.probe import ProbeResult, probe
from generator.workspace import writer
from generator.workspace.patch import diff
from generator.workspace.plan import Action, Actual, Change

_COMMANDS = ("gen ", "ssh-keygen ")


def run(
    choice: inputs.Choice, *, seconds: float, fix: bool, yes: bool, as_json: bool, today: date
) -> int:
    """Print the differences between a spec and its site.

    With `fix`, write the facts about its queues to the spec.

    Returns 1 if something differs or the site refuses the user, 2 if only a question has no
    answer, and 0 if the site is as the spec says.
    """
    command = "gen status {spec} --live"
    if fix:
        command += " --fix-spec"
    inputs.refuse_spec_of_checkout(choice, "connect to the hosts that it names", command)
    choice = installed_choice(choice)
    # A fix goes into the spec that the user edits, not into the copy of the installation.
    site_inputs = inputs.read(choice) if fix else inputs.read_as_installed(choice)
    if fix:
        _refuse_shipped(site_inputs.spec.path)
    # A probe changes nothing on this machine, so ssh must not renew a certificate.
    site_inputs = replace(site_inputs, options={**site_inputs.options, "renew_on_connect": False})
    account, _ = build.account(site_inputs)
    # The probe uses the compiled file, not the installed one: it also works before an installation.
    (conf,) = ssh_config.emit(account)
    say(f"asking {account.site.title} …")
    result = probe(
        account,
        conf.content,
        site_arguments=choice.words,
        has_terminal=on_terminal(),
        seconds=seconds,
        report=say,
    )
    # With --json, stdout has the JSON alone, so the patch goes to stderr.
    show = patch
    if as_json:
        show = say
        data(_json(account.site.site, result))
    else:
        data(_text(account.site.site, result))
    findings = result.findings
    if fix:
        findings = _fix(site_inputs.spec, result, show, yes=yes, today=today)
    return _exit_status(findings)


def _exit_status(findings: tuple[ProbeFinding, ...]) -> int:
    if not findings:
        return 0
    # A difference is certain, whatever else has no answer.
    if all(finding.kind.is_unanswered for finding in findings):
        return 2
    return 1


def _fix(
    spec: inputs.File,
    result: ProbeResult,
    show: Callable[[str], None],
    *,
    yes: bool,
    today: date,
) -> tuple[ProbeFinding, ...]:
    """Write the queues of the site to the spec, and return the findings that are left."""
    if result.queues is None:
        say("gen could not ask the site for its queues, so there is nothing to write")
        return result.findings
    fixed = fix_spec(spec.content, str(spec.path), result.host, result.queues, today)
    for finding in fixed.unresolved:
        say(f"{finding.key}: change this yourself; the answer of the site: {finding.site}")
    if not _write(spec, fixed.content, show, yes=yes):
        return result.findings
    # The fixed ones are gone: a second probe would not find them.
    remaining = [finding for finding in result.findings if not finding.changes]
    return (*remaining, *fixed.unresolved)


def _refuse_shipped(path: Path) -> None:
    if path.is_relative_to(resources.CATALOGUE):
        raise GenError(
            f"{path.name}: ships with gen, so --fix-spec does not change it; "
            f"copy it, and name the copy: mkdir -p site_specs && cp {path} site_specs/ && "
            f"gen status ./site_specs/{path.name} --live --fix-spec"
        )


def _write(spec: inputs.File, content: bytes, show: Callable[[str], None], *, yes: bool) -> bool:
    """Show the change, ask, and write the spec; return whether it was written."""
    if content == spec.content:
        say("nothing for --fix-spec to write")
        return False
    # The rename of the writer would replace a link by a file.
    path = spec.path.resolve()
    mode = path.stat().st_mode & 0o7777
    name = PurePosixPath(os.path.relpath(path))
    artifact = Artifact(name, content, mode)
    change = Change(name, Action.UPDATE, Actual(spec.content, mode), artifact)
    show(diff([change], PurePosixPath()))
    if not yes and not on_terminal():
        raise GenError(f"{spec.path}: not written, since there is no terminal to ask on; add --yes")
    if not yes and not agreed(f"Write it to {spec.path}?"):
        say("nothing was written")
        return False
    with os_errors_named(path):
        # The user may have edited the spec while gen waited for the site or for the answer.
        if read_regular(path) != spec.content:
            raise GenError(f"{spec.path}: has changed since gen read it; run this again")
    writer.replace(path, content, mode)
    say(f"  changed   {spec.path}")
    say_next(f"gen validate --strict {shlex.quote(str(spec.path))}")
    return True


def _text(site: str, result: ProbeResult) -> str:
    lines: list[str] = []
    for finding in result.findings:
        lines += _finding_lines(finding)
    unanswered = sum(finding.kind.is_unanswered for finding in result.findings)
    refused = sum(finding.kind is Kind.LOGIN for finding in result.findings)
    differences = len(result.findings) - unanswered - refused
    counts: list[str] = []
    if differences:
        counts.append(count(differences, "difference"))
    elif not refused:
        counts.append("no difference")
    if refused:
        counts.append("the login was refused")
    if unanswered:
        counts.append(f"{count(unanswered, 'question')} without an answer")
    lines.append(f"{site}: {', '.join(counts)}")
    lines += _wrapped(f"compared: {', '.join(result.compared)}")
    return "\n".join(lines)


def _finding_lines(finding: ProbeFinding) -> Iterator[str]:
    yield f"{finding.kind}: {printable(finding.key)}"
    yield from _wrapped(f"spec:   {printable(finding.spec)}")
    yield from _wrapped(f"site:   {printable(finding.site)}")
    action = f"action: {printable(finding.action)}"
    # A command that is broken into two lines cannot be pasted.
    if finding.action.startswith(_COMMANDS):
        yield f"  {action}"
    else:
        yield from _wrapped(action)
    yield ""


def _wrapped(text: str) -> list[str]:
    return wrapped(f"  {text}", 80, 10)


def _json(site: str, result: ProbeResult) -> str:
    findings = []
    for finding in result.findings:
        findings.append(
            {
                "kind": finding.kind,
                "key": finding.key,
                "spec": finding.spec,
                "site": finding.site,
                "action": finding.action,
                "differs": not finding.kind.is_unanswered,
                "fixable": bool(finding.changes),
            }
        )
    values = {
        "site": site,
        "host": result.host,
        "compared": result.compared,
        "findings": findings,
    }
    return codec.report(values)
