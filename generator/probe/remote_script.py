"""The one command that is run at a site: what it asks, and what it answered."""

import re
from dataclasses import dataclass

from generator.probe.slurm_output import Printed, Queues, queues

_LATE = 124  # timeout(1)
# For the site's /bin/sh, on its stdin: whatever the login shell is, it only has to start `/bin/sh -s`. Nothing is
# changed, and a command that hangs does not take the time of those behind it. Where Slurm is not on the PATH of a plain
# session, a login shell of bash is asked for its own.
_SCRIPT = """\
LC_ALL=C; export LC_ALL
say() {{ printf '\\n@gen {mark} %s\\n' "$1"; }}
soon=; command -v timeout >/dev/null 2>&1 && soon='timeout {each}'
ask() {{ say "$1"; shift; $soon "$@" 2>&1 </dev/null; say "= $?"; }}
ask clock date -u +%s
ask files sh -c 'ulimit -Hn'
command -v sinfo >/dev/null 2>&1 || PATH=$PATH:$(bash -lc 'printf %s "$PATH"' </dev/null 2>/dev/null)
{cluster}ask cluster sh -c "scontrol show config | sed -n 's/^ClusterName *= *//p'"
ask nodes sinfo -a -e -h -o '%R|%l|%m|%D|%X|%Y|%G'
ask partitions scontrol -a -o show partition
ask visible scontrol -o show partition
ask qos sacctmgr -n -P show qos format=Name,MaxWall
ask assoc sacctmgr -n -P show assoc where user="$(id -un)" format=Cluster,QOS,DefaultQOS
"""


@dataclass(frozen=True)
class Section:
    """What one command printed, and how it ended; ``None`` where it had not ended in time."""

    text: str
    status: int | None


@dataclass(frozen=True)
class Answer:
    """What the site answered; a question that was not reached has no section."""

    sections: dict[str, Section]

    def text(self, name: str) -> str | None:
        """Return what a command printed, if it ended well."""
        section = self.sections.get(name)
        return section.text if section and section.status == 0 else None

    @property
    def clock(self) -> int | None:
        """Seconds since 1970, by the site's clock."""
        text = self.text("clock")
        return int(text) if text and re.fullmatch(r"\d{1,12}", text) else None

    @property
    def open_files(self) -> int | None:
        """The hard limit of open files; ``None`` without one, or where it is not known."""
        text = self.text("files")
        return int(text) if text and re.fullmatch(r"\d{1,12}", text) else None

    @property
    def queues(self) -> Queues:
        """The queues."""
        names = ("cluster", "nodes", "partitions", "visible", "qos", "assoc")
        return queues(Printed(**{name: self.text(name) for name in names}))

    def failed(self, name: str) -> str | None:
        """Return in the site's own words why a command gave no answer; ``None`` where it gave one."""
        section = self.sections.get(name)
        if section is None or section.status in (None, _LATE):
            return "no answer in time"
        if section.status == 0:
            return None
        return " ".join((section.text or f"ended with status {section.status}").split())[:200]


def script(mark: str, seconds: float, cluster: str | None = None) -> str:
    """Return what to run within some seconds; the mark is a word that nothing else at the site prints."""
    # scontrol, sinfo and sacctmgr take the cluster from it (sinfo(1), ENVIRONMENT VARIABLES).
    each = max(2, int(seconds / 3))
    return _SCRIPT.format(
        mark=mark,
        each=each,
        cluster=f"SLURM_CLUSTERS={cluster}; export SLURM_CLUSTERS\n" if cluster else "",
    )


def answer(printed: str, mark: str) -> Answer:
    """Return the sections of what was printed; what comes before the first is the login shell's, and left out."""
    parts = re.split(rf"(?m)^@gen {mark} (\w+)\n", printed)
    return Answer(
        {name: _section(text, mark) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    )


def _section(text: str, mark: str) -> Section:
    body, found, status = text.partition(f"\n@gen {mark} = ")
    number = re.match(r"\d+", status)
    return Section(body.strip(), int(number[0]) if found and number else None)
