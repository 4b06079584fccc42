"""A shell in a terminal of 80 by 24, in which a test types the commands of a page."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from console_blocks import Example
from sshd import TEST_USER, mount_over
from terminal import Terminal

PROMPT = "ready> "
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class PageSession:
    """A shell with a scratch home directory, in the directory of the user.

    On the pages the user is ada, with the home directory /home/ada. Here the name is that of the
    user who runs the tests, unless `user` is another one: the servers of the tests refuse others.
    `prefix` are words before the command of the shell, such as `nsenter` with a namespace.
    """

    def __init__(
        self,
        directory: Path,
        home: Path,
        user: str = TEST_USER.pw_name,
        prefix: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.home = home
        self.user = user
        self.directory = directory / "work"
        self.directory.mkdir(exist_ok=True)
        # The environment of the tests stands for that of pipx.
        variables = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(home),
            "USER": user,
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "PS2": "",
            "HISTFILE": "",
            **environment,
        }
        # ssh takes `~` from the passwd database. Python may be below the real home directory, so
        # that stays where it is.
        passwd = directory / "passwd"
        passwd.write_text(f"{user}:x:{TEST_USER.pw_uid}:0::{home}:/bin/sh\n")
        bash = ("bash", "--norc", "--noprofile", "--noediting", "-i")
        shell = [*prefix, *mount_over("/etc/passwd", passwd), *bash]
        self.terminal = Terminal(*shell, environment=variables, directory=self.directory)
        self.letters = 0
        self.terminal.expect(PROMPT)

    def type(self, line: str) -> None:
        """Type a line."""
        self.letters += len(line) + 1
        self.terminal.type(line)

    def run(self, command: str, *answers: tuple[str, str]) -> str:
        """Type a command and its answers, and return the output up to the next prompt."""
        start = len(self.terminal.shown)
        self.type(command)
        for question, reply in answers:
            self.terminal.expect(question)
            # The answer comes after the whole question, so that the terminal shows it there.
            self.terminal.expect(": ")
            self.type(reply)
        self.terminal.expect(PROMPT)
        return self.terminal.shown[start:].replace("\r\n", "\n")

    def replay(self, examples: Sequence[Example]) -> None:
        """Type each command with the answers on the page, and compare its output with the page."""
        for example in examples:
            answers = []
            for question, reply in example.answers():
                answers.append((self._as_here(question), self._as_here(reply)))
            output = self.run(self._as_here(example.command), *answers)
            example.check(self.as_on_the_page(output))

    def as_on_the_page(self, output: str) -> str:
        """Return an output with the names of the page."""
        text = _COLOUR.sub("", output).removesuffix(PROMPT).partition("\n")[2]
        text = text.replace(str(self.home), "/home/ada")
        return re.sub(rf"\b{self.user}\b", "ada", text)

    def _as_here(self, text: str) -> str:
        text = text.replace("/home/ada", str(self.home))
        return re.sub(r"\bada\b", self.user, text)
