"""The certificate check before each connection: a shell command in `Match exec` (ssh_config(5)).

`gen refresh` writes the second from which the certificate is due into
`~/.local/state/gen/SITE.due`, and below it the second of that writing. Until the certificate is due
the command starts no program but `date`. It starts gen as well if the file cannot be right: if the
certificate is newer, or the clock was ahead when gen wrote it. ssh waits for the command, and gives
it /dev/null as its input and output.
"""

from collections.abc import Iterable

from generator.compiler.account import Account
from generator.compiler.renewal_schedule import renewable_auth
from generator.paths import installed_ssh_config, renewal_due
from generator.schema.auth import StepAuth
from generator.ssh.renewal_command import RENEWAL_COMMAND

_DUE = renewal_due("$0")
# $0 is the site, $1 the certificate below the home directory.
#
# The user's own shell, which may be fish or csh, sees the whole script as one word in single
# quotes; for ssh it is part of a word in double quotes. So the script may hold no quotes of either
# kind, no backslash and no exclamation mark. Its first two commands have the effect of quotes
# around every variable.
#
# asyncssh refuses a file with an equals sign in this line. So `read` and `for` set the variables.
#
# With key_in_agent, $2 is the public key there, whose private key the agent must have too: an agent
# that was started again has none (ssh-add(1), -T).
_IN_AGENT = " && ssh-add -T $2"
_SCRIPT = (
    "read IFS </dev/null",
    "set -f",
    # gen would read the specs of the current directory, which may belong to another user.
    "cd $HOME/ 2>/dev/null || exit",
    f"{{ [ $1 -nt {_DUE} ] || {{ [ -e $1 ] && {{ read due && read since; }} <{_DUE}"
    " && for now in $(date +%s); do"
    " [ $now -lt $due ] && [ $now -ge $since ]{agent} && exit; done; }; }"
    " 2>/dev/null",
    # A program that a desktop starts has a short PATH.
    "for PATH in $PATH:$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin; do"
    # Not with exec: ssh gives up if the command dies of a signal.
    f" if command -v gen >/dev/null; then {RENEWAL_COMMAND}"
    # An upgrade of Python, say, may remove the command of an installed site. Before an
    # installation, as with `ssh -F`, its absence is expected.
    f"; elif [ -e {installed_ssh_config('$0')} ]; then"
    " echo $0: ssh does not find gen, so no certificate is renewed >&2; fi; done",
)
# ssh reads its files a second time if CanonicalizeHostname is on or a file has a `Match final`, as
# those of Fedora do: `!canonical` skips the second run. `!final` would request such a second
# reading (OpenSSH 8.0).
#
# The rest is for other programs, and says nothing to ssh. kevinburke/ssh_config for Go only takes
# lines that begin with `host`. ssh-config for JavaScript reads words in pairs, so it takes
# `!canonical` twice, but not once.
_FIRST_READING = "host * !canonical !canonical"


def match_criteria(
    account: Account, certificate: str | None, host_names: Iterable[list[str]]
) -> list[str]:
    """Return the criteria of the `Match` lines that renew a certificate before a connection.

    Args:
        account: the user at the site.
        certificate: the path of the certificate, if it is known.
        host_names: the names and patterns of each Host block that uses the certificate.
    """
    auth = renewable_auth(account.site)
    if auth is None or certificate is None:
        return []
    if not (auth.renew_on_connect and account.profile.renew_on_connect):
        return []
    arguments = f"{account.site.site} '{certificate.removeprefix('~/')}'"
    in_agent = ""
    key = account.key(auth)
    if key and account.profile.key_in_agent and isinstance(auth, StepAuth):
        in_agent = _IN_AGENT
        arguments += f" '{key.removeprefix('~/')}.pub'"
    script = "; ".join(_SCRIPT).replace("{agent}", in_agent)
    command = f"/bin/sh -c '{script}' {arguments}"
    # ssh expands a single percent sign (ssh_config(5), TOKENS).
    command = command.replace("%", "%%")
    criteria = []
    for names in _pattern_lists(host_names):
        criteria.append(f'{_FIRST_READING} originalhost {",".join(names)} exec "{command}"')
    return criteria


def _pattern_lists(host_names: Iterable[list[str]]) -> list[list[str]]:
    """Return the pattern list of each `Match` line.

    A negated pattern excludes a name from its whole list (ssh_config(5), PATTERNS). So a block that
    has one gets its own line, and all other blocks share the first line.
    """
    shared: list[str] = []
    separate: list[list[str]] = []
    for names in host_names:
        if any(name.startswith("!") for name in names):
            separate.append(names)
        else:
            shared += names
    return [shared, *separate] if shared else separate
