"""`systemd/gen-cert-SITE.service` and `.timer`: renew the SSH certificate of a site."""

from collections.abc import Iterator

from generator import paths
from generator.compiler import compiled_templates
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.renewal_schedule import schedule, timed_auth


def emit(account: Account) -> Iterator[Artifact]:
    """Yield service and timer, if a timer renews the site's certificate."""
    auth = timed_auth(account.site)
    if auth is None:
        return
    site = account.site.site
    header = paths.header(site)
    checks = schedule(auth)
    service = compiled_templates.cert_service(header=header, site=site)
    timer = compiled_templates.cert_timer(
        header=header, site=site, calendar=calendar(checks.period), delay=checks.delay
    )
    yield Artifact(
        path=paths.service_unit(site),
        content="".join(service).encode(),
        mode=0o644,
        install_to=paths.installed_service_unit(site),
    )
    yield Artifact(
        path=paths.timer_unit(site),
        content="".join(timer).encode(),
        mode=0o644,
        install_to=paths.installed_timer_unit(site),
    )


def calendar(period: int) -> str:
    """Return a period as a calendar event in UTC (systemd.time(7)).

    The period is in seconds and divides a minute, an hour or a day.
    """
    # In UTC, so that no check is skipped or doubled when the clock changes to summer time.
    if period < 60:
        return f"*-*-* *:*:00/{period} UTC"
    if period < 3600:
        return f"*-*-* *:00/{period // 60}:00 UTC"
    return f"*-*-* 00/{period // 3600}:00:00 UTC"
