"""When a certificate is renewed: the numbers that the systemd timer and the launchd agent share."""

from typing import NamedTuple

from generator.schema.auth import CommandCertificateAuth, StepAuth
from generator.schema.site import SiteSpec
from generator.schema.text_types import seconds

_DEFAULT_SKEW = 30 * 60
# Three times the shortest period, so that two checks fall within it.
_SHORTEST_SKEW = 15
# Each divides a minute, an hour or a day, so that a calendar expression of systemd.time(7) can name
# it.
_PERIODS = (5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600)


class Schedule(NamedTuple):
    """How often to check a certificate, all in seconds."""

    skew: int
    """A certificate that expires sooner than this is renewed."""
    period: int
    """Time between two checks: at most a third of the skew.

    Two checks then fall within the skew whatever their delays are, so that the second makes up for
    a first that failed.
    """
    delay: int
    """Largest random delay of a check, so that the users of a site do not all renew at once."""


def renewable_auth(site: SiteSpec) -> StepAuth | CommandCertificateAuth | None:
    """Return the site's authentication if it is a certificate that a command can renew."""
    auth = site.auth
    if isinstance(auth, StepAuth):
        return auth
    if isinstance(auth, CommandCertificateAuth) and auth.command:
        return auth
    return None


def timed_auth(site: SiteSpec) -> StepAuth | CommandCertificateAuth | None:
    """Return the site's authentication if it is a certificate that a timer renews.

    A certificate that is issued for each connection would expire before the next check.
    """
    auth = renewable_auth(site)
    if isinstance(auth, CommandCertificateAuth) and auth.each_connection:
        return None
    return auth


def schedule(auth: StepAuth | CommandCertificateAuth) -> Schedule:
    """Return when to check a certificate.

    Without `renew_before` the skew is a quarter of the lifetime; without a lifetime either, it is
    half an hour.
    """
    if auth.renew_before:
        skew = seconds(auth.renew_before)
    elif auth.lifetime:
        skew = max(seconds(auth.lifetime) // 4, _SHORTEST_SKEW)
    else:
        skew = _DEFAULT_SKEW
    longest = max(skew // 3, _PERIODS[0])
    period = max(period for period in _PERIODS if period <= longest)
    return Schedule(skew, period, delay=period // 5)
