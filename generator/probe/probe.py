"""A visit to a site: its machines, the login, and what it answers, each against the spec."""

import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.compiler.account import Account
from generator.probe import credential, host_key_differences, session
from generator.probe import queue_differences as queues
from generator.probe.finding import Finding, Kind
from generator.probe.network import Deadline, Door, Reached, reach
from generator.probe.remote_script import Answer, answer, script
from generator.probe.slurm_output import Queues
from generator.schema.auth import Auth, KerberosAuth, KeyboardAuth, PublicKeyAuth
from generator.schema.site import SiteSpec
from generator.ssh.client import installed_version, unsupported_keywords

_CLOCKS = 60
"""Seconds that two clocks may differ: less than what certificates and tickets forgive."""
_TYPING = 90.0
"""Seconds more for a person who has to type or to confirm something."""


@dataclass(frozen=True)
class Visit:
    """What came of a visit."""

    host: str
    """The alias that was logged in to."""
    findings: tuple[Finding, ...]
    asked: tuple[str, ...]
    """What was compared, in words."""
    queues: Queues | None
    """What the site says of its queues, if it was asked."""


def visit(
    account: Account, conf: bytes, *, terminal: bool, seconds: float, tell: Callable[[str], None]
) -> Visit:
    """Visit a site with the configuration that is compiled for a person; it takes so many seconds at most.

    Only where the way in needs somebody who types, and there is a terminal, it may take longer.

    Raises:
        GenError: there is no ssh.
    """
    site, until = account.site, Deadline(seconds)
    usual = site.usual_host
    alias, host = usual.alias, usual.host
    auth = site.auth_of(host)
    reached = reach(list(_doors(account)), until)
    found = [
        *_machines(account, reached),
        *_client(conf),
        *credential.problems(account, auth, int(time.time())),
    ]
    asked = ["ssh client", *_shown(reached)]
    way_in = reached.get(site.route(alias)[-1].entry)
    if (way_in and not way_in.open) or any(
        one.kind in (Kind.KEY, Kind.CERTIFICATE) for one in found
    ):
        return Visit(alias, tuple(found), tuple(asked), None)
    mark = secrets.token_hex(8)
    went = _session(
        account,
        alias,
        auth,
        conf,
        script(mark, until.left(), site.slurm.clusters),
        until,
        tell if terminal else None,
    )
    said = answer(went.printed, mark)
    if not said.sections:
        found += _outside(account, alias, auth, went, found, terminal)
        return Visit(alias, tuple(found), tuple(asked), None)
    found += _clock(said, went)
    found += [
        *_open_files(site, said),
        *queues.differences(site, alias, said.queues),
        *_unanswered(site, said),
    ]
    return Visit(alias, tuple(found), (*asked, "login", *_answered(site, said)), said.queues)


def _shown(reached: Mapping[str, Reached]) -> Iterator[str]:
    yield from ["names"] if any(one.resolved for one in reached.values()) else []
    yield from ["ports"] if any(one.open for one in reached.values()) else []
    yield from ["host keys"] if any(one.offered.keys for one in reached.values()) else []


def _session(
    account: Account,
    alias: str,
    auth: Auth,
    conf: bytes,
    command: str,
    until: Deadline,
    tell: Callable[[str], None] | None,
) -> session.Session:
    """Log in and run the command; somebody who may have to type is heard and waited for, if there is a terminal."""
    person = _needs_person(auth)
    interactive = person and tell is not None
    told = session.settings(until.left(), interactive=interactive, anew=not person)
    patience = until.left() + (_TYPING if interactive else 0)
    heard = tell if tell and interactive else (lambda _: None)
    with tempfile.TemporaryDirectory(
        prefix="gen-"
    ) as folder:  # nobody else can read it (tempfile.mkdtemp)
        path = Path(folder) / "ssh_config"
        path.write_bytes(session.config(conf, told))
        return session.run(
            ("-F", str(path)), account.fill(alias) or alias, command, patience, heard
        )


def _doors(account: Account) -> Iterator[Door]:
    """Yield the machines that ssh connects to directly; those behind a jump host show their keys to nobody else."""
    for entry, host in account.site.hosts.items():
        name = account.fill(host.host)
        if name and not host.via:
            known = host_key_differences.pinned(account.site, entry)
            yield Door(entry, name, host.port, bool(known and known.authorities))


def _machines(account: Account, reached: Mapping[str, Reached]) -> Iterator[Finding]:
    """Yield what is wrong with names, ports and host keys."""
    usual = account.site.route(account.site.usual_host.alias)[-1].entry
    for entry, found in reached.items():
        host = account.site.hosts[entry]
        about, name = f"hosts.{entry}.host", account.fill(host.host) or host.host
        if not found.resolved:
            todo = "is this machine online, and the name right?"
            yield Finding(Kind.NAME, about, name, found.refusal, todo)
        elif not found.open and (entry == usual or not host.network):
            todo = (
                f"reached {host.network}"
                if host.network
                else "is it down, or does a firewall keep you out?"
            )
            yield Finding(Kind.TCP, about, f"{name}, port {host.port}", found.refusal, todo)
        yield from host_key_differences.differences(
            account.site, entry, (name,), found.offered, int(time.time())
        )


