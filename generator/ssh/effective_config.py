"""Asking ssh what its configuration comes to: `ssh -G`, on copies of the files as they would be."""

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from generator.errors import GenError
from generator.ssh import client
from generator.ssh.client import Settings
from generator.ssh.config_files import Source, copy, walk

_SECONDS = 10
AT_ONCE = 2 * (os.cpu_count() or 1)


def asked(
    both: tuple[Source, Source],
    names: Collection[str],
    blank: Collection[tuple[str, int]] = (),
    last: bytes = b"",
) -> dict[str, Settings]:
    """Return what ssh makes of some names, asked several at once; for `blank` and `last` see `copy`.

    Raises:
        GenError: ssh does not take the configuration, takes too long, or is not there.
    """
    with TemporaryDirectory(prefix="gen-ssh-") as scratch, ThreadPoolExecutor(AT_ONCE) as pool:
        config, copies = copy(both, Path(scratch), blank, last)
        answers = pool.map(lambda name: _run(config, name), names)
        try:
            return dict(zip(names, answers, strict=True))
        except subprocess.CalledProcessError as error:
            raise GenError("\n".join(_refused(error.stderr, copies, both[0]))) from None


def _run(config: Path, name: str) -> Settings:
    command = ["ssh", "-G", "-F", str(config), "--", name]
    try:
        answer = subprocess.run(
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
    return client.settings(answer.stdout)


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
