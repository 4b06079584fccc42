"""The schedule of a timer: in time for any lifetime of a certificate."""

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
# AccuracySec= of the timer: systemd may fire this much later (systemd.timer(5)).
ACCURACY = 1
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


def with_lifetime(lifetime: str | None, renew_before: str | None = None) -> CommandCertificateAuth:
    """Return the authentication of a site whose certificates have a lifetime."""
    return CommandCertificateAuth.model_validate(
        COMMAND | {"lifetime": lifetime, "renew_before": renew_before}
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(with_lifetime("60s"), Schedule(15, 5, 1), id="a minute"),
        # A quarter of the lifetime, which users do not have to set.
        pytest.param(with_lifetime("15m"), Schedule(225, 60, 12), id="15 minutes"),
        pytest.param(with_lifetime("1h"), Schedule(900, 300, 60), id="an hour"),
        pytest.param(with_lifetime("12h"), Schedule(10800, 3600, 720), id="12 hours"),
        pytest.param(with_lifetime("16h"), Schedule(14400, 3600, 720), id="16 hours"),
        pytest.param(with_lifetime("24h"), Schedule(21600, 7200, 1440), id="a day"),
        pytest.param(
            with_lifetime("365d"),
            Schedule(7884000, 21600, 4320),
            id="a year, which is checked every 6 hours too",
        ),
        pytest.param(with_lifetime(None), Schedule(1800, 600, 120), id="an unknown lifetime"),
        pytest.param(
            with_lifetime(None, "1h"), Schedule(3600, 900, 180), id="a skew from the spec"
        ),
        pytest.param(
            with_lifetime("1d", "1h"),
            Schedule(3600, 900, 180),
            id="a skew from the spec and a lifetime",
        ),
    ],
)
def test_schedule(auth: CommandCertificateAuth, expected: Schedule) -> None:
    assert schedule(auth) == expected


counts = st.integers(1, 100) | st.integers(1, 999_999)
# Below 15 seconds no schedule of whole seconds leaves room for two runs; the models refuse that.
durations = st.builds("{}{}".format, counts, st.sampled_from("smhd")).filter(
    lambda text: seconds(text) >= 15
)


@st.composite
def auths(draw: st.DrawFn) -> CommandCertificateAuth:
    """Draw valid durations: at least 15 seconds, and a skew shorter than the lifetime."""
    lifetime = draw(st.none() | durations)
    renew_before = draw(st.none() | durations)
    # The rules refuse such a spec: the certificate would be due from the start.
    if lifetime and renew_before and seconds(renew_before) >= seconds(lifetime):
        renew_before = None
    return with_lifetime(lifetime, renew_before)


def latest_checks(plan: Schedule, due: int) -> list[int]:
    """Return the latest time of the next two checks after a certificate becomes due."""
    first = math.ceil(due / plan.period) * plan.period
    # systemd.timer(5): RandomizedDelaySec= and AccuracySec= add up.
    return [tick + plan.delay + ACCURACY for tick in (first, first + plan.period)]


@given(auths(), st.integers(0, 20 * 365 * DAY))
def test_two_checks_fall_between_the_due_time_and_the_expiry_of_a_certificate(
    auth: CommandCertificateAuth, due: int
) -> None:
    # The second check makes up for a first that failed.
    plan = schedule(auth)
    for check in latest_checks(plan, due):
        assert due < check < due + plan.skew


@given(auths())
def test_a_delayed_check_comes_before_the_expiry_and_before_the_next_check(
    auth: CommandCertificateAuth,
) -> None:
    plan = schedule(auth)
    assert plan.period + plan.delay + ACCURACY <= plan.skew
    assert 1 <= plan.delay < plan.period


@given(auths())
def test_a_period_divides_the_day_so_that_a_calendar_event_can_name_it(
    auth: CommandCertificateAuth,
) -> None:
    period = schedule(auth).period
    assert DAY % period == 0
    # systemd.time(7): a step within a minute, an hour or a day starts again with each.
    unit = next(unit for unit in (60, 3600, DAY) if period < unit)
    assert unit % period == 0


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        pytest.param(
            {"lifetime": "14s"},
            ["lifetime: is too short (14s): a timer needs 15s to renew in time"],
            id="a short lifetime",
        ),
        pytest.param(
            {"renew_before": "5s"},
            ["renew_before: is too short (5s): a timer needs 15s to renew in time"],
            id="a short skew",
        ),
        pytest.param(
            {"lifetime": "1h", "renew_before": "60m"},
            ["renew_before: must be shorter than the lifetime, 1h"],
            id="due from the start",
        ),
    ],
)
def test_durations_that_are_too_short_for_a_timer_are_refused(
    durations: dict[str, str], expected: list[str]
) -> None:
    messages = [f"{fault.loc[-1]}: {fault.message}" for fault in faults(site(COMMAND | durations))]
    assert messages == expected


@pytest.mark.parametrize(
    "durations",
    [
        pytest.param({"lifetime": "15s"}, id="the shortest lifetime"),
        pytest.param({"lifetime": "1h", "renew_before": "59m"}, id="due soon"),
        pytest.param(
            {"lifetime": "5s", "each_connection": True}, id="a certificate that no timer renews"
        ),
        pytest.param({}, id="unknown durations"),
    ],
)
def test_durations_that_suffice_for_a_timer_are_accepted(durations: dict[str, object]) -> None:
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
        pytest.param(COMMAND | {"each_connection": True}, id="a certificate for each connection"),
    ],
)
def test_a_site_without_a_certificate_that_a_timer_can_renew(auth: dict[str, object]) -> None:
    assert timed_auth(site(auth)) is None
