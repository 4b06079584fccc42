"""`gen uninstall SITE…`: delete every byte that `gen install` added to the home directory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from generator import codec, formatting, paths
from generator.cli import disconnect, file_changes, first_login
from generator.cli.install import Consent
from generator.cli.output import agreed, agreed_to_changes, data, on_terminal, say, say_waiting
from generator.errors import GenError
from generator.formatting import printable
from generator.install import apply, connections, record, services
from generator.install import plan as planning
from generator.install.connections import Connection
from generator.install.plan import HomePlan
from generator.ssh.authorized_keys import AUTHORIZED_KEYS, AddedKey
from generator.workspace.lock import Lock
from generator.workspace.patch import diff
from generator.workspace.plan import Action, Change, pending_changes


@dataclass(frozen=True)
class _Removal:
    """The files and secrets that an uninstallation deletes."""

    plan: HomePlan
    secrets: tuple[Path, ...] = ()
    kept_secrets: tuple[str, ...] = ()
    """Messages about secrets that stay in spite of --purge."""


def run(
    sites: Sequence[str], consent: Consent, *, purge: bool, dry_run: bool, as_json: bool
) -> int:
    """Uninstall some sites; every refusal comes before the first write."""
    home = planning.home_directory()
    sites = list(dict.fromkeys(sites))
    if dry_run:
        plan = planning.uninstallation(home, sites)
        _say_authorized_keys(home, sites)
        _say_connections(home, sites)
        _say_secrets(home, _with_secrets(home, sites, plan, purge=purge))
        file_changes.preview([(home, plan.files)], home)
        return 0
    confirmed = None
    if not consent.yes:
        confirmed = _removal(home, sites, consent, purge=purge)
        _say_authorized_keys(home, sites)
        _say_connections(home, sites)
        question = f"Delete {', '.join(sites)} from {home}?"
        if not _confirm(question, home, confirmed, as_json=as_json):
            return 0
    if purge or any(_authorized_keys(home, sites)):
        # Without the lock, since a site and a provider may take long to answer.
        planned = confirmed or _removal(home, sites, consent, purge=purge)
        _remove_keys_at_sites(home, sites)
        _revoke(sites, planned, consent)
    with apply.exclusive(home, [], say_waiting):
        if confirmed:
            apply.refuse_if_changed(confirmed.plan)
        removal = confirmed or _removal(home, sites, consent, purge=purge)
        _undo_optional_changes(home, sites)
        opened = _connections(home, sites)
        backups = _carry_out(home, sites, removal)
    # Without its file, gen disconnect would not know that they are the site's.
    for failure in disconnect.end(opened):
        say(failure)
    if as_json:
        data(_json(sites, removal, backups))
    else:
        _summary(home, removal, backups)
    return 0


def _removal(home: Path, sites: Sequence[str], consent: Consent, *, purge: bool) -> _Removal:
    plan = planning.uninstallation(home, sites)
    if not consent.force:
        file_changes.refuse_conflicts([(home, plan.files)])
    return _with_secrets(home, sites, plan, purge=purge)


def _with_secrets(home: Path, sites: Sequence[str], plan: HomePlan, *, purge: bool) -> _Removal:
    """Return the removal of a plan's files and, if the user wants that, of the sites' secrets."""
    if not purge:
        return _Removal(plan)
    # Imported only here, because it imports pydantic.
    from generator.install.purge import purge as secrets_of

    installed = record.installed(home)
    # A site that was only renewed has no recorded spec, which would name its secrets.
    secrets = secrets_of(home, [site for site in sites if site in installed], plan)
    spared: list[str] = []
    for secret in secrets.spared:
        spared.append(f"~/{secret.path.relative_to(home)} stays: {secret.reason}")
    return _Removal(plan, secrets.deleted, tuple(spared))


def _authorized_keys(home: Path, sites: Sequence[str]) -> Iterator[tuple[str, AddedKey]]:
    """Yield each line that gen added to ~/.ssh/authorized_keys at one of the sites, the last first.

    In this order, the removal of one leaves the file as it was when gen added the one before.
    """
    for site, changes in record.home_record(home).optional_changes.items():
        if site in sites:
            for added in reversed(changes.authorized_keys):
                yield site, added


def _remove_keys_at_sites(home: Path, sites: Sequence[str]) -> None:
    """Remove the lines that gen added to ~/.ssh/authorized_keys at the sites.

    A site that does not answer does not prevent the uninstallation.
    """
    installed = record.installed(home)
    for site, added in _authorized_keys(home, sites):
        # Imported only here, because both import pydantic.
        from generator.install import home_key
        from generator.install.installed_account import installed_account

        report = say if on_terminal() else None
        # The account may have changed since, by another gen install.
        place = f"of {printable(added.account)}" if added.account else "there"
        try:
            account = installed_account(home, _lock(installed, site))
            current = home_key.account_at(account)
            was_there = home_key.remove(account, added, report)
            if not was_there and added.account not in ("", current):
                raise GenError(f"gen now logs in as {current}")
        except GenError as error:
            say(f"{site}: your key stays in {AUTHORIZED_KEYS} {place} ({error})")
            say(f"  To remove it, delete this line there: {added.line}")
            continue
        done = "removed" if was_there else "gone"
        say(f"  {done:9} your key from {AUTHORIZED_KEYS} at {site}")


def _lock(installed: Mapping[str, Lock], site: str) -> Lock:
    if site not in installed:
        raise GenError("the record of the site is missing, so gen does not know how to log in")
    return installed[site]


def _revoke(sites: Sequence[str], removal: _Removal, consent: Consent) -> None:
    """Offer to revoke the tokens in the credentials files that will be deleted.

    Without a terminal, or if the provider does not do it, print the commands.
    """
    # Imported only here, because it imports pydantic.
    from generator.renewal.revocation import revocation, revoke

    if not removal.secrets:
        return
    for site in sites:
        try:
            tokens = revocation(site, os.environ)
        except GenError as error:
            say(f"{site}: nothing is revoked at the provider: {error}")
            continue
        if tokens is None or tokens.credentials_file not in removal.secrets:
            continue
        number = formatting.count(len(tokens.identifiers), "token")
        problem = ""
        question = f"Revoke {number} of {site} at {printable(tokens.api_base)}?"
        is_interactive = not consent.yes and on_terminal()
        if tokens.api_token and is_interactive and agreed(question):
            try:
                revoke(tokens, tokens.api_token)
            except GenError as error:
                problem = f" ({error})"
            else:
                say(f"{site}: {number} revoked at {tokens.api_base}")
                continue
        say(f"{site}: still valid at {tokens.api_base}: {number}{problem}; to revoke, run:")
        for command in tokens.commands:
            say(f"  {command}")


def _confirm(question: str, home: Path, removal: _Removal, *, as_json: bool) -> bool:
    """List the files that will be deleted, show a patch of the others, and ask."""
    _say_secrets(home, removal)
    changed: list[Change] = []
    for change in pending_changes(removal.plan.files):
        if change.action is Action.DELETE:
            say(f"  {'delete':9} ~/{change.path}")
        else:
            changed.append(change)
    changes = diff(changed, PurePosixPath())
    if as_json:
        say(changes)
        return agreed(question)
    return agreed_to_changes(question, changes, file_changes.summary_lines(changed))


def _say_authorized_keys(home: Path, sites: Sequence[str]) -> None:
    for site, added in _authorized_keys(home, sites):
        say(
            f"  {'delete':9} {added.line.rpartition(' ')[2]}, a line of {AUTHORIZED_KEYS} at {site}"
        )


def _connections(home: Path, sites: Sequence[str]) -> list[Connection]:
    """Return the shared connections that no other installed site can use."""
    ended: list[Connection] = []
    opened = connections.connections(home)
    kept: list[Connection] = []
    for name in record.installed(home):
        if name not in sites:
            kept += connections.site_connections(opened, planning.present_conf(home, name))
    for name in sites:
        for connection in connections.site_connections(opened, planning.present_conf(home, name)):
            if connection not in (*kept, *ended):
                ended.append(connection)
    return ended


def _say_connections(home: Path, sites: Sequence[str]) -> None:
    for connection in _connections(home, sites):
        name = formatting.home(connection.socket)
        say(f"  {'end':9} {name}, a shared connection, with its sessions")


def _say_secrets(home: Path, removal: _Removal) -> None:
    for secret in removal.secrets:
        say(f"  {'purge':9} ~/{secret.relative_to(home)}")
    for message in removal.kept_secrets:
        say(f"  {message}")


def _undo_optional_changes(home: Path, sites: Sequence[str]) -> None:
    optional_changes = record.home_record(home).optional_changes
    needed: set[str] = set()
    for name, changes in optional_changes.items():
        if name not in sites:
            needed.update(link.path for link in changes.links)
    for name, changes in optional_changes.items():
        if name not in sites:
            continue
        first_login.undo(changes)
        for link in changes.links:
            # Another site still needs the command.
            if link.path not in needed:
                apply.delete_link(home, link)


def _carry_out(home: Path, sites: Sequence[str], removal: _Removal) -> list[Path]:
    timed = services.sites_with_units(sites, (change.path for change in removal.plan.files))
    # Before their unit files are deleted: systemctl disable needs them (systemctl(1)).
    for name in timed:
        services.stop(name)
    backups = apply.uninstall(home, removal.plan, removal.secrets)
    for name in timed:
        services.forget(name)
    return backups


def _summary(home: Path, removal: _Removal, backups: list[Path]) -> None:
    for secret in removal.secrets:
        say(f"  {'purged':9} ~/{secret.relative_to(home)}")
    for message in removal.kept_secrets:
        say(f"  {message}")
    for change in removal.plan.changes:
        say(f"  {file_changes.DONE[change.action]:9} ~/{change.path}")
    for backup in backups:
        say(f"  {'backup':9} ~/{backup.relative_to(home)}")
    if removal.plan.manual_reason:
        say(f"\n{removal.plan.manual_reason}.")
        say(f"{home / paths.SSH_CONFIG} was not changed; delete gen's block from it yourself.")


def _json(sites: Sequence[str], removal: _Removal, backups: list[Path]) -> str:
    return codec.report(
        {
            "sites": sites,
            "files": file_changes.json_entries(removal.plan.files),
            "manual_change": removal.plan.manual_reason,
            "backups": backups,
            "purged": removal.secrets,
            "kept_secrets": removal.kept_secrets,
        }
    )
