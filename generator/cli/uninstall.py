"""`gen uninstall SITE…`: every byte that was installed out of the home folder again."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from generator import paths
from generator.cli import file_changes, first_login
from generator.cli.install import Consent
from generator.cli.output import agreed, data, patch, say
from generator.errors import GenError
from generator.install import apply, plan, record, services
from generator.install.plan import Move
from generator.workspace.patch import diff
from generator.workspace.plan import Action


def run(
    sites: Sequence[str], consent: Consent, *, purge: bool, dry_run: bool, as_json: bool
) -> int:
    """Take out some sites; all refusals are told before the first write.

    Raises:
        GenError: a site is not installed, a file of ours was edited, nobody to ask, a write that failed.
    """
    folder = plan.folder()
    sites = list(dict.fromkeys(sites))
    if dry_run:
        file_changes.preview([(folder, plan.uninstalling(folder, sites).files)], folder)
        return 0
    shown = None if consent.yes else _planned(folder, sites, consent)
    if shown:
        for secret in _secrets(folder, sites, shown) if purge else []:
            say(f"  {'purge':9} ~/{secret.relative_to(folder)}")
        for change in shown.files:
            if change.action is Action.DELETE:
                say(f"  {'remove':9} ~/{change.path}")
        show = say if as_json else patch
        show(
            diff(
                (change for change in shown.files if change.action is not Action.DELETE),
                PurePosixPath(),
            )
        )
        if not agreed(f"Take {', '.join(sites)} out of {folder}?"):
            return 0
    with apply.alone(folder, []):
        move = _planned(folder, sites, consent)
        secrets = _secrets(folder, sites, move) if purge else []
        if shown and shown.files != move.files:
            raise GenError(
                "something was changed meanwhile, so nothing was written; run this again"
            )
        for name, undo in record.shared(folder).undo.items():
            if name in sites:
                first_login.undo(folder, undo)
        timed = [
            name
            for name in sites
            if {change.path for change in move.files} & set(services.units(name))
        ]
        for name in timed:
            services.stop(name)
        backups = apply.uninstall(folder, move, secrets)
        for name in timed:
            services.forget(name)
    if as_json:
        data(_json(sites, move, backups, secrets))
    else:
        _summary(folder, move, backups, secrets)
    return 0


def _planned(folder: Path, sites: Sequence[str], consent: Consent) -> Move:
    move = plan.uninstalling(folder, sites)
    if not consent.force:
        file_changes.refuse_conflicts([(folder, move.files)])
    return move


def _secrets(folder: Path, sites: Sequence[str], move: Move) -> list[Path]:
    from generator.install.purge import goes  # brings pydantic along

    return goes(folder, sites, move)


def _summary(folder: Path, move: Move, backups: list[Path], secrets: list[Path]) -> None:
    for secret in secrets:
        say(f"  {'purged':9} ~/{secret.relative_to(folder)}")
    for change in move.changed:
        say(f"  {file_changes.DONE[change.action]:9} ~/{change.path}")
    for backup in backups:
        say(f"  {'backup':9} ~/{backup.relative_to(folder)}")
    if move.by_hand:
        say(
            f"\n{folder / paths.SSH_CONFIG} was left as it is; take gen's block out of it where you keep it."
        )


def _json(sites: Sequence[str], move: Move, backups: list[Path], secrets: list[Path]) -> str:
    report = {
        "format_version": "1.0",
        "sites": list(sites),
        "files": file_changes.listed(move.files),
        "by_hand": move.by_hand,
        "backups": [str(path) for path in backups],
        "purged": [str(path) for path in secrets],
    }
    return json.dumps(report, indent=2)
