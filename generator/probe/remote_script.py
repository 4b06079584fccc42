"""The one script that runs at a site: its questions, and the answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from generator.formatting import printable
from generator.probe.slurm_output import Queues, SlurmOutput, parse_queues
from generator.ssh import authorized_keys

_TIMED_OUT = 124  # exit status of timeout(1)
_LONGEST_REASON = 200
# The script goes to the stdin of the site's /bin/sh: whatever the login shell is, it only has to
# start `/bin/sh -s`. It changes nothing. A command that hangs is stopped, so that the next one has
# its time. If Slurm is not on the PATH of a session without a terminal, the script takes the PATH
# of a login shell. scontrol, sinfo and sacctmgr read the cluster from SLURM_CLUSTERS (sinfo(1),
# ENVIRONMENT VARIABLES).
_SCRIPT = """\
LC_ALL=C; export LC_ALL
say() {{ printf '\\n@gen {mark} %s\\n' "$1"; }}
soon=; command -v timeout >/dev/null 2>&1 && soon='timeout {each}'
ask() {{ say "$1"; shift; $soon "$@" 2>&1 </dev/null; say "= $?"; }}
ask clock date -u +%s
ask files sh -c 'ulimit -Hn'
command -v sinfo >/dev/null 2>&1 ||
  PATH=$PATH:$(bash -lc 'printf %s "$PATH"' </dev/null 2>/dev/null)
{cluster}ask cluster sh -c "scontrol show config | sed -n 's/^ClusterName *= *//p'"
ask nodes sinfo -a -e -h -o '%R|%l|%m|%D|%X|%Y|%G'
ask partitions scontrol -a -o show partition
ask visible scontrol -o show partition
ask qos sacctmgr -n -P show qos format=Name,MaxWall
ask assoc sacctmgr -n -P show assoc where user="$(id -un)" format=Cluster,QOS,DefaultQOS
"""


@dataclass(frozen=True)
class Section:
    """The output of one command and its exit status; ``None`` if it had not ended in time."""

    text: str
    status: int | None


@dataclass(frozen=True)
class SiteAnswer:
    """The answers of the site, by question; a question that the script did not reach has none."""

    sections: Mapping[str, Section]

    def text(self, name: str) -> str | None:
        """Return the output of a command, if it succeeded."""
        section = self.sections.get(name)
        return section.text if section and section.status == 0 else None

    @property
    def clock(self) -> int | None:
        """Seconds since 1970 by the site's clock."""
        return _number(self.text("clock"))

    @property
    def open_files(self) -> int | None:
        """The hard limit of open files; ``None`` without a limit, or if it is unknown."""
        return _number(self.text("files"))

    @property
    def queues(self) -> Queues:
        """The queues that Slurm describes."""
        output = SlurmOutput(
            cluster=self.text("cluster"),
            nodes=self.text("nodes"),
            partitions=self.text("partitions"),
            visible=self.text("visible"),
            qos=self.text("qos"),
            assoc=self.text("assoc"),
        )
        return parse_queues(output)

    def failure(self, name: str) -> str | None:
        """Return in the site's own words why a command gave no answer; ``None`` if it gave one."""
        section = self.sections.get(name)
        if section is None or section.status in (None, _TIMED_OUT):
            return "no answer in time"
        if section.status == 0:
            return None
        if not section.text:
            return f"ended with status {section.status}"
        return printable(" ".join(section.text.split()), _LONGEST_REASON)


def script(
    mark: str, seconds: float, cluster: str | None = None, public_key: str | None = None
) -> str:
    """Return the script, for a session of so many seconds.

    The mark is a word that nothing else at the site prints. `public_key` is the line of the key
    that compute nodes look for in the home directory.
    """
    select_cluster = f"SLURM_CLUSTERS={cluster}; export SLURM_CLUSTERS\n" if cluster else ""
    questions = _SCRIPT.format(mark=mark, each=max(2, int(seconds / 3)), cluster=select_cluster)
    if public_key:
        questions += f"say key\n{authorized_keys.check(public_key)}say '= 0'\n"
    return questions


def parse_answer(output: str, mark: str) -> SiteAnswer:
    """Return the sections of the output, without the text of the login shell in front."""
    _, *parts = re.split(rf"(?m)^@gen {mark} (\w+)\n", output)
    sections: dict[str, Section] = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        sections[name] = _section(text, mark)
    return SiteAnswer(sections)


def _section(text: str, mark: str) -> Section:
    body, _, end = text.partition(f"\n@gen {mark} = ")
    status = re.match(r"\d+", end)
    return Section(body.strip(), int(status[0]) if status else None)


def _number(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"\d{1,12}", text):
        return None
    return int(text)
