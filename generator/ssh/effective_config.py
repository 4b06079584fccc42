"""Asking ssh what its configuration comes to: `ssh -G`, on copies of the files as they would be."""

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from generator.errors import GenError
from generator.ssh import client
from generator.ssh.applied_lines import AppliedLine, applied_lines
from generator.ssh.client import Settings
from generator.ssh.config_files import Source, copy, walk

_SECONDS = 10
AT_ONCE = 2 * (os.cpu_count() or 1)


def asked(both: tuple[Source, Source], names: Collection[str]) -> dict[str, Settings]:
    """Return ssh's settings for some names; several questions run at once."""
    answers = _answers(both, names)
    return {name: client.settings(answer.stdout) for name, answer in answers.items()}


def applied(both: tuple[Source, Source], names: Collection[str]) -> dict[str, list[AppliedLine]]:
    """Return the lines of the configuration that apply to some names.

    This is a question of its own, because `-vvv` changes the LogLevel in the answer.
    """
    answers = _answers(both, names, "-vvv")
    return {
        name: applied_lines(both, answer.copies, answer.stderr) for name, answer in answers.items()
    }


@dataclass(frozen=True)
class _Answer:
    stdout: str
    stderr: str
    copies: Mapping[str, str]


def _answers(
    both: tuple[Source, Source], names: Collection[str], *options: str
) -> dict[str, _Answer]:
    with TemporaryDirectory(prefix="gen-ssh-") as scratch, ThreadPoolExecutor(AT_ONCE) as pool:
        config, copies = copy(both, Path(scratch))
        processes = pool.map(lambda name: _run(config, name, *options), names)
        try:
            return {
                name: _Answer(process.stdout, process.stderr, copies)
                for name, process in zip(names, processes, strict=True)
            }
        except subprocess.CalledProcessError as error:
            raise GenError("\n".join(_refused(error.stderr, copies, both[0]))) from None


def _run(config: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["ssh", *options, "-G", "-F", str(config), "--", name]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_SECONDS,
            errors="surrogateescape",
        )
    except FileNotFoundError:
        raise GenError(
            "ssh: is not there; install the OpenSSH client, then run this again"
        ) from None
    except subprocess.TimeoutExpired:
        raise GenError(
            f"ssh -G {name}: took more than {_SECONDS} s; does a `Match exec` of yours, or a name server, wait?"
        ) from None


def _refused(words: str, copies: Mapping[str, str], user: Source) -> Iterator[str]:
    """Yield ssh's own words with the places of the files themselves."""
    found = re.findall(r"^(\S+?):? line (\d+): (.*?)\r?$", words, re.MULTILINE)
    for copied, number, fault in found:
        yield f"{copies.get(copied, copied)}:{number}: {fault.lower()}"
    first = next(
        ((file, line) for file, line in walk(user) if line.keyword == "ignoreunknown"), None
    )
    if first and "bad configuration option" in words.lower():
        file, number = first[0], first[1].number
        if any(copies.get(copied) == file for copied, *_ in found):
            yield f"{file}:{number}: does not count where the file is included below a Host or Match; include it on top"
        else:
            yield f"{file}:{number}: ssh takes this IgnoreUnknown and no later one; add the option to it"
    yield "ssh does not take this configuration, for any host."
