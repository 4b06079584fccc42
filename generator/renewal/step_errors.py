"""The errors of step and of the CA behind it, in words that say what to do.

step passes on the messages of Go's network library and of step-ca. The expressions match those of
version 0.30.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class StepProblem:
    """A kind of error of step."""

    pattern: str
    """A regular expression that step's message matches."""
    text: str
    """The text in place of step's message."""
    passes: bool = True
    """Whether the problem may pass without the user."""


# The first match wins.
_PROBLEMS = (
    StepProblem(
        "disabled due to an initialization error",
        # step-ca does so when the provider was down while it started (dagster-slurm's issue 122).
        "the CA has disabled its OIDC provisioner; only the site can fix that",
        passes=False,
    ),
    StepProblem(
        # net.DNSError of Go; behind the name it may say that the name server refused a connection.
        r"dial tcp: lookup |no such host|server misbehaving",
        "the name of the CA is not known; check the network, then try again",
    ),
    StepProblem(
        "connection refused",
        "the CA does not answer (connection refused); try again later, or ask the site",
    ),
    StepProblem(
        "no route to host|network is unreachable",
        "the CA cannot be reached (no route); check the network or the VPN, then try again",
    ),
    StepProblem(
        "i/o timeout|deadline exceeded|did not end within",
        "the CA did not answer in time; check the network or the VPN, then try again",
    ),
    StepProblem(
        "has expired or is not yet valid",
        "the TLS certificate of the CA is not valid at this machine's time; is its clock right?",
        passes=False,
    ),
    StepProblem(
        # The login page of a network may be gone in a minute, so this may pass.
        "signed by unknown authority|certificate is not trusted",
        "another server than the CA answers: its TLS certificate is not from the root in the spec. "
        "On a network with a login page, log in first; otherwise ask the site",
    ),
    StepProblem(
        "root certificate with fingerprint .* was not found",
        "the CA has no root certificate with the fingerprint in the spec; ask the site for it",
        passes=False,
    ),
    StepProblem(
        "Internal Server Error|invalid character '<'",
        "the CA reports an internal error, or the login page of a network answers in its place; "
        "log in to the network, or ask the site",
    ),
)


# The messages after which the CA has certainly issued nothing: there was no connection or no trust
# (crypto/x509, net), the CA refused the token (step-ca, errs), or there is no step.
_REFUSALS = (
    "disabled due to an initialization error|dial tcp: lookup |no such host"
    "|connection refused|no route to host"
    "|network is unreachable|has expired or is not yet valid|signed by unknown authority"
    "|certificate is not trusted|lacked necessary authorization|is not on PATH"
)


def certainly_refused(message: str) -> bool:
    """Return whether a message of step means that the CA issued no certificate."""
    return bool(re.search(_REFUSALS, message))


def explanation(message: str) -> StepProblem | None:
    """Return the problem behind a message of step, or ``None`` for an unknown message."""
    for problem in _PROBLEMS:
        if re.search(problem.pattern, message):
            return problem
    return None
