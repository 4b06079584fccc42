"""Run step, ssh-keygen and a centre's command, and keep secrets out of their messages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from generator import programs
from generator.clock import Deadline
from generator.errors import GenError
from generator.formatting import last_line
from generator.renewal.secret import Secret

# No more: step reads each of its options from a variable too, such as STEP_CA_URL.
_INHERITED = {
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "STEPPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
}
_LONGEST = 60.0  # seconds
_STEP_ADVICE = "Re-run with STEPDEBUG=1"  # step prints it below the line that has the reason


class FailedProgramError(GenError):
    """A program ended with an error."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output
        """Everything that the program printed, without the secrets."""


def needed(environment: Mapping[str, str], **additional: str) -> dict[str, str]:
    """Return the part of an environment that a program needs when it asks the user nothing."""
    inherited = {}
    for name, value in environment.items():
        if name in _INHERITED or name.startswith("LC_"):
            inherited[name] = value
    # ssh-keygen and step print times in the zone of the environment.
    return {**inherited, "TZ": "UTC", **additional}


def output(
    command: Sequence[str],
    environment: Mapping[str, str],
    deadline: Deadline,
    *,
    install: str,
    secrets: Sequence[Secret] = (),
    directory: Path | None = None,
) -> str:
    """Run a program without a terminal, and return its output.

    `install` says where the program comes from, if it is missing. An error has the program's last
    line, without the secrets.
    """
    name = Path(command[0]).name
    try:
        # A secret may be in the environment, so the program ends when gen is killed, and runs no
        # longer than the run has left.
        outcome = programs.run(
            command,
            seconds=min(_LONGEST, deadline.left()),
            environment=environment,
            directory=directory,
            end_with_gen=True,
        )
    except programs.NotInstalledError:
        raise GenError(f"{name} is not on PATH; {install}") from None
    if outcome.status:
        errors, text = _hidden(outcome.errors, secrets), _hidden(outcome.text, secrets)
        reason = _reason(errors) or _reason(text) or f"status {outcome.status}"
        raise FailedProgramError(f"{name} failed: {reason}", f"{errors}{text}".strip() or reason)
    return outcome.text


def run_in_terminal(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    install: str,
    directory: Path | None = None,
) -> int:
    """Run a program that the user sees and answers, and return its status."""
    try:
        return programs.run_in_terminal(command, environment, directory)
    except programs.NotInstalledError:
        raise GenError(f"{Path(command[0]).name} is not on PATH; {install}") from None


def _hidden(text: str, secrets: Sequence[Secret]) -> str:
    """Return an output without the secrets."""
    for secret in secrets:
        text = text.replace(secret.reveal(), "…")
    return text


def _reason(text: str) -> str:
    """Return the last line of an output that says something."""
    lines = [line for line in text.splitlines() if not line.strip().startswith(_STEP_ADVICE)]
    return last_line("\n".join(lines))
