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
    agent = {
        "Label": paths.agent_label(site),
        # launchd expands neither ~ nor $HOME, and its PATH has no directory of the user. A shell
        # expands both.
        "ProgramArguments": ["/bin/sh", "-c", f"{_ENVIRONMENT} exec gen refresh {site}"],
        "EnvironmentVariables": {"TZ": "UTC"},
        # launchd runs a job that a sleeping Mac missed when the Mac wakes, as Persistent= does
        # (launchd.plist(5)).
        "StartInterval": schedule(auth).period,
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
