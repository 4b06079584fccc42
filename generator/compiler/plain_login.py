"""The criterion of a `Match` line for a login to a shell: `ssh ALIAS`, and no command.

ssh refuses a command beside a RemoteCommand, and rsync, git and `ssh ALIAS COMMAND` have one. Since
OpenSSH 10.0, `Match command` and `Match sessiontype` tell them apart, but an older ssh refuses the
whole file because of them (ssh_config(5)). So a shell reads the arguments of the ssh that runs it.
"""

# ssh runs the user's own shell, which may replace itself with this one or start it.
#
# The same characters are missing as in connect_hook, for the same reasons: equals signs, quotes,
# backslashes and exclamation marks.
_SCRIPT = (
    "set -f",
    "for pid in $PPID $(ps -p $PPID -o ppid | sed 1d)"
    "; do set -- $(ps -ww -p $pid -o args | sed 1d)",
    "case $1 in ssh|*/ssh) ;; *) continue;; esac",
    "shift",
    # The options of OpenSSH 8.0 to 10.5 (ssh(1)). Those without a shell, or without a terminal as
    # of VS Code, are for programs.
    "while getopts :1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy option"
    "; do case $option in [NTWs]) exit 1;; esac",
    "done",
    "shift $((OPTIND - 1))",
    # More options may follow the host.
    "while case $2 in -*) ;; *) false;; esac; do shift; done",
    "case x$2 in x) exit;; esac",
    "exit 1",
    "done 2>/dev/null",
    "exit 1",
)
PLAIN_LOGIN = f"""exec "/bin/sh -c '{"; ".join(_SCRIPT)}'\""""
