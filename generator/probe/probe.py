"""Probe a site: reach its machines, log in once, and compare its answers with the spec."""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.clock import Deadline
from generator.compiler.account import Account
from generator.errors import GenError
from generator.files import KEY_LIMIT, read_regular
from generator.probe import answer_findings, remote_script, session
from generator.probe.credential import credential_findings
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.host_key_differences import host_key_findings, pinned_keys
from generator.probe.login_findings import login_finding, needs_user
from generator.probe.network import Endpoint, Reach, reach
from generator.probe.queue_differences import queue_findings
from generator.probe.remote_script import SiteAnswer
from generator.probe.session import Session
from generator.probe.slurm_output import Queues
from generator.schema.site import SiteSpec
from generator.ssh.authorized_keys import key_words
from generator.ssh.client import installed_version, unsupported_keywords

# Additional time for a user who has to type or to confirm something.
_TYPING_SECONDS = 90.0


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe."""

    host: str
    """The alias that gen logged in to."""
    findings: tuple[ProbeFinding, ...]
    compared: tuple[str, ...]
    """The subjects that gen compared, in words."""
    queues: Queues | None = None
    """The queues of the site; ``None`` without a session."""


def probe(
    account: Account,
    conf: bytes,
    *,
    site_arguments: str,
    has_terminal: bool,
    seconds: float,
    report: Callable[[str], None],
) -> ProbeResult:
    """Probe a site with the ssh configuration that is compiled for a user.

    It takes so many seconds at most, but longer if the login asks the user for something on a
    terminal. `report` gets the messages that ssh has for the user then. `site_arguments` name the
    site on a command line.
    """
    site = account.site
    deadline = Deadline(seconds)
    alias = site.usual_host.alias
    auth = site.auth_of(site.usual_host.host)
    reached = reach(list(_endpoints(account)), deadline)
    findings = [*_machine_findings(account, reached), *_client_findings(conf)]
    findings += credential_findings(account, auth, site_arguments, int(time.time()))
    compared = ["ssh client", *_reached_subjects(reached.values())]
    if not _can_log_in(site, reached, findings):
        return ProbeResult(alias, tuple(findings), tuple(compared))
    # Random, so that no text of a banner or a login script can pass for an answer.
    mark = secrets.token_hex(8)
    script = remote_script.script(mark, deadline.left(), site.slurm.clusters, _key_in_home(account))
    login = _log_in(account, conf, script, deadline, report if has_terminal else None)
    answer = remote_script.parse_answer(login.output, mark)
    if not answer.sections:
        finding = login_finding(
            account, auth, login, findings, site_arguments=site_arguments, has_terminal=has_terminal
        )
        if finding:
            findings.append(finding)
        return ProbeResult(alias, tuple(findings), tuple(compared))
    findings += _answer_findings(site, alias, answer, login)
    compared += ["login", *answer_findings.compared_subjects(site, answer)]
    return ProbeResult(alias, tuple(findings), tuple(compared), answer.queues)


def _endpoints(account: Account) -> Iterator[Endpoint]:
    """Yield the machines that ssh connects to directly."""
    for entry, host in account.site.hosts.items():
        host_name = account.fill(host.host)
        # A machine behind a jump host offers its keys to nothing but the jump host.
        if host_name and not host.via:
            pins = pinned_keys(account.site, entry)
            # A certificate matters if an authority is pinned, or may be among the revoked keys.
            has_authority = pins is not None and bool(pins.authorities)
            needs_certificates = has_authority or bool(account.site.revoked_keys)
            yield Endpoint(entry, host_name, host.port, needs_certificates)


def _first_hop(site: SiteSpec) -> str:
    """Return the entry of the machine that ssh connects to first on the way to the usual host."""
    return site.route(site.usual_host.alias)[-1].entry


def _machine_findings(account: Account, reached: Mapping[str, Reach]) -> Iterator[ProbeFinding]:
    """Yield the problems with names, ports and host keys."""
    first_hop = _first_hop(account.site)
    for entry, result in reached.items():
        host = account.site.hosts[entry]
        host_name = account.fill(host.host) or host.host
        key = f"hosts.{entry}.host"
        if not result.resolved:
            action = "is this machine online, and the name right?"
            yield ProbeFinding(Kind.NAME, key, host_name, result.failure, action)
        elif not result.open and (entry == first_hop or not host.network):
            # A host that answers in certain networks only may be silent here, unless the login
            # goes through it.
            action = "is it down, or does a firewall block you?"
            if host.network:
                action = f"reached {host.network}"
            port = f"{host_name}, port {host.port}"
            yield ProbeFinding(Kind.TCP, key, port, result.failure, action)
        now = int(time.time())
        yield from host_key_findings(account.site, entry, host_name, result.keys, now)


def _client_findings(conf: bytes) -> Iterator[ProbeFinding]:
    version = installed_version()
    if version is None:  # the session will name the reason
        return
    keywords = unsupported_keywords(conf, version)
    if keywords:
        yield ProbeFinding(
            Kind.SSH_CLIENT,
            "hosts",
            ", ".join(keywords),
            f"this machine has OpenSSH {version[0]}.{version[1]}",
            "update OpenSSH on this machine; an older one cannot check pinned fingerprints",
        )


def _reached_subjects(reached: Collection[Reach]) -> Iterator[str]:
    if any(result.resolved for result in reached):
        yield "names"
    if any(result.open for result in reached):
        yield "ports"
    if any(result.keys.keys for result in reached):
        yield "host keys"


def _can_log_in(
    site: SiteSpec, reached: Mapping[str, Reach], findings: Collection[ProbeFinding]
) -> bool:
    first_hop = reached.get(_first_hop(site))
    if first_hop and not first_hop.open:
        return False
    # Without a valid credential, a login would only count as a failed one at the site.
    kinds = {finding.kind for finding in findings}
    return not kinds & {Kind.KEY, Kind.CERTIFICATE}


def _key_in_home(account: Account) -> str | None:
    """Return the public key that compute nodes look for in the home directory, if it is known."""
    key = account.key_in_home()
    if key is None:
        return None
    try:
        return key_words(read_regular(Path(f"{key}.pub").expanduser(), KEY_LIMIT).decode())
    except (OSError, ValueError, GenError):
        return None


def _log_in(
    account: Account,
    conf: bytes,
    script: str,
    deadline: Deadline,
    report: Callable[[str], None] | None,
) -> Session:
    """Log in and run the script; `report` is ``None`` without a terminal."""
    usual = account.site.usual_host
    asks_user = needs_user(account.site.auth_of(usual.host))
    interactive = asks_user and report is not None
    # A connection that is open already saves the user the typing. Otherwise a new one tests the
    # login.
    chosen = session.settings(
        deadline.left(), interactive=interactive, new_connection=not asks_user
    )
    seconds = deadline.left()
    if interactive:
        seconds += _TYPING_SECONDS
    else:
        report = None
    return session.run_with_config(conf, chosen, account.usual_alias, script, seconds, report)


def _answer_findings(
    site: SiteSpec, alias: str, answer: SiteAnswer, login: Session
) -> Iterator[ProbeFinding]:
    yield from answer_findings.clock_findings(answer, login)
    yield from answer_findings.open_files_findings(site, answer)
    yield from answer_findings.key_in_home_findings(site, answer)
    yield from queue_findings(site, alias, answer.queues)
    yield from answer_findings.unanswered_findings(site, answer)
