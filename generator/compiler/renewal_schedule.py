"""Which certificate is renewed, and when: the numbers that the systemd timer and the launchd agent share."""

from dataclasses import dataclass

from generator.schema.auth import CommandCertificateAuth, StepAuth
from generator.schema.site import SiteSpec
from generator.schema.text_types import seconds

_UNKNOWN_LIFETIME_SKEW = 30 * 60
# Periods that divide an hour or a day, so that a calendar expression can name them.
_PERIODS = (5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600)


@dataclass(frozen=True)
class Schedule:
    """How often to look at the certificate, all in seconds."""

    skew: int
    """A certificate that ends sooner than this is renewed."""
    period: int
    """Time between two looks, a third of the skew at most: two fall into it whatever their delay, so one may fail."""
    delay: int
    """Random delay of each look, so that a site's users don't all come at once."""


def renewable(site: SiteSpec) -> StepAuth | CommandCertificateAuth | None:
    """Return the site's way to a certificate that a command can renew, if that is how people log in."""
    auth = site.auth
    return (
        auth
        if isinstance(auth, StepAuth) or (isinstance(auth, CommandCertificateAuth) and auth.command)
        else None
    )


def certificate(site: SiteSpec) -> StepAuth | CommandCertificateAuth | None:
    """Return the site's way to a certificate that a timer renews: one that lasts until the next look."""
    auth = renewable(site)
    return None if isinstance(auth, CommandCertificateAuth) and auth.each_connection else auth


def schedule(auth: StepAuth | CommandCertificateAuth) -> Schedule:
    """Return when to look, whatever the lifetime: a look falls into every window between skew and expiry.

    Without `renew_before` the skew is a quarter of the lifetime; without either, half an hour.
    """
    if auth.renew_before:
        skew = seconds(auth.renew_before)
    elif auth.lifetime:
        skew = max(seconds(auth.lifetime) // 4, 15)
    else:
        skew = _UNKNOWN_LIFETIME_SKEW
    period = max(period for period in _PERIODS if period <= max(skew // 3, _PERIODS[0]))
    return Schedule(skew, period, period // 5)
