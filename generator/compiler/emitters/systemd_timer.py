"""`systemd/gen-cert-SITE.{service,timer}`: renew the SSH certificate, for sites that log people in with one."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from generator.compiler.account import Account, header
from generator.compiler.artifact import Artifact
from generator.compiler.renewal_schedule import certificate, schedule
from generator.compiler.templates import render


def emit(account: Account) -> Iterator[Artifact]:
    """Yield service and timer; nothing where no certificate is to be renewed."""
    auth = certificate(account.site)
    if auth is None:
        return
    plan = schedule(auth)
    for suffix in ("service", "timer"):
        name = f"gen-cert-{account.site.site}.{suffix}"
        content = render(
            f"cert.{suffix}.j2",
            header=header(account.site),
            site=account.site.site,
            calendar=calendar(plan.period),
            delay=plan.delay,
        )
        yield Artifact(
            PurePosixPath(f"systemd/{name}"),
            content,
            0o644,
            install_to=PurePosixPath(f".config/systemd/user/{name}"),
        )


def calendar(period: int) -> str:
    """Return a period in seconds, which divides a minute, an hour or a day, as systemd.time(7) writes it, in UTC."""
    if period < 60:
        return f"*-*-* *:*:00/{period} UTC"
    if period < 3600:
        return f"*-*-* *:00/{period // 60}:00 UTC"
    return f"*-*-* 00/{period // 3600}:00:00 UTC"
