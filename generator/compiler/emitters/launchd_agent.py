"""`launchd/gen-cert-SITE.plist`: on macOS what the systemd timer is elsewhere."""

import plistlib
from collections.abc import Iterator

from generator import paths
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.renewal_schedule import certificate, schedule


def emit(account: Account) -> Iterator[Artifact]:
    """Yield the agent; nothing where no certificate is to be renewed."""
    auth = certificate(account.site)
    if auth is None:
        return
    site = account.site.site
    agent = {
        "Label": paths.agent_label(site),
        # launchd expands neither ~ nor $HOME, and its PATH holds no folder of the user's: a shell does.
        "ProgramArguments": ["/bin/sh", "-c", f"{_PATH} exec gen refresh {site}"],
        "EnvironmentVariables": {"TZ": "UTC"},
        # A look that a sleeping Mac missed is made up for at wake, as Persistent= does (launchd.plist(5)).
        "StartInterval": schedule(auth).period,
        "RunAtLoad": True,
        "ProcessType": "Background",
        "Umask": 0o077,
    }
    comment = f"<!-- {paths.header(site)} -->\n<plist".encode()
    content = plistlib.dumps(agent, sort_keys=False).replace(b"<plist", comment, 1)
    yield Artifact(
        paths.launchd_agent(site),
        content,
        0o644,
        install_to=paths.installed_launchd_agent(site),
    )


_PATH = (
    'PATH="$HOME/.local/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin" STEPPATH="$HOME/.step"'
)
