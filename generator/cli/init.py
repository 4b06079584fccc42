"""`gen init`: ask who the user is and which sites they use, and write the profile."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from generator import programs
from generator.cli.output import agreed, answer, on_terminal, say
from generator.cli.profile_draft import NONE, ProfileDraft, Value, ask_value, draft
from generator.compiler import build
from generator.compiler.account import Account
from generator.compiler.compile import compilation
from generator.errors import GenError, near
from generator.formatting import home as shortened
from generator.formatting import listed
from generator.install import proposals
from generator.install.plan import home_directory
from generator.loading import catalogue, inputs
from generator.schema.auth import StepAuth, WithKey
from generator.schema.profile import SiteEntry

_SSH_FAILED = 255  # otherwise the status is that of the last command at the site (ssh(1))
_SITE_KEYS = ("email", "account", "allocation", "client_id")
"""The keys besides the user name that a site may need a value of its own for."""


def run(
    sites: Sequence[str], named: Path | None, values: Mapping[str, Value], specs: Path | None
) -> int:
    """Ask for the values, or take them from options without a terminal, and write the profile."""
    option_values = {key: value for key, value in values.items() if value is not None}
    profile = draft(named)
    for site in sites:
        catalogue.spec(site, specs)  # refuses an unknown one
    if not on_terminal():
        _write_options(profile, sites, option_values)
        return 0
    _apply(profile, sites, option_values)
    chosen = _ask(profile, list(sites), option_values, specs)
    if not _confirm(profile):
        say("Nothing was written.")
        return 0
    if chosen:
        _offer_installation(chosen, profile.path if named else None, specs)
    return 0


def _write_options(
    profile: ProfileDraft, sites: Sequence[str], option_values: Mapping[str, Value]
) -> None:
    if not option_values:
        raise GenError(
            "gen init: there is no terminal to ask on; give your values as options, as in:"
            " gen init --user ada, or for one site: gen init musica --user xy12345"
        )
    _apply(profile, sites, option_values)
    done = "changed" if profile.original is not None else "new"
    if not profile.write():
        done = "same"
    say(f"  {done:9} {shortened(profile.path)}")


def _apply(profile: ProfileDraft, sites: Sequence[str], option_values: Mapping[str, Value]) -> None:
    """Set the values of options: for some sites, or for all."""
    for key, value in option_values.items():
        key_paths: list[tuple[str, ...]] = [(key,)]
        if sites:
            key_paths = [("sites", site, key) for site in sites]
        for keys in key_paths:
            if fault := profile.fault(keys, value):
                raise GenError(f"--{key.replace('_', '-')}: {fault}")


def _ask(
    profile: ProfileDraft, sites: list[str], option_values: Mapping[str, Value], specs: Path | None
) -> list[str]:
    """Ask every question that no option answers, and return the sites of the user."""
    home = home_directory()
    say(f"gen writes your values to {shortened(profile.path)}, after the last question.")
    say(f"Enter takes the value in brackets, {NONE} leaves a value out.")
    known_sites = proposals.known_sites(home)
    if not sites:
        say()
        _ask_for_all_sites(profile, option_values, home)
        sites = _ask_sites(profile, known_sites, specs)
    for site in sites:
        _ask_for_site(profile, site, option_values, known_sites.get(site), specs)
    return sites


def _ask_for_all_sites(
    profile: ProfileDraft, option_values: Mapping[str, Value], home: Path
) -> None:
    current = profile.profile
    if "user" not in option_values:
        proposal = current.user or proposals.user_name()
        ask_value(profile, ("user",), "Your user name at most sites", proposal)
    if "email" not in option_values:
        source = ""
        proposal = current.email or proposals.email()
        # It is a guess: the address in git may be a private one.
        if proposal and not current.email:
            source = " (from git)"
        ask_value(profile, ("email",), f"Your e-mail address, for certificates{source}", proposal)
    if "identity_file" not in option_values:
        keys = proposals.private_keys(home)
        if keys:
            paths_and_kinds: list[str] = []
            for path, kind in keys.items():
                paths_and_kinds.append(f"{path} ({kind})")
            say(f"Your keys: {', '.join(paths_and_kinds)}")
        text = f"Private key for all sites; {NONE} for a new one for each site"
        ask_value(profile, ("identity_file",), text, current.identity_file or NONE)
    if "home" not in option_values:
        text = "Your home directory, for paths in .env files"
        ask_value(profile, ("home",), text, current.home or str(home))


def _ask_sites(
    profile: ProfileDraft, known_sites: Mapping[str, proposals.KnownSite], specs: Path | None
) -> list[str]:
    """Ask which sites the user uses; those that this machine knows are proposed."""
    say()
    if known_sites:
        reasons = [f"{site.site} ({site.reason})" for site in known_sites.values()]
        say(f"This machine knows {listed(reasons, 5)}.")
    else:
        say("The names of all sites: gen list (in another terminal).")
    # A site that is both known here and in the profile is proposed once.
    proposal = " ".join(dict.fromkeys([*known_sites, *profile.profile.sites]))
    while True:
        reply = answer("Your sites, separated by spaces", proposal or NONE)
        names = [name for name in reply.replace(",", " ").split() if name != NONE]
        unknown = [name for name in names if name not in catalogue.sites(specs)]
        if not unknown:
            return list(dict.fromkeys(names))
        for name in unknown:
            say(f"  {name}: no such site{near(name, catalogue.sites(specs))}")


def _ask_for_site(
    profile: ProfileDraft,
    site: str,
    option_values: Mapping[str, Value],
    known_site: proposals.KnownSite | None,
    specs: Path | None,
) -> None:
    """Ask for the values that one site needs."""
    account = _account(profile, site, specs)
    say(f"\n{account.site.title}")
    if "user" not in option_values:
        _ask_user(profile, site, known_site)
    entry = profile.profile.sites.get(site)
    key = known_site.identity_file if known_site else None
    takes_key = isinstance(account.site.auth, WithKey) and account.profile.identity_file is None
    # The user logs in with this key already, so the site knows it.
    if key and takes_key and "identity_file" not in option_values:
        text = f"Private key at {site} (from your ssh configuration)"
        ask_value(profile, ("sites", site, "identity_file"), text, key)
    for name, text in _site_questions(_account(profile, site, specs), entry):
        if name not in option_values:
            ask_value(profile, ("sites", site, name), text, getattr(entry, name, None))


def _ask_user(profile: ProfileDraft, site: str, known_site: proposals.KnownSite | None) -> None:
    """Ask for the user name at a site; the usual one needs no entry."""
    entry = profile.profile.sites.get(site)
    usual = profile.profile.user
    proposal = (entry and entry.user) or (known_site and known_site.user) or usual
    while True:
        reply = answer(f"User name at {site}", proposal or "")
        value = None if reply in ("", NONE, usual) else reply
        fault = profile.fault(("sites", site, "user"), value)
        if fault is None:
            return
        say(f"  {reply}: {fault}")


def _account(profile: ProfileDraft, site: str, specs: Path | None) -> Account:
    spec = inputs.file(catalogue.spec(site, specs))
    account, _ = build.account(inputs.Inputs(spec, profile.file, {}, ()))
    return account


def _site_questions(account: Account, entry: SiteEntry | None) -> Iterator[tuple[str, str]]:
    """Yield the keys that a site needs a value for, or has one of, with the question."""
    gaps = {gap.name: gap.meaning for gap in compilation(account.site, account.profile).gaps}
    for key in _SITE_KEYS:
        if key in gaps:
            yield key, f"{key}: {gaps[key]}{_origin(account, key)}"
        elif getattr(entry, key, None):
            yield key, key


def _origin(account: Account, key: str) -> str:
    """Return where a user gets a value, if the spec says so."""
    auth = account.site.auth
    if key == "client_id" and isinstance(auth, StepAuth) and auth.oidc:
        address = urlsplit(auth.authentik.api_base if auth.authentik else auth.oidc.token_url)
        return f"; make it at {address.scheme}://{address.netloc}"
    if key == "account" and account.site.slurm and account.site.slurm.accounts.form:
        return f", as in {account.site.slurm.accounts.form}"
    return ""


def _confirm(profile: ProfileDraft) -> bool:
    """Show the values of the profile, and write them if the user agrees."""
    if profile.content == profile.original:
        say(f"\n{shortened(profile.path)} has these values already.")
        return True
    say(f"\n{shortened(profile.path)}, without its comments:")
    for line in profile.content.decode().splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            say(f"  {line}")
    if not agreed("Write it?"):
        return False
    profile.write()
    say(f"To change a value, edit {shortened(profile.path)}, or run gen init again.")
    return True


def _offer_installation(sites: Sequence[str], named: Path | None, specs: Path | None) -> None:
    """Offer to install the sites, and to log in for the first time."""
    say()
    names = listed(sites, len(sites))
    if not agreed(f"Install {names} now? gen shows every change, and asks."):
        say(f"To install later: gen install {' '.join(sites)}")
        return
    # Imported only here: they are not needed for the questions.
    from generator.cli import install
    from generator.install import record

    choices = [inputs.Choice(site, specs, named) for site in sites]
    install.run(choices, None, install.Consent(False, False), dry_run=False, as_json=False)
    for site in sites:
        if site in record.installed(home_directory()):
            _offer_login(site)


def _offer_login(site: str) -> None:
    """Offer the first login, which shows that everything works, and the steps after it."""
    from generator.cli import copy_key
    from generator.install import record
    from generator.install.installed_account import installed_account

    home = home_directory()
    account = installed_account(home, record.installed(home)[site])
    alias = compilation(account.site, account.profile).first_login.alias
    say()
    if not agreed(f"Log in to {site} now, with ssh {shlex.quote(alias)}?"):
        return
    status = programs.run_in_terminal(["ssh", "--", alias])
    if status == _SSH_FAILED:
        return
    for rule in account.site.login_node_rules():
        say(rule)
    if account.site.nodes_with_key_in_home():
        say()
        try:
            copy_key.offer(home, account)
        except GenError as error:  # the login works all the same
            say(str(error))
