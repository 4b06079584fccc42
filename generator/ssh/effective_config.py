"""Ask ssh which settings, and which lines of its configuration, apply to a name.

gen asks `ssh -G` about copies of the files (config_files), so that it can ask about a change
before it is made.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from generator import programs
from generator.errors import GenError
from generator.formatting import printable
from generator.ssh import client
from generator.ssh.applied_lines import AppliedLine, applied_lines
from generator.ssh.client import Settings
from generator.ssh.config_files import ConfigFile, Configuration, walk, write_copies
from generator.ssh.patterns import matches

_SECONDS = 10
_PROCESSES = 2 * (os.cpu_count() or 1)
# The trace has a line for each Host and Match line, of which a configuration may have thousands.
_OUTPUT_LIMIT = 16 * programs.OUTPUT_LIMIT
_UNKNOWN_OPTION = re.compile(r"[Bb]ad configuration option: (\S+)")
# ssh.c, main: ssh ends before it reads any configuration.
_NO_USER = "No user exists for uid"
_LONGEST_MESSAGE = 300
_CONFIG_ERROR = re.compile(r"^(\S+?):? line (\d+): (.*?)\r?$", re.MULTILINE)


def effective_settings(configuration: Configuration, names: Collection[str]) -> dict[str, Settings]:
    """Return ssh's settings for some names; several processes run at once."""
    answers = _answers(configuration, names)
    settings: dict[str, Settings] = {}
    for name, answer in answers.items():
        settings[name] = client.parse_settings(answer.stdout)
    return settings


def effective_lines(
    configuration: Configuration, names: Collection[str]
) -> dict[str, list[AppliedLine]]:
    """Return the lines of the configuration that apply to some names.

    They take a run of their own, because `-vvv` changes the LogLevel among the settings.
    """
    lines: dict[str, list[AppliedLine]] = {}
    for name, answer in _answers(configuration, names, "-vvv").items():
        lines[name] = applied_lines(configuration, answer.copies, answer.stderr)
    return lines


@dataclass(frozen=True)
class _Answer:
    stdout: str
    stderr: str
    copies: Mapping[str, str]


class _RefusedError(Exception):
    """ssh does not accept the configuration."""


def _answers(
    configuration: Configuration, names: Collection[str], *options: str
) -> dict[str, _Answer]:
    with TemporaryDirectory(prefix="gen-ssh-") as scratch, ThreadPoolExecutor(_PROCESSES) as pool:
        config, copies = write_copies(configuration, Path(scratch))
        outcomes = pool.map(lambda name: _run(config, name, *options), names)
        answers: dict[str, _Answer] = {}
        try:
            for name, outcome in zip(names, outcomes, strict=True):
                answers[name] = _Answer(_text(outcome.stdout), _text(outcome.stderr), copies)
        except _RefusedError as error:
            raise GenError(
                "\n".join(_error_lines(str(error), copies, configuration.user))
            ) from None
    return answers


def _run(config: Path, name: str, *options: str) -> programs.Outcome:
    command = ["ssh", *options, "-G", "-F", str(config), "--", name]
    try:
        outcome = programs.run(
            command,
            seconds=_SECONDS,
            environment=client.question_environment(),
            output_limit=_OUTPUT_LIMIT,
        )
    except programs.TimeLimitError:
        raise GenError(
            f"ssh -G {printable(name)}: did not end within {_SECONDS} s; "
            "does a `Match exec` of yours or a name server not answer?"
        ) from None
    if outcome.status:
        raise _RefusedError(_text(outcome.stderr))
    return outcome


def _text(output: bytes) -> str:
    """Decode the names of files and values so that each byte survives."""
    return output.decode(errors="surrogateescape")


def _error_lines(stderr: str, copies: Mapping[str, str], user: ConfigFile) -> Iterator[str]:
    """Yield the errors of ssh, each with the file that a copy stands for."""
    unknown_options: list[str] = []
    # The first one alone: ssh's next lines often follow from it, or from where ssh stopped.
    faults = _CONFIG_ERROR.findall(stderr)
    for copy, number, fault in faults[:1]:
        yield f"{printable(copies.get(copy, copy))}:{number}: {printable(fault.lower())}"
        unknown_options += _UNKNOWN_OPTION.findall(fault)
    if not faults:
        messages = [line for line in stderr.splitlines() if line.strip()]
        yield f"ssh fails: {printable('; '.join(messages), _LONGEST_MESSAGE)}"
        if _NO_USER in stderr:
            # A container may run any uid. The configuration is not at fault.
            yield "ssh needs a passwd entry for it; run gen and ssh as a user who has one"
        return
    if unknown_options:
        yield from _ignore_unknown(user, unknown_options[0])
    yield "ssh does not accept this configuration, so it refuses every host."


def _ignore_unknown(user: ConfigFile, option: str) -> Iterator[str]:
    """Say why the first IgnoreUnknown has no effect on an option."""
    # The first one wins, as for every keyword (ssh_config(5)).
    for file, line in walk(user):
        if line.keyword == "ignoreunknown":
            location = f"{printable(file)}:{line.number}"
            if matches(line.value.replace('"', "").split(","), option):
                yield (
                    f"{location}: this IgnoreUnknown has no effect below a Host or Match line; "
                    "move the Include of this file to the top"
                )
            else:
                yield (
                    f"{location}: ssh uses this IgnoreUnknown only, and no later one; "
                    "add the option to it"
                )
            return
