"""`launchd/gen-cert-SITE.plist`: the launchd agent that renews a certificate on macOS."""

from collections.abc import Iterator

from generator import paths
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.renewal_schedule import schedule, timed_auth

_ENVIRONMENT = (
    'PATH="$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin" STEPPATH="$HOME/.step"'
)


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the agent, if a timer renews the site's certificate."""
    auth = timed_auth(account.site)
    if auth is None:
        return
    # Only sites with certificates need this module, which imports an XML parser.
    import plistlib

    site = account.site.site
    checks = schedule(auth)
    agent = {
        "Label": paths.agent_label(site),
        # launchd expands neither ~ nor $HOME, and its PATH has no directory of the user. A shell
        # expands both. The process number keeps the users of a site from renewing all at once.
        "ProgramArguments": [
            "/bin/sh",
            "-c",
            f"sleep $(($$ % {checks.delay})); {_ENVIRONMENT} exec gen refresh {site} --retry",
        ],
        "EnvironmentVariables": {"TZ": "UTC"},
        **_times(checks.period),
        "RunAtLoad": True,
        "ProcessType": "Background",
        "Umask": 0o077,
    }
    plist = plistlib.dumps(agent, sort_keys=False)
    comment = f"<!-- {paths.header(site)} -->\n".encode()
    yield Artifact(
        path=paths.launchd_agent(site),
        content=plist.replace(b"<plist", comment + b"<plist", 1),
        mode=0o644,
        install_to=paths.installed_launchd_agent(site),
    )


def _times(period: int) -> dict[str, object]:
    """Return the key of the agent that says when launchd starts it.

    When a Mac wakes, launchd starts a job of StartCalendarInterval that the Mac slept through, as
    Persistent= does. It misses those of StartInterval (launchd.plist(5)). A calendar has no
    seconds.
    """
    if period < 60:
        return {"StartInterval": period}
    if period < 3600:
        minutes = range(0, 60, period // 60)
        return {"StartCalendarInterval": [{"Minute": minute} for minute in minutes]}
    hours = range(0, 24, period // 3600)
    # In local time: when the clock changes to summer time, a look may come an hour late.
    return {"StartCalendarInterval": [{"Hour": hour, "Minute": 0} for hour in hours]}
