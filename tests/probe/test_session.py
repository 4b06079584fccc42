"""How far a session got is read from ssh's own messages; and a session changes nothing."""

from pathlib import Path

import pytest

from generator.probe.session import Session, config, run, settings


def session(messages: str) -> Session:
    return Session("", messages)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(
            "debug1: Server host key: ssh-ed25519 SHA256:abc\nHost key verification failed.\n",
            id="another key",
        ),
        pytest.param(
            "Unable to negotiate with ::1 port 22: no matching host key type found. "
            "Their offer: ssh-rsa\n",
            id="no key of a pinned algorithm",
        ),
    ],
)
def test_a_host_with_another_key_is_untrusted(messages: str) -> None:
    assert session(messages).is_untrusted
    assert not session(messages).is_authenticated


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param('Authenticated to x ([::1]:22) using "publickey".\n', id="new connection"),
        pytest.param(
            # A shared connection authenticates nothing, so ssh prints no "Authenticated to".
            "debug1: mux_client_request_session: master session id: 2\n",
            id="open connection",
        ),
    ],
)
def test_a_user_whom_the_site_accepts_is_authenticated(messages: str) -> None:
    assert session(messages).is_authenticated
    assert not session(messages).is_untrusted
    assert session(messages).accepted_methods is None


def test_the_methods_of_the_last_refusal_are_read() -> None:
    messages = (
        "debug1: Next\n"
        # The jump host refuses first; only the last line is of the host itself.
        "ada@jump: Permission denied (gssapi).\n"
        "ada@x: Permission denied (publickey,keyboard-interactive).\n"
    )
    assert session(messages).accepted_methods == "publickey,keyboard-interactive"
    assert session("debug1: Next\n").accepted_methods is None


def test_an_accepted_key_with_another_question_is_half_an_authentication() -> None:
    assert session('Authenticated using "publickey" with partial success.\n').is_half_authenticated
    assert not session("debug1: Next\n").is_half_authenticated


def test_the_last_key_that_was_offered_is_the_one_of_the_host_itself() -> None:
    messages = (
        "debug1: Server host key: ssh-rsa SHA256:jump\n"
        "debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:abc\n"
    )
    assert session(messages).host_key == "ssh-ed25519-cert-v01@openssh.com SHA256:abc"


@pytest.mark.parametrize(
    ("messages", "last"),
    [
        pytest.param("Host is down\ndebug1: Exit\n", "Host is down", id="message before debugging"),
        pytest.param(
            "Connection closed by \x1b[31mremote host\n",
            "Connection closed by \\u001b[31mremote host",
            id="colour",
        ),
        pytest.param("debug1: Exit\n\nOpenSSH_9.2\n", "no answer in time", id="debugging alone"),
    ],
)
def test_the_last_message_for_the_user_is_one_harmless_line(messages: str, last: str) -> None:
    assert session(messages).last_message == last


def test_the_settings_of_a_probe_win_over_those_of_the_site_and_change_nothing() -> None:
    text = config(b"Host a\n", settings(9.7, interactive=False, new_connection=True)).decode()
    lines = text.splitlines()
    assert lines[:3] == ["BatchMode yes", "ConnectTimeout 9", "ControlPath none"]
    harmless = {"StrictHostKeyChecking yes", "UpdateHostKeys no", "ControlMaster no"}
    assert harmless <= set(lines)
    assert text.endswith("\n\nHost a\n")


def test_an_open_connection_is_used_where_the_user_would_have_to_type() -> None:
    keywords = [keyword for keyword, _ in settings(9, interactive=True, new_connection=False)]
    assert "ControlPath" not in keywords
    assert ("BatchMode", "no") in settings(9, interactive=True, new_connection=False)


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a script that stands in for ssh."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "ssh"


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_messages_for_the_user_are_reported_at_once_and_harmless(ssh: Path) -> None:
    write_script(ssh, "echo 'debug1: x' >&2; printf 'Confirm on your \\033phone\\n' >&2; cat")
    reported: list[str] = []
    result = run((), "host", "the script", 20, reported.append)
    assert reported == ["Confirm on your \\u001bphone"]
    assert result.output == "the script"


def test_the_output_until_the_time_limit_counts(ssh: Path) -> None:
    write_script(ssh, "echo early; echo why >&2; exec sleep 60")
    # The limit has to leave the script the time to start on a busy machine.
    result = run((), "host", "", 1)
    assert (result.output, result.last_message) == ("early\n", "why")
    assert 1 <= result.ended - result.begun < 30


def test_endless_output_ends_the_session(ssh: Path) -> None:
    # A site whose shell start-up loops must not fill the memory.
    write_script(ssh, "exec yes")
    assert run((), "host", "", 60).output.startswith("y\ny\n")
