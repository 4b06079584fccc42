"""The public key in the home directory at a site: add it over ssh, and remove it again."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.errors import GenError
from generator.formatting import printable
from generator.install import apply
from generator.install.key_pair import read_public_key, refuse_short_key
from generator.probe import session
from generator.probe.login_findings import login_finding
from generator.ssh import authorized_keys
from generator.ssh.authorized_keys import AddedKey

_SECONDS = 30.0
# For a passphrase, a second factor or a confirmation on a phone.
_TYPING_SECONDS = 120.0

Report = Callable[[str], None]
"""Prints a message that ssh has for a user at a terminal."""


class SiteAnswerError(GenError):
    """The site gave no answer, or could not do what the script asks for."""

    def __init__(self, message: str, *, may_have_run: bool = False) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run
        """Whether the script may have run: ssh logged in, and the answer did not come."""


def new_line(account: Account, key: Path) -> str:
    """Return the line to add for a key."""
    refuse_short_key(key)
    try:
        token = secrets.token_hex(4)
        return authorized_keys.new_line(read_public_key(key), account.site.site, token)
    except ValueError as error:
        raise GenError(f"{key}.pub: {error}") from None


def account_at(account: Account) -> str:
    """Return the account that gen logs in to, `user@host`: another one has another home."""
    usual = account.site.usual_host
    return f"{account.fill(usual.host.user) or ''}@{account.fill(usual.host_name) or ''}"


def add(account: Account, home: Path, line: str, report: Report | None) -> authorized_keys.Place:
    """Add a line, and record it; return where the file had the key before.

    `report` is ``None`` without a terminal: ssh then asks for nothing.
    """
    site = account.site.site
    # Recorded first: if gen is killed, or the answer is lost, `gen uninstall` finds the line.
    apply.record_authorized_key(home, site, line, AddedKey(line, account=account_at(account)))
    try:
        words = _run(account, lambda mark: authorized_keys.addition(line, mark), report)
    except SiteAnswerError as error:
        if not error.may_have_run:
            apply.record_authorized_key(home, site, line, None)
        raise
    if words in ("bare", "options"):
        apply.record_authorized_key(home, site, line, None)
        return "bare" if words == "bare" else "options"
    added = authorized_keys.added_key(line, words)
    if added is None:
        # The record of the line stays, for the site may have added it.
        raise SiteAnswerError(f"{site}: gives an answer that gen does not know: {printable(words)}")
    added = replace(added, account=account_at(account))
    apply.record_authorized_key(home, site, line, added)
    return "none"


def remove(account: Account, added: AddedKey, report: Report | None) -> bool:
    """Remove a line that gen added; return whether it was still there."""
    return _run(account, lambda mark: authorized_keys.removal(added, mark), report) == "removed"


def _run(account: Account, script: Callable[[str], str], report: Report | None) -> str:
    """Run a script at the usual host, and return its answer."""
    (conf,) = ssh_config.emit(account)
    # An open connection saves the user the second factor.
    interactive = report is not None
    settings = session.settings(_SECONDS, interactive=interactive, new_connection=False)
    # Random, so that no text of a banner or a login script can pass for an answer.
    mark = secrets.token_hex(8)
    seconds = _SECONDS + (_TYPING_SECONDS if interactive else 0)
    login = session.run_with_config(
        conf.content, settings, account.usual_alias, script(mark), seconds, report
    )
    words = authorized_keys.answer(login.output, mark)
    name = account.site.site
    if words is None:
        auth = account.site.auth_of(account.site.usual_host.host)
        finding = login_finding(
            account, auth, login, (), site_arguments=name, has_terminal=interactive
        )
        reason = "no answer"
        if finding:
            reason = f"{printable(finding.site)}; {finding.action}"
        raise SiteAnswerError(f"{name}: {reason}", may_have_run=login.is_authenticated)
    if words.startswith("failed "):
        raise SiteAnswerError(f"{name}: {printable(words.removeprefix('failed '))}")
    return words
