"""The look at a certificate before each connection: a few lines of shell that ssh runs (ssh_config(5), `Match exec`).

They find in `~/.local/state/gen/SITE.due`, which `gen refresh` writes, the second from which the certificate is to be
renewed, and start no more than `date` until then. ssh gives them /dev/null for stdin and stdout, and waits for them.
"""

from collections.abc import Iterable

from generator import paths
from generator.compiler.account import Account
from generator.compiler.renewal_schedule import renewable
from generator.ssh.config_files import RENEWAL_COMMAND

# For the user's own shell, be it fish or csh, all this is one word in single quotes, and for ssh part of one in double
# quotes. So it has neither kind, no backslash and no !; the first two commands do what quotes would.
_SCRIPT = (
    "IFS=",
    "set -f",
    # In a folder that others write to, gen would take its spec from their site_specs.
    "cd $HOME/ 2>/dev/null || exit",
    f"{{ [ -e $1 ] && read due <{paths.renewal_due('$0')} && [ $(date +%s) -lt $due ]; }} 2>/dev/null && exit",
    # What starts without a shell of the user's (a desktop, an editor) has a short PATH.
    "PATH=$PATH:$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin",
    # Not by exec: ssh gives up where the command dies by a signal.
    f"command -v gen >/dev/null && {RENEWAL_COMMAND}",
)


def matches(account: Account, certificate: str | None, blocks: Iterable[list[str]]) -> list[str]:
    """Return the criteria of `Match` lines that renew a certificate when one of some Host blocks is connected to.

    A negated pattern holds for its whole list, so a block that has one gets a line of its own. `!canonical` leaves out
    ssh's second reading of its files; `!final` would ask for one (OpenSSH 8.0).
    """
    auth = renewable(account.site)
    if not (certificate and auth and auth.renew_on_connect and account.profile.renew_on_connect):
        return []
    words = (
        f"/bin/sh -c '{'; '.join(_SCRIPT)}' {account.site.site} '{certificate.removeprefix('~/')}'"
    )
    command = words.replace("%", "%%")  # ssh would put something for a single one
    lists = list(blocks)
    alone = [names for names in lists if any(name.startswith("!") for name in names)]
    together = [name for names in lists if names not in alone for name in names]
    return [
        f'!canonical originalhost {",".join(names)} exec "{command}"'
        for names in (together, *alone)
        if names
    ]
