"""Compare the answers of a site, apart from its queues, with the spec and this machine."""

import re
from collections.abc import Iterator

from generator.formatting import printable
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.queue_differences import named_qos
from generator.probe.remote_script import SiteAnswer
from generator.probe.session import Session
from generator.schema.site import SiteSpec
from generator.ssh.authorized_keys import AUTHORIZED_KEYS

# Seconds that two clocks may differ: less than what certificates and tickets tolerate.
_CLOCK_TOLERANCE = 60
_LONGEST_PATH = 200  # characters
_ULIMIT = re.compile(r"\bulimit\s+(?:-[HS]+\s*)?-[HS]*n\s+(\d+)")
_ASK = "ask on a login host, with Slurm's commands on the PATH of a login shell"


def clock_findings(answer: SiteAnswer, session: Session) -> Iterator[ProbeFinding]:
    """Yield how far the clocks differ, if by more than the session took."""
    if answer.clock is None:
        return
    # The site's `date` ran at some time between the two.
    ahead = max(0.0, answer.clock - session.ended) + min(0.0, answer.clock - session.begun)
    if abs(ahead) <= _CLOCK_TOLERANCE:
        return
    direction = "ahead of" if ahead > 0 else "behind"
    yield ProbeFinding(
        Kind.CLOCK,
        "hosts",
        "the same time everywhere",
        f"about {round(abs(ahead), -1):.0f} s {direction} this machine",
        "set the clock that is wrong (here: timedatectl); certificates and tickets depend on it",
    )


def open_files_findings(site: SiteSpec, answer: SiteAnswer) -> Iterator[ProbeFinding]:
    """Yield that the site allows fewer open files than the commands before Ray ask for."""
    commands = "\n".join(site.ray.pre_start_commands)
    required = 0
    for number in _ULIMIT.findall(commands):
        required = max(required, int(number))
    if answer.open_files is None or answer.open_files >= required:
        return
    yield ProbeFinding(
        Kind.OPEN_FILES,
        "ray.pre_start_commands",
        f"ulimit -n {required}",
        f"at most {answer.open_files}",
        "Ray may fail to start; ask the site for more, or lower it "
        "(Slurm passes the limit on to jobs)",
    )


def key_in_home_findings(site: SiteSpec, answer: SiteAnswer) -> Iterator[ProbeFinding]:
    """Yield why compute nodes do not accept the key in the home directory."""
    lines = (answer.text("key") or "").splitlines()
    groups = [name for name, nodes in site.compute.items() if nodes.key_in_home]
    if not (lines and groups):
        return
    names = ", ".join(site.compute[groups[0]].match)
    key = f"compute.{groups[0]}.key_in_home"
    spec = f"{names} look for your key in {AUTHORIZED_KEYS}"
    alias = site.usual_host.alias
    match lines[0]:
        case "none":
            action = f"without it they refuse you; add it with: gen copy-key {site.site}"
            yield ProbeFinding(Kind.KEY_IN_HOME, key, spec, "your key is not there", action)
        case "options":
            action = f"if they refuse you, edit that line: ssh {alias}"
            answer_of_site = "your key is there, behind options such as from="
            yield ProbeFinding(Kind.KEY_IN_HOME, key, spec, answer_of_site, action)
    loose = [line.removeprefix("loose ") for line in lines[1:]]
    if loose:
        # sshd_config(5), StrictModes
        answer_of_site = (
            f"other users can write to {printable(loose[0], _LONGEST_PATH)}, so sshd may ignore it"
        )
        action = f"ssh {alias}, then: chmod go-w ~ ~/.ssh {AUTHORIZED_KEYS}"
        yield ProbeFinding(Kind.KEY_IN_HOME, key, spec, answer_of_site, action)


def unanswered_findings(site: SiteSpec, answer: SiteAnswer) -> Iterator[ProbeFinding]:
    """Yield the questions about queues that the spec raises and the site did not answer."""
    queues = answer.queues
    if site.slurm.partitions and queues.partitions is None:
        reason = answer.failure("nodes") or "no partition"
        yield ProbeFinding(Kind.ANSWER, "slurm.partitions", "partitions", reason, _ASK)
    if named_qos(site.slurm) and queues.qos is None:
        reason = answer.failure("qos") or "no QoS"
        yield ProbeFinding(Kind.ANSWER, "slurm.qos_limits", "QoS", reason, _ASK)


def compared_subjects(site: SiteSpec, answer: SiteAnswer) -> Iterator[str]:
    """Yield the subjects that the spec has and the site answered."""
    if answer.clock is not None:
        yield "clock"
    if answer.text("key"):
        yield "your key in its home"
    if answer.text("files") is not None and site.ray.pre_start_commands:
        yield "open files"
    if site.slurm.partitions and answer.queues.partitions is not None:
        yield "partitions"
    if named_qos(site.slurm) and answer.queues.qos is not None:
        yield "QoS"
