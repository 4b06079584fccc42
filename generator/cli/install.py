"""`gen install SITE…`: files into the home folder, one line into the ssh config, and the timer started."""

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from generator import paths
from generator.cli import file_changes, first_login, next_steps, site
from generator.cli.output import agreed, data, patch, say
from generator.errors import GenError
from generator.install import (
    apply,
    foreign_blocks,
    managed_blocks,
    plan,
    record,
    services,
    shadowing,
    side_effects,
)
from generator.install.key_pair import loose
from generator.install.mode import Mode
from generator.install.plan import Move, Placed
from generator.loading import inputs
from generator.renewal.status import lingers
from generator.ssh.config_files import Files
from generator.workspace.lock import Lock
from generator.workspace.patch import diff
from generator.workspace.plan import Action


@dataclass(frozen=True)
class Consent:
    """How far gen may go unasked."""

    yes: bool
    force: bool
    take_over: bool = False


@dataclass(frozen=True)
class Done:
    """What came of an installation: what was moved, the backups, what shadows ours, the timers, each with a fault."""

    move: Move
    backups: list[Path]
    shadows: tuple[str, ...]
    timers: dict[str, str | None]


def run(
    choices: Sequence[inputs.Choice],
    mode: Mode | None,
    consent: Consent,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Install some sites; all refusals are told before the first write.

    Raises:
        GenError: faults in spec or profile, files that are not ours to replace, an ssh config that would mean something
            else for other hosts, nobody to ask, a write that failed.
    """
    folder = plan.folder()
    choices = list({choice.site: choice for choice in choices}.values())
    given = [inputs.read(choice) for choice in choices]
    sites = [_placed(one, folder) for one in given]
    if mode is Mode.PRINT:
        _print(folder, sites)
        return 0
    if dry_run:
        file_changes.preview(
            [(folder, plan.installing(folder, sites, mode, take_over=consent.take_over).files)],
            folder,
        )
        return 0
    was = record.installed(folder)
    done = _installed(folder, sites, mode, consent, say if as_json else patch)
    if done and as_json:
        data(_json(done, sites))
    elif done:
        _summary(folder, done)
        asks = not consent.yes and sys.stdin.isatty()
        for found in () if asks else loose(folder):
            say(f"\n{found.message}")
        for choice, one in zip(choices, sites, strict=True):
            if asks:
                _settle(folder, one)
            _remarks(choice, one, was.get(one.made.site))
    return 0


def _settle(folder: Path, placed: Placed) -> None:
    """Offer what a first login needs beside the files, and keep what takes it back."""
    if undo := first_login.offer(folder, placed.made, placed.conf):
        apply.remember(folder, placed.made.site, undo)


def _placed(given: inputs.Inputs, folder: Path) -> Placed:
    made = next_steps.compiled(given)
    return plan.placed(folder, made, given.spec, site.recorded_inputs(given, made, folder))


def _installed(
    folder: Path,
    sites: list[Placed],
    mode: Mode | None,
    consent: Consent,
    show: Callable[[str], None],
) -> Done | None:
    """Install what was agreed to; nothing comes of it where it was not."""
    take_over = _taken_over(folder, sites, consent)

    def planned() -> tuple[Move, tuple[str, ...]]:
        move = plan.installing(folder, sites, mode, take_over=take_over)
        return move, _proven(folder, move, sites, consent)

    shown = None if consent.yes else planned()[0]
    if shown and shown.changed:
        show(diff(shown.files, PurePosixPath()))
        many = f"{len(shown.changed)} file{'s' if len(shown.changed) != 1 else ''}"
        if not agreed(f"Change {many} in {folder}?"):
            return None
    files = [item.path for one in sites for item in one.artifacts]
    traces = [path for name in _timed(sites) for path in paths.systemd_traces(name)]
    with apply.alone(folder, [*files, *traces]) as missing:
        move, shadows = planned()
        if shown and shown.files != move.files:
            raise GenError(
                "something was changed meanwhile, so nothing was written; run this again"
            )
        for name in _stopped(move, sites):
            services.stop(name)
        backups = apply.install(folder, move, missing)
    return Done(
        move, backups, shadows, {name: services.start(name, folder) for name in _timed(sites)}
    )


def _taken_over(folder: Path, sites: Iterable[Placed], consent: Consent) -> bool:
    """Ask, where there is somebody to ask, whether ours replaces what `mila init` wrote."""
    config_now = folder / paths.SSH_CONFIG
    mila = next((one.made for one in sites if one.made.site == "mila"), None)
    if consent.take_over or mila is None or not config_now.is_file():
        return consent.take_over
    entries = [
        entry for entry in foreign_blocks.mila_entries(config_now.read_bytes()) if not entry.foreign
    ]
    if consent.yes or not entries or not sys.stdin.isatty():
        return False
    say(f"`mila init` wrote entries into {config_now}:")
    for entry in entries:
        say(f"  line {entry.first_line}: Host {entry.names}")
    user = mila.profile.get("user")
    if options := foreign_blocks.unlike(entries, str(user) if user else None, mila.first_login.key):
        say(f"To log in as they do, say no, and add: {' '.join(options)}")
    return agreed("Have ours replace them? They become comments, until gen uninstall mila.")


def _proven(folder: Path, move: Move, sites: list[Placed], consent: Consent) -> tuple[str, ...]:
    """Return what of the person's wins over ours, by asking ssh itself.

    Raises:
        GenError: work of somebody's would be undone, ours would change what is the person's, or ssh refuses the result.
    """
    if not consent.force:
        file_changes.refuse_conflicts([(folder, move.files)])
    if move.by_hand:
        return ()
    overlay = {
        folder / change.path: change.artifact.content if change.artifact else None
        for change in move.files
    }
    bare = {folder / paths.installed_ssh_config(name): None for name in move.left}
    before, after = Files(folder), Files(folder, overlay)
    side_effects.check(before)
    theirs = side_effects.foreign(
        Files(
            folder,
            {folder / paths.SSH_CONFIG: managed_blocks.arranged(move.config, "", {}), **bare},
        )
    )
    changed = side_effects.changes(before, after, theirs, [one.conf for one in sites])
    if changed and not consent.force:
        hint = "Nothing was written. Rename such an entry, or say --force if the site's is what you want."
        raise GenError("\n".join([*(one.message for one in changed), hint]))
    found = [one.message for placed in sites for one in shadowing.shadows(after, placed.conf)]
    old = [message for placed in sites for message in side_effects.outdated(placed.conf)]
    return (*(one.message for one in changed), *found, *old)


def _timed(sites: Iterable[Placed]) -> list[str]:
    placed = {item.path for one in sites for item in one.artifacts}
    return [one.made.site for one in sites if placed & set(services.units(one.made.site))]


def _stopped(move: Move, sites: Iterable[Placed]) -> list[str]:
    """Return the sites whose timer goes, because their spec has no certificate any more."""
    gone = {change.path for change in move.changed if change.action is Action.DELETE}
    return [one.made.site for one in sites if gone & set(services.units(one.made.site))]


def _print(folder: Path, sites: Iterable[Placed]) -> None:
    """Print what to add to an ssh config, and where; it is complete in itself."""
    data(
        managed_blocks.arranged(
            b"", "", {one.made.site: managed_blocks.inline(one.conf) for one in sites}
        ).decode()
    )
    say(
        f"Add this to {folder / paths.SSH_CONFIG}, above its first Host or Match, "
        "and below an IgnoreUnknown if there is one."
    )
    say("Nothing was written. gen install without --mode print takes such a block over as its own.")


def _block(move: Move) -> str:
    """Return what a person has to add to their ssh config themselves."""
    blocks = {block.site: block.body for block in managed_blocks.blocks(move.config, "")}
    return managed_blocks.arranged(b"", "", blocks).decode()


def _summary(folder: Path, done: Done) -> None:
    for change in done.move.files:
        say(f"  {file_changes.DONE[change.action]:9} ~/{change.path}")
    for backup in done.backups:
        say(f"  {'backup':9} ~/{backup.relative_to(folder)}")
    if done.move.by_hand:
        say(f"\n{done.move.by_hand}:\n")
        data(_block(done.move))
    for message in done.shadows:
        say(f"\n{message}")
    for name, fault in done.timers.items():
        if fault:
            say(f"\nThe timer of {name} does not run: {fault}")
            say("  Once there is a user manager: " + services.by_hand(name, folder))
    if any(fault is None for fault in done.timers.values()) and lingers() is False:
        say(
            "\nThe timer runs while you are logged in here. `loginctl enable-linger` keeps it running after that."
        )


def _remarks(choice: inputs.Choice, placed: Placed, was: Lock | None) -> None:
    made = placed.made
    gaps = tuple(gap for gap in made.gaps if gap.name != "home")  # that is for .env files
    next_steps.about(replace(made, gaps=gaps), choice)
    next_steps.forgotten(made, was)
    next_steps.unattended(made, choice)
    say("\nNext:")
    for step in next_steps.first_steps(made):
        say(f"  {step}")
    say(f"  ssh {shlex.quote(made.first_login.alias)}")


def _json(done: Done, sites: Iterable[Placed]) -> str:
    report = {
        "format_version": "1.0",
        "sites": [one.made.site for one in sites],
        "files": file_changes.listed(done.move.files),
        "by_hand": {"reason": done.move.by_hand, "add": _block(done.move)}
        if done.move.by_hand
        else None,
        "backups": [str(path) for path in done.backups],
        "findings": list(done.shadows),
        "timers": done.timers,
    }
    return json.dumps(report, indent=2)
