"""`gen site SITE`: compile, compare, write, and say what comes next."""

import json
import os
from pathlib import Path
from typing import Any

from generator import __version__, advice, compile, disk, inputs, load, lock
from generator.account import Account
from generator.artifact import Artifact
from generator.errors import GenError
from generator.plan import Action, Change, plan
from generator.report.diff import diff
from generator.terminal import data, say


def run(choice: inputs.Choice, out: Path, *, dry_run: bool, force: bool, as_json: bool) -> int:
    """Write a site below a folder; all refusals are told before the first write.

    Raises:
        GenError: faults in spec or profile, files that are not ours to replace, a write that failed.

    """
    given = inputs.read(choice)
    artifacts = compile.compile_site(given.site, given.person)
    where = lock.path(given.site.site)
    changes = plan(artifacts, *_before(out, artifacts, where, force))
    conflicts = [change for change in changes if change.conflict]
    if dry_run:
        data(diff(changes)) if not as_json else data(_json(given, changes, []))
        say(_dry_summary(changes, conflicts))
        return 0
    if conflicts and not force:
        raise GenError("\n".join([*(f"{out / change.path}: {change.conflict}" for change in conflicts), _REFUSED]))
    backups = disk.apply(out, changes, where, lock.of(given.site.site, artifacts, record(given, out)))
    if as_json:
        data(_json(given, changes, [str(path) for path in backups]))
    else:
        _summary(given, out, changes, [str(path) for path in backups])
    return 0


_REFUSED = "Nothing was written. --dry-run shows the difference; --force replaces the files and keeps a backup of each."


def record(given: inputs.Inputs, out: Path) -> dict[str, Any]:
    """Return what the lock says about where the artifacts came from: no date, and no path of this machine."""
    return {
        "gen": __version__,
        "spec": {"path": _spec_name(given.path, out), "sha256": lock.digest(load.read(given.path))},
        "person": given.person.model_dump(exclude_none=True, exclude_defaults=True),
        "set": list(given.changes),
    }


def _spec_name(path: Path, out: Path) -> str:
    from generator.resources import CATALOGUE

    if path.resolve().is_relative_to(CATALOGUE.resolve()):
        return f"catalogue:{path.stem}"
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def _before(out: Path, artifacts: list[Artifact], where: Any, force: bool) -> tuple[dict[Any, Any], Any]:
    """Return the files as they are, and as the lock says they were written."""
    known = disk.actual(out, [where]).get(where)
    try:
        written = lock.parse(known.content, str(out / where)).files if known else {}
    except GenError:
        if not force:
            raise
        written = {}
    return disk.actual(out, {*(artifact.path for artifact in artifacts), *written}), written


def _dry_summary(changes: list[Change], conflicts: list[Change]) -> str:
    todo = [change for change in changes if change.action is not Action.KEEP]
    refused = f", of which {len(conflicts)} would be refused without --force" if conflicts else ""
    return f"{len(todo)} of {len(changes)} files would change{refused}; nothing was written"


def _summary(given: inputs.Inputs, out: Path, changes: list[Change], backups: list[str]) -> None:
    say(f"{given.site.title}, in {out}")
    width = max(len(str(change.path)) for change in changes)
    for change in changes:
        target = change.artifact.install_to if change.artifact else None
        place = f"  → ~/{target}" if target else ""
        say(f"  {_DONE[change.action]:9} {change.path!s:{width}}{place}".rstrip())
    for backup in backups:
        say(f"  {'backup':9} {backup}")
    _gaps(given)
    _unverified(given)
    account = Account(given.site, given.person)
    key = account.key(given.site.auth_of(next(iter(given.site.hosts.values()))))
    say("\nNext:")
    for command in advice.first_login(account, str(out), bool(key) and Path(key or "").expanduser().exists()):
        say(f"  {command}")


_DONE = {
    Action.CREATE: "new",
    Action.UPDATE: "changed",
    Action.CHMOD: "mode",
    Action.DELETE: "removed",
    Action.KEEP: "same",
}
_OPTIONS = ("user", "email", "account")


def _gaps(given: inputs.Inputs) -> None:
    if not (gaps := compile.gaps(given.site, given.person)):
        return
    say("\nYours to fill in, in ~/.config/gen/profile.yaml or as an option:")
    for gap in gaps:
        option = f"  (--{gap.name})" if gap.name in _OPTIONS else ""
        say(f"  {gap.name + ':':11}{gap.meaning}{option}")


def _unverified(given: inputs.Inputs) -> None:
    for name in compile.unverified(given.site, given.person):
        reasons = {given.site.sources[source].weak for source in given.site.host_keys[name].source}
        say(f"\nHost keys “{name}” are not pinned: {', '.join(sorted(filter(None, reasons)))}.")
        where = given.site.docs or "the site's own documentation"
        say(f"  Compare them (gen show {given.site.site}) with {where}, then add --accept-unverified.")


def _json(given: inputs.Inputs, changes: list[Change], backups: list[str]) -> str:
    files = [{"path": str(change.path), "action": change.action, "conflict": change.conflict} for change in changes]
    report = {
        "format_version": "1.0",
        "site": given.site.site,
        "files": files,
        "backups": backups,
        "missing": [gap.name for gap in compile.gaps(given.site, given.person)],
        "unverified": compile.unverified(given.site, given.person),
    }
    return json.dumps(report, indent=2)
