"""What ssh says of itself: its version, and how far a session got."""

import pytest

from generator.probe.session import Session, config, settings


@pytest.mark.parametrize(
    ("words", "untrusted", "entered", "denied", "last"),
    [
        pytest.param(
            "debug1: Server host key: ssh-ed25519 SHA256:abc\nHost key verification failed.\n",
            *(True, False, None, "Host key verification failed."),
            id="a host key that is not pinned",
        ),
        pytest.param(
            "Unable to negotiate with ::1 port 22: no matching host key type found. Their offer: ssh-rsa\n",
            *(
                True,
                False,
                None,
                "Unable to negotiate with ::1 port 22: no matching host key type found. Their offer: ssh-rsa",
            ),
            id="no key of a pinned kind",
        ),
        pytest.param(
            "debug1: Next\nada@x: Permission denied (publickey,keyboard-interactive).\n",
            *(
                False,
                False,
                "publickey,keyboard-interactive",
                "ada@x: Permission denied (publickey,keyboard-interactive).",
            ),
            id="refused",
        ),
        pytest.param(
            'Authenticated to x ([::1]:22) using "publickey".\ndebug1: Sending command: /bin/sh -s\n',
            *(False, True, None, "no answer in time"),
            id="let in",
        ),
        pytest.param(
            "debug1: mux_client_request_session: master session id: 2\n",
            *(False, True, None, "no answer in time"),
            id="a connection that is open already",
        ),
        pytest.param(
            "kex_exchange_identification: Connection closed by \x1b[31mremote host\n",
            *(
                False,
                False,
                None,
                "kex_exchange_identification: Connection closed by [31mremote host",
            ),
            id="cut off; nothing reaches the terminal that it would obey",
        ),
    ],
)
def test_how_far_a_session_got_is_read_from_what_ssh_says(
    words: str, untrusted: bool, entered: bool, denied: str | None, last: str
) -> None:
    session = Session("", words)
    assert (session.untrusted, session.entered, session.denied, session.last_words) == (
        untrusted,
        entered,
        denied,
        last,
    )


def test_a_visit_writes_nothing_and_comes_before_the_site_s_own_settings() -> None:
    text = config(b"Host a\n", settings(9.7, interactive=False, anew=True)).decode()
    assert text.splitlines()[:3] == ["BatchMode yes", "ConnectTimeout 9", "ControlPath none"]
    assert {
        "StrictHostKeyChecking yes",
        "UpdateHostKeys no",
        "ControlMaster no",
        "ForwardAgent no",
    } <= {*text.splitlines()}
    assert text.endswith("\n\nHost a\n")
    assert "ControlPath" not in config(b"", settings(9, interactive=True, anew=False)).decode()
