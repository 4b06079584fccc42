"""`gen copy-key SITE`: put the public key into the home directory at a site.

Compute nodes of some sites look for it there, also where the login nodes know it from elsewhere.
"""

from pathlib import Path

from generator.cli.output import agreed, on_terminal, say
from generator.compiler.account import Account
from generator.compiler.first_steps import first_login
from generator.errors import GenError, near
from generator.install import home_key, key_pair, record
from generator.install.installed_account import installed_account
from generator.install.plan import home_directory
from generator.ssh.authorized_keys import AUTHORIZED_KEYS


def run(site: str, *, yes: bool, dry_run: bool) -> int:
    """Add the key at an installed site, after a question."""
    home = home_directory()
    installed = record.installed(home)
    if site not in installed:
        advice = f"install it with: gen install {site}"
        raise GenError(f"{site}: is not installed{near(site, installed, advice)}")
    account = installed_account(home, installed[site])
    offer(home, account, yes=yes, dry_run=dry_run)
    return 0


def offer(home: Path, account: Account, *, yes: bool = False, dry_run: bool = False) -> None:
    """Show the line for the file at the site, and add it if the user agrees."""
    site = account.site.site
    path = account.key_in_home()
    if path is None:
        raise GenError(f"{site}: has no compute nodes that look for your key in {AUTHORIZED_KEYS}")
    key = key_pair.in_home(home, path)
    if key_pair.lacks_public_key(key) and not dry_run:
        key_pair.derive_public_key(key, has_terminal=on_terminal())
    line = home_key.new_line(account, key)
    login = first_login(account)
    names = ", ".join(login.nodes_with_key_in_home)
    say(f"Compute nodes ({names}) refuse ssh unless {AUTHORIZED_KEYS} at the site has your key.")
    say(f"gen adds this line to it over ssh {login.alias}, and sets its mode to 600 and that")
    say(f"of ~/.ssh to 700; gen uninstall {site} undoes that:\n  {line}")
    if dry_run or not (yes or agreed("Add it?")):
        return
    place = home_key.add(account, home, line, say if on_terminal() else None)
    match place:
        case "none":
            say(f"  added     {AUTHORIZED_KEYS} at {site}")
        case "bare":
            say(f"{site}: {AUTHORIZED_KEYS} has your key already; nothing was changed")
        case "options":
            raise GenError(
                f"{site}: {AUTHORIZED_KEYS} has your key behind options such as from=; gen leaves"
                f" that line as it is. Edit it if the nodes refuse you: ssh {login.alias}"
            )
