"""Why there was no session, from ssh's messages."""

import pytest

from generator.compiler.account import Account
from generator.loading import validate
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.login_findings import login_finding
from generator.probe.session import Session
from generator.resources import CATALOGUE
from generator.schema.auth import AgentAuth
from generator.schema.profile import SiteProfile

HOST_KEY = ProbeFinding(Kind.HOST_KEY, "host_keys.login", "", "", "")
REFUSED = "ada@x: Permission denied (publickey,keyboard-interactive).\n"


def finding(
    messages: str, *, site: str = "cscs-daint", has_terminal: bool = False, output: str = ""
) -> ProbeFinding | None:
    """Return the finding for a session with these messages."""
    account = Account(validate.site(CATALOGUE / f"{site}.yaml"), SiteProfile(user="ada"))
    session = Session(output, messages)
    auth = account.site.auth_of(account.site.usual_host.host)
    return login_finding(
        account, auth, session, (), site_arguments="ours", has_terminal=has_terminal
    )


@pytest.mark.parametrize(
    ("messages", "kind", "text"),
    [
        pytest.param(
            "Host key verification failed.\n", Kind.HOST_KEY, "offers another key", id="host key"
        ),
        pytest.param(
            REFUSED,
            Kind.LOGIN,
            "refused; it accepts publickey,keyboard-interactive",
            id="refused",
        ),
        pytest.param(
            "Connection reset by peer\n", Kind.CONNECTION, "Connection reset by peer", id="cut off"
        ),
        pytest.param(
            'Authenticated to x ([::1]:22) using "publickey".\n',
            Kind.ANSWER,
            "no answer in time",
            id="no command may run",
        ),
    ],
)
def test_the_reason_is_read_from_the_messages(messages: str, kind: Kind, text: str) -> None:
    reason = finding(messages)
    assert reason
    assert (reason.kind, reason.site) == (kind, text)


TOO_MANY = "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures"


@pytest.mark.parametrize(
    ("is_certificate", "action"),
    [
        pytest.param(
            True,
            "ssh offers too many keys; see those of your agent: ssh-add -l",
            id="a certificate",
        ),
        pytest.param(
            False,
            "ssh offers every key of your agent; name the right one: "
            "gen install specs/sofia.yaml --identity-file ~/.ssh/KEY.pub",
            id="any key",
        ),
    ],
)
def test_too_many_keys_are_the_reason_with_the_command_that_names_one(
    is_certificate: bool, action: str
) -> None:
    account = Account(validate.site(CATALOGUE / "vsc-sofia.yaml"), SiteProfile(user="ada"))
    auth = AgentAuth(method="agent", certificate=is_certificate)
    reason = login_finding(
        account,
        auth,
        Session("", f"{TOO_MANY}\n"),
        (),
        site_arguments="specs/sofia.yaml",
        has_terminal=False,
    )
    assert reason == ProbeFinding(
        Kind.LOGIN, "auth", "agent as ada", "too many authentication failures", action
    )


def test_the_site_s_own_words_are_the_reason_where_it_prints_some() -> None:
    reason = finding("Authenticated to x\n", output="This account is closed.\n")
    assert reason and reason.site == "This account is closed."


@pytest.mark.parametrize(
    ("has_terminal", "kind"),
    [
        pytest.param(False, Kind.PERSON, id="no terminal"),
        pytest.param(True, Kind.LOGIN, id="terminal"),
    ],
)
def test_a_login_that_asks_the_user_needs_a_terminal(has_terminal: bool, kind: Kind) -> None:
    reason = finding(REFUSED, site="mila", has_terminal=has_terminal)
    assert reason and reason.kind is kind


def test_a_host_key_that_an_earlier_finding_names_is_not_named_again() -> None:
    account = Account(validate.site(CATALOGUE / "mila.yaml"), SiteProfile(user="ada"))
    session = Session("", "Host key verification failed.\n")
    auth = account.site.auth
    assert (
        login_finding(account, auth, session, [HOST_KEY], site_arguments="ours", has_terminal=False)
        is None
    )
