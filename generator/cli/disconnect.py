"""`gen disconnect [SITE]`: end shared connections."""

from collections.abc import Iterable
from pathlib import Path

from generator.cli.output import say
from generator.errors import GenError, near
from generator.formatting import home as shortened
from generator.install import connections, plan, record
from generator.install.connections import Connection


def run(site: str | None) -> int:
    """End the shared connections of a site, or all of them, with the sessions that use them."""
    home = plan.home_directory()
    opened = connections.connections(home)
    if site is not None:
        opened = connections.site_connections(opened, _conf(home, site))
    failures = end(opened)
    if failures:
        raise GenError("\n".join(failures))
    if not opened:
        say(f"{site or 'gen'}: no shared connection is open")
    return 0


def end(opened: Iterable[Connection]) -> list[str]:
    """End shared connections, print which, and return why others are still open."""
    failures: list[str] = []
    for connection in opened:
        name = shortened(connection.socket)
        failure = connections.end(connection)
        if failure:
            failures.append(f"{name}: {failure}")
        elif connection.process is None:
            say(f"  removed   {name}, which a connection had left")
        else:
            say(f"  ended     {name} (process {connection.process})")
    return failures


def _conf(home: Path, site: str) -> bytes:
    """Return the ssh file of an installed site, also of one that was edited."""
    installed = record.installed(home)
    if site not in installed:
        advice = "run gen disconnect to end every shared connection"
        raise GenError(f"{site}: is not installed{near(site, installed, advice)}")
    return plan.present_conf(home, site)
