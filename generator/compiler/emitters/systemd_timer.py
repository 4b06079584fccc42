"""`systemd/gen-cert-SITE.{service,timer}`: renew the SSH certificate, for sites that log people in with one."""

from collections.abc import Iterator

from generator import paths
from generator.compiler.account import Account
from generator.compiler.artifact import Artifact
from generator.compiler.renewal_schedule import certificate, schedule
from generator.compiler.templates import render


def emit(account: Account) -> Iterator[Artifact]:
    """Yield service and timer; nothing where no certificate is to be renewed."""
    auth = certificate(account.site)
    if auth is None:
        return
    site = account.site.site
    plan = schedule(auth)
    units = (
        ("cert.service.j2", paths.service_unit(site), paths.installed_service_unit(site)),
        ("cert.timer.j2", paths.timer_unit(site), paths.installed_timer_unit(site)),
    )
    for template, path, installed in units:
        content = render(
            template,
            header=paths.header(site),
            site=site,
            calendar=calendar(plan.period),
            delay=plan.delay,
        )
        yield Artifact(path, content, 0o644, install_to=installed)


def calendar(period: int) -> str:
    """Return a period in seconds, which divides a minute, an hour or a day, as systemd.time(7) writes it, in UTC."""
    if period < 60:
        return f"*-*-* *:*:00/{period} UTC"
    if period < 3600:
        return f"*-*-* *:00/{period // 60}:00 UTC"
    return f"*-*-* 00/{period // 3600}:00:00 UTC"
