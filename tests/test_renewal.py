"""When a timer looks at a certificate: in time for any lifetime, and only where there is one to renew."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.emitters.systemd_timer import calendar
from generator.renewal import Schedule, certificate, schedule
from generator.spec.auth import Auth, CommandCertificateAuth, StepAuth
from generator.spec.site import SiteSpec

DAY = 86_400
LONGEST = 999_999 * DAY
ACCURACY = 1  # AccuracySec= of the timer
COMMAND = {"method": "certificate", "command": ["get-certificate", "--fast"]}
STEP = {"method": "step", "ca_url": "https://ca.example.org", "ca_fingerprint": "0" * 64, "context": "x"}


def site(auth: dict[str, object]) -> SiteSpec:
    return SiteSpec.model_validate({"site": "x", "title": "X", "hosts": {"x": {"host": "x.example.org"}}, "auth": auth})


def lasting(lifetime: int | None, renew_before: int | None = None) -> CommandCertificateAuth:
    """Return the auth of certificates that last some seconds."""
    lifetimes = {"lifetime": lifetime, "renew_before": renew_before}
    durations = {name: duration(length) for name, length in lifetimes.items() if length}
    return CommandCertificateAuth.model_validate(COMMAND | durations)


def duration(length: int) -> str:
    """Write seconds as a spec does, in the largest unit that six digits hold; what is over is dropped."""
    count, unit = next(
        (length // size, unit) for size, unit in ((1, "s"), (60, "m"), (3600, "h"), (DAY, "d")) if length < 10**6 * size
    )
    return f"{count}{unit}"


def looks(plan: Schedule, due: int) -> list[int]:
    """Return the latest times of the looks that surely come before a certificate ends that is due at some second."""
    first = math.ceil(due / plan.period) * plan.period
    latest = (first + plan.delay + ACCURACY, first + plan.period + plan.delay + ACCURACY)
    return [time for time in latest if time < due + plan.skew]


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(lasting(60), Schedule(15, 5, 1), id="a minute"),
        pytest.param(lasting(15 * 60), Schedule(225, 60, 12), id="15 minutes"),
        pytest.param(lasting(3600), Schedule(900, 300, 60), id="an hour"),
        pytest.param(lasting(12 * 3600), Schedule(10800, 3600, 720), id="12 hours"),
        pytest.param(lasting(16 * 3600), Schedule(14400, 3600, 720), id="16 hours"),
        pytest.param(lasting(DAY), Schedule(21600, 7200, 1440), id="a day"),
        pytest.param(lasting(365 * DAY), Schedule(7884000, 21600, 4320), id="a year is still looked at every 6 hours"),
        pytest.param(lasting(None), Schedule(1800, 600, 120), id="a lifetime that the site does not say"),
        pytest.param(lasting(None, 3600), Schedule(3600, 1200, 240), id="a renewal that the spec fixes"),
        pytest.param(lasting(DAY, 3600), Schedule(3600, 1200, 240), id="the spec's renewal, not a quarter"),
    ],
)
def test_schedule(auth: CommandCertificateAuth, expected: Schedule) -> None:
    assert schedule(auth) == expected


durations = st.integers(15, LONGEST).map(lambda length: 15 + int(math.exp(length / LONGEST * math.log(LONGEST - 15))))


@st.composite
def auths(draw: st.DrawFn) -> CommandCertificateAuth:
    """Any auth that `gen validate` takes: the renewal is shorter than the lifetime, and none below 15 seconds."""
    lifetime = draw(st.none() | durations)
    renew_before = draw(st.none() | durations)
    if lifetime and renew_before and renew_before >= lifetime:
        renew_before = None
    return lasting(lifetime, renew_before)


@given(auths(), st.integers(0, 20 * 365 * DAY))
def test_two_looks_fall_between_the_time_that_a_certificate_is_due_and_its_end(
    auth: CommandCertificateAuth, due: int
) -> None:
    """The second makes up for a first that failed, even if chance delays both as long as it can."""
    assert len(looks(schedule(auth), due)) == 2


@given(auths())
def test_a_look_with_its_delay_is_over_before_the_skew_and_before_the_next_look(auth: CommandCertificateAuth) -> None:
    plan = schedule(auth)
    assert plan.period + plan.delay + ACCURACY <= plan.skew
    assert 1 <= plan.delay < plan.period


@given(auths())
def test_a_period_divides_the_day_so_that_a_calendar_expression_can_name_it(auth: CommandCertificateAuth) -> None:
    period = schedule(auth).period
    assert DAY % period == 0
    unit = next(unit for unit in (60, 3600, DAY) if period < unit)
    assert unit % period == 0


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        pytest.param(5, "*-*-* *:*:00/5 UTC", id="seconds"),
        pytest.param(60, "*-*-* *:00/1:00 UTC", id="a minute"),
        pytest.param(600, "*-*-* *:00/10:00 UTC", id="minutes"),
        pytest.param(3600, "*-*-* 00/1:00:00 UTC", id="an hour"),
        pytest.param(21600, "*-*-* 00/6:00:00 UTC", id="hours"),
    ],
)
def test_calendar(period: int, expected: str) -> None:
    assert calendar(period) == expected


@pytest.mark.parametrize(
    ("auth", "kind"),
    [
        pytest.param(STEP, StepAuth, id="step"),
        pytest.param(COMMAND, CommandCertificateAuth, id="a command of the site"),
    ],
)
def test_a_certificate_that_a_timer_can_renew(auth: dict[str, object], kind: type[Auth]) -> None:
    assert isinstance(certificate(site(auth)), kind)


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param({"method": "publickey"}, id="plain keys"),
        pytest.param({"method": "keyboard", "asks": "password"}, id="passwords"),
        pytest.param({"method": "kerberos", "principal": "{user}@EXAMPLE.ORG"}, id="Kerberos tickets"),
        pytest.param({"method": "agent", "fill": "fill-agent", "lifetime": "1d"}, id="credentials in an agent"),
        pytest.param({"method": "certificate", "portal": "https://example.org/"}, id="certificates from a web page"),
        pytest.param(COMMAND | {"each_connection": True}, id="certificates got before each connection"),
    ],
)
def test_a_site_without_a_certificate_that_a_timer_can_renew(auth: dict[str, object]) -> None:
    assert certificate(site(auth)) is None