def _client(conf: bytes) -> Iterator[Finding]:
    known = installed_version()  # where there is none, the session tells
    if known and (keywords := unsupported_keywords(conf, known)):
        todo = "update OpenSSH on this machine; an older one refuses pinned hosts"
        yield Finding(
            Kind.SSH_CLIENT,
            "hosts",
            ", ".join(keywords),
            "here is OpenSSH {}.{}".format(*known),
            todo,
        )


def _needs_person(auth: Auth) -> bool:
    """Tell whether somebody has to type or to confirm something at a login."""
    return isinstance(auth, KeyboardAuth) or bool(
        isinstance(auth, PublicKeyAuth | KerberosAuth) and auth.then
    )


def _outside(
    account: Account,
    alias: str,
    auth: Auth,
    went: session.Session,
    found: list[Finding],
    terminal: bool,
) -> Iterator[Finding]:
    """Yield why there was no session; nothing where that was told already."""
    about = f"hosts.{alias}"
    if went.untrusted:
        if not any(one.kind in (Kind.HOST_KEY, Kind.HOST_CERTIFICATE) for one in found):
            ours = (
                "its pins"
                if host_key_differences.pinned(account.site, alias)
                else "no pin, and no known_hosts has it"
            )
            todo = f"compare it with what the site publishes: {account.site.docs or 'its own documentation'}"
            yield Finding(
                Kind.HOST_KEY, about, ours, f"offers {went.host_key or 'another key'}", todo
            )
    elif went.entered:
        says = went.printed.strip()[:200] or went.last_words
        yield Finding(
            Kind.ANSWER,
            about,
            "a session that may run commands",
            says,
            "ask the site whether it allows that",
        )
    elif (went.denied is not None or went.half_way) and _needs_person(auth) and not terminal:
        todo = (
            f"run it in a terminal; or log in first (ssh {alias}), and the open connection is used"
        )
        yield Finding(
            Kind.PERSON,
            "auth",
            _method(account, auth),
            "wants somebody who types or confirms",
            todo,
        )
    elif went.denied is not None:
        key = "is the public key handed in, and not for another user? A key with a passphrase must be in the agent"
        typed = "the key was taken, but what came after it was not"
        todo = (
            typed
            if went.half_way
            else key
            if account.key(auth)
            else "see the site's documentation for the way in"
        )
        yield Finding(
            Kind.LOGIN,
            "auth",
            _method(account, auth),
            f"refused; it takes {went.denied or 'nothing'}",
            todo,
        )
    else:
        yield Finding(
            Kind.CONNECTION, about, "an ssh session", went.last_words, f"ssh -v {alias} tells more"
        )


def _method(account: Account, auth: Auth) -> str:
    user = account.profile.user or "your user name on this machine"
    return " ".join(
        filter(
            None, [auth.method, f"as {user}", f"with {key}" if (key := account.key(auth)) else ""]
        )
    )


def _clock(said: Answer, went: session.Session) -> Iterator[Finding]:
    """Yield how far the clocks differ, where it is more than the session took."""
    if said.clock is None:
        return
    ahead = said.clock - went.ended if said.clock > went.ended else min(0, said.clock - went.begun)
    if abs(ahead) > _CLOCKS:
        words = f"about {round(abs(ahead), -1):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine"
        todo = (
            "set the clock that is wrong (here: timedatectl); certificates and tickets depend on it"
        )
        yield Finding(Kind.CLOCK, "hosts", "the same time everywhere", words, todo)


def _open_files(site: SiteSpec, said: Answer) -> Iterator[Finding]:
    commands = "\n".join(site.ray.pre_start_commands)
    wanted = max(
        map(int, re.findall(r"\bulimit\s+(?:-[HS]+\s*)?-[HS]*n\s+(\d+)", commands)), default=0
    )
    if said.open_files is not None and said.open_files < wanted:
        todo = "Ray may fail to start; ask the site for more, or lower it (Slurm hands the limit on to jobs)"
        spec = f"ulimit -n {wanted}"
        yield Finding(
            Kind.OPEN_FILES, "ray.pre_start_commands", spec, f"at most {said.open_files}", todo
        )


def _unanswered(site: SiteSpec, said: Answer) -> Iterator[Finding]:
    """Yield the questions about queues that the spec raises and the site left open."""
    slurm, theirs = site.slurm, said.queues
    todo = "ask on a login host, with Slurm's commands on the PATH of a login shell"
    if slurm.partitions and theirs.partitions is None:
        yield Finding(
            Kind.ANSWER,
            "slurm.partitions",
            "partitions",
            said.failed("nodes") or "no partition",
            todo,
        )
    if queues.known_qos(slurm) and theirs.qos is None:
        yield Finding(
            Kind.ANSWER, "slurm.qos_limits", "QoS", said.failed("qos") or "tells of no QoS", todo
        )


def _answered(site: SiteSpec, said: Answer) -> Iterator[str]:
    theirs = said.queues
    yield from ["clock"] if said.clock is not None else []
    yield from (
        ["open files"] if said.text("files") is not None and site.ray.pre_start_commands else []
    )
    yield from ["partitions"] if site.slurm.partitions and theirs.partitions is not None else []
    yield from ["QoS"] if queues.known_qos(site.slurm) and theirs.qos is not None else []
