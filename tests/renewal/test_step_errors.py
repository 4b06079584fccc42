"""Messages of step 0.30 and step-ca 0.30.2, as they print them, and the text that gen prints."""

import pytest

from generator.renewal.step_errors import certainly_refused, explanation

ROOT = (
    "error downloading root certificate: client GET https://ca.example.org:9000/root/0000 failed: "
)
LOGS = "Please see the certificate authority logs for more info."


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param(
            f"{ROOT}dial tcp 192.0.2.1:9000: connect: connection refused",
            "the CA does not answer (connection refused); try again later, or ask the site",
            id="refused",
        ),
        pytest.param(
            f"{ROOT}dial tcp: lookup ca.example.org on 192.0.2.53:53: no such host",
            "the name of the CA is not known; check the network, then try again",
            id="unknown name",
        ),
        pytest.param(
            f"{ROOT}dial tcp 192.0.2.1:9000: connect: no route to host",
            "the CA cannot be reached (no route); check the network or the VPN, then try again",
            id="no route",
        ),
        pytest.param(
            f"{ROOT}dial tcp 192.0.2.1:9000: i/o timeout",
            "the CA did not answer in time; check the network or the VPN, then try again",
            id="timeout",
        ),
        pytest.param(
            "step did not end within 60 s",
            "the CA did not answer in time; check the network or the VPN, then try again",
            id="stopped by gen",
        ),
        pytest.param(
            "client GET https://ca.example.org:9000/health failed: tls: failed to verify "
            "certificate: "
            "x509: certificate signed by unknown authority",
            "another server than the CA answers: its TLS certificate is not from the root in "
            "the spec. "
            "On a network with a login page, log in first; otherwise ask the site",
            id="not trusted",
        ),
        pytest.param(
            "client GET https://ca.example.org:9000/health failed: tls: failed to verify "
            "certificate: "
            "x509: certificate has expired or is not yet valid: current time "
            "2030-01-01T00:00:00Z is after",
            "the TLS certificate of the CA is not valid at this machine's time; is its clock "
            "right?",
            id="clock",
        ),
        pytest.param(
            'root certificate with fingerprint "0000" was not found',
            "the CA has no root certificate with the fingerprint in the spec; ask the site for it",
            id="wrong fingerprint on first use",
        ),
        pytest.param(
            f"The certificate authority encountered an Internal Server Error. {LOGS}",
            "the CA reports an internal error, or the login page of a network answers in its "
            "place; "
            "log in to the network, or ask the site",
            id="login page",
        ),
    ],
)
def test_an_error_of_the_ca_names_the_fix(message: str, text: str) -> None:
    problem = explanation(f"step failed: {message}")
    assert problem
    assert problem.text == text


@pytest.mark.parametrize("message", ["step failed: no way", "step failed: status 3"])
def test_an_unknown_message_stays_as_it_is(message: str) -> None:
    assert explanation(message) is None


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        pytest.param("dial tcp 192.0.2.1:9000: connect: connection refused", True, id="refused"),
        pytest.param(f"The request lacked necessary authorization. {LOGS}", True, id="token"),
        pytest.param("step is not on PATH; install it", True, id="no step"),
        pytest.param("read tcp 192.0.2.1:9000: i/o timeout", False, id="a timeout"),
        pytest.param(f"encountered an Internal Server Error. {LOGS}", False, id="an error"),
        pytest.param("step failed: unexpected EOF", False, id="cut off"),
        pytest.param("step printed more than 1024 KiB", False, id="stopped by gen"),
    ],
)
def test_a_ca_has_issued_nothing_only_after_a_clear_refusal(message: str, refused: bool) -> None:
    assert certainly_refused(message) is refused
