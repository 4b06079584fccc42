"""When a timer looks at a certificate: in time for any lifetime, and only where there is one to renew."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.compiler.emitters.systemd_timer import calendar
from generator.compiler.renewal_schedule import Schedule, schedule, timed_auth
from generator.schema.auth import Auth, CommandCertificateAuth, StepAuth
from generator.schema.rules import faults
from generator.schema.site import SiteSpec
from generator.schema.text_types import seconds

DAY = 86_400
ACCURACY = 1  # AccuracySec= of the timer
STEP: dict[str, object] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "x",
}
COMMAND: dict[str, object] = {"method": "certificate", "command": ["get-certificate", "--fast"]}


def site(auth: dict[str, object]) -> SiteSpec:
    return SiteSpec.model_validate(
        {"site": "x", "title": "X", "hosts": {"x": {"host": "x.example.org"}}, "auth": auth}
    )


def lasting(lifetime: str | None, renew_before: str | None = None) -> CommandCertificateAuth:
    """Return the auth of certificates that last for a time."""
    return CommandCertificateAuth.model_validate(
        COMMAND | {"lifetime": lifetime, "renew_before": renew_before}
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(lasting("60s"), Schedule(15, 5, 1), id="a minute"),
        pytest.param(lasting("15m"), Schedule(225, 60, 12), id="15 minutes"),
        pytest.param(lasting("1h"), Schedule(900, 300, 60), id="an hour"),
        pytest.param(lasting("12h"), Schedule(10800, 3600, 720), id="12 hours"),
        pytest.param(lasting("16h"), Schedule(14400, 3600, 720), id="16 hours"),
        pytest.param(lasting("24h"), Schedule(21600, 7200, 1440), id="a day"),
        pytest.param(
            lasting("365d"),
            Schedule(7884000, 21600, 4320),
            id="a year is still looked at every 6 hours",
        ),
        pytest.param(
            lasting(None), Schedule(1800, 600, 120), id="a lifetime that the site does not say"
        ),
        pytest.param(
            lasting(None, "1h"), Schedule(3600, 900, 180), id="a renewal that the spec fixes"
        ),
        pytest.param(
            lasting("1d", "1h"), Schedule(3600, 900, 180), id="the spec's renewal, not a quarter"
        ),
    ],
)
def test_schedule(auth: CommandCertificateAuth, expected: Schedule) -> None:
    assert schedule(auth) == expected


counts = st.integers(1, 100) | st.integers(1, 999_999)
durations = st.builds("{}{}".format, counts, st.sampled_from("smhd")).filter(
    lambda text: seconds(text) >= 15
)


@st.composite
def auths(draw: st.DrawFn) -> CommandCertificateAuth:
    """Any auth that a spec can have: nothing below 15 seconds, and a renewal that is shorter than the lifetime."""
    lifetime = draw(st.none() | durations)
    renew_before = draw(st.none() | durations)
    if lifetime and renew_before and seconds(renew_before) >= seconds(lifetime):
        renew_before = None
    return lasting(lifetime, renew_before)


def looks(plan: Schedule, due: int) -> list[int]:
    """Return when the next two looks come at the latest, for a certificate that is due from some second on."""
    first = math.ceil(due / plan.period) * plan.period
    return [tick + plan.delay + ACCURACY for tick in (first, first + plan.period)]


@given(auths(), st.integers(0, 20 * 365 * DAY))
def test_two_looks_fall_between_the_time_that_a_certificate_is_due_and_its_end(
    auth: CommandCertificateAuth, due: int
) -> None:
    """The second makes up for a first that failed."""
    plan = schedule(auth)
    assert all(due < look < due + plan.skew for look in looks(plan, due))


@given(auths())
def test_a_look_with_its_delay_is_over_before_the_skew_and_before_the_next_look(
    auth: CommandCertificateAuth,
) -> None:
    plan = schedule(auth)
    assert plan.period + plan.delay + ACCURACY <= plan.skew
    assert 1 <= plan.delay < plan.period


@given(auths())
def test_a_period_divides_the_day_so_that_a_calendar_expression_can_name_it(
    auth: CommandCertificateAuth,
) -> None:
    period = schedule(auth).period
    assert DAY % period == 0
    unit = next(unit for unit in (60, 3600, DAY) if period < unit)
    assert unit % period == 0


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        pytest.param(
            {"lifetime": "14s"},
            ["lifetime: 14s is too short: a timer needs 15s to renew in time"],
            id="short",
        ),
        pytest.param(
            {"renew_before": "5s"},
            ["renew_before: 5s is too short: a timer needs 15s to renew in time"],
            id="late",
        ),
        pytest.param(
            {"lifetime": "1h", "renew_before": "60m"},
            ["renew_before: must be shorter than the lifetime, 1h"],
            id="due from the start",
        ),
    ],
)
def test_durations_that_no_timer_can_keep_are_refused(
    durations: dict[str, str], expected: list[str]
) -> None:
    found = faults(site(COMMAND | durations))
    assert [f"{fault.loc[-1]}: {fault.message}" for fault in found] == expected


@pytest.mark.parametrize(
    "durations",
    [
        pytest.param({"lifetime": "15s"}, id="the shortest"),
        pytest.param({"lifetime": "1h", "renew_before": "59m"}, id="due soon"),
        pytest.param({"lifetime": "5s", "each_connection": True}, id="no timer"),
        pytest.param({}, id="not known"),
    ],
)
def test_durations_that_a_timer_can_keep_are_taken(durations: dict[str, object]) -> None:
    assert faults(site(COMMAND | durations)) == []


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
    assert isinstance(timed_auth(site(auth)), kind)


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param({"method": "publickey"}, id="plain keys"),
        pytest.param({"method": "keyboard", "asks": "password"}, id="passwords"),
        pytest.param(
            {"method": "kerberos", "principal": "{user}@EXAMPLE.ORG"}, id="Kerberos tickets"
        ),
        pytest.param(
            {"method": "agent", "fill": "fill-agent", "lifetime": "1d"},
            id="credentials in an agent",
        ),
        pytest.param(
            {"method": "certificate", "portal": "https://example.org/"},
            id="certificates from a web page",
        ),
        pytest.param(
            COMMAND | {"each_connection": True}, id="certificates got before each connection"
        ),
    ],
)
def test_a_site_without_a_certificate_that_a_timer_can_renew(auth: dict[str, object]) -> None:
    assert timed_auth(site(auth)) is None
