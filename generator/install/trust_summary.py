"""The trust that an installation asks for: hosts and their keys, commands, addresses, files.

The user sees it before the question. For an installed site, gen shows the changes of it.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from generator.compiler.account import Account
from generator.compiler.host_key_policy import pins
from generator.formatting import wrapped
from generator.schema.auth import (
    Certificate,
    CommandCertificateAuth,
    KerberosAuth,
    SmartCardAuth,
    StepAuth,
)
from generator.ssh import config_lines
from generator.ssh.keys import fingerprint


@dataclass(frozen=True)
class TrustedFact:
    """One thing that the user trusts: its kind, and its value."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind:13} {self.value}"


def trusted_facts(account: Account, conf: bytes) -> list[TrustedFact]:
    """Return the facts that a site's user trusts; `conf` is the site's ssh configuration."""
    facts: dict[TrustedFact, None] = {}
    for fact in (*_names(conf), *_hosts(account), *_host_keys(account), *_authentication(account)):
        facts[fact] = None
    for alias, host in account.site.hosts.items():
        if host.proxy:
            command = f"ssh {host.via} {host.proxy}"
            facts[TrustedFact("command", f"{command}  (for ssh {alias})")] = None
    for alias, job in account.site.jobs.items():
        facts[TrustedFact("command", f"ssh {job.through} {job.proxy}  (for ssh {alias})")] = None
    return list(facts)


def fact_lines(facts: Iterable[TrustedFact]) -> list[str]:
    """Return the lines that show facts; the many names of a site share lines."""
    names: list[str] = []
    lines: list[str] = []
    for fact in facts:
        if fact.kind == "name":
            names.append(fact.value)
        else:
            lines += _wrapped(fact)
    return [*_wrapped(TrustedFact("names", " ".join(names))), *lines]


def _wrapped(fact: TrustedFact, prefix: str = "  ") -> list[str]:
    """Return the lines of a fact within 80 columns; the kind is at the start of the first alone."""
    return wrapped(f"{prefix}{fact}", 80, len(prefix) + len(str(TrustedFact("", ""))))


def fact_changes(base: Iterable[TrustedFact], head: Iterable[TrustedFact]) -> list[str]:
    """Return the lines of each fact that was removed or added, in the order of the facts."""
    before, after = list(base), list(head)
    changes: list[str] = []
    for fact in before:
        if fact not in after:
            changes += _wrapped(fact, "  - ")
    for fact in after:
        if fact not in before:
            changes += _wrapped(fact, "  + ")
    return changes


def _names(conf: bytes) -> Iterator[TrustedFact]:
    """Yield the names and patterns for which the site decides where ssh connects."""
    for line in config_lines.lines(conf):
        if line.keyword == "host":
            for name in line.arguments:
                if not name.startswith("!"):
                    yield TrustedFact("name", name)


def _hosts(account: Account) -> Iterator[TrustedFact]:
    for machine in account.site.machines():
        host = machine.host
        via = f", through {account.fill(host.via)}" if host.via else ""
        if host.proxy:
            via += f" with {host.proxy}"
        forwarding = ", gets your ssh agent" if host.forward_agent else ""
        alias, name = account.fill(machine.alias), account.fill(machine.host_name)
        yield TrustedFact("host", f"{alias} is {name}, port {host.port}{via}{forwarding}")
    for nodes in account.site.compute.values():
        names = " ".join(nodes.patterns())
        through = account.fill(nodes.through)
        yield TrustedFact("host", f"{names}, port {nodes.port}, through {through}")


def _host_keys(account: Account) -> Iterator[TrustedFact]:
    for entry in (*account.site.hosts, *account.site.compute):
        pinned = pins(account, entry)
        if pinned is None:
            yield TrustedFact("host key", f"{entry}: not pinned, ssh asks at the first connection")
            continue
        for value in pinned.fingerprints:
            yield TrustedFact("host key", f"{entry}: {value}")
        for authority in pinned.authorities:
            value = fingerprint(authority.key)
            yield TrustedFact("host key", f"{entry}: certificates of {value} ({authority.hosts})")


def _authentication(account: Account) -> Iterator[TrustedFact]:
    """Yield the commands of a renewal, the addresses that get a secret, and files of secrets."""
    site = account.site
    hosts, compute = site.hosts.values(), site.compute.values()
    auths = (site.auth, *map(site.auth_of, hosts), *map(site.auth_of, compute))
    for auth in dict.fromkeys(auths):
        key = account.key(auth)
        if key:
            yield TrustedFact("reads", f"{key}  (private key)")
        if key := account.agent_key(auth):
            yield TrustedFact("reads", f"{key}  (public key of one in the agent)")
        library = account.profile.pkcs11_provider
        if isinstance(auth, SmartCardAuth) and library:
            yield TrustedFact("runs", f"{library}  (ssh loads this library)")
        if isinstance(auth, Certificate) and auth == site.auth:
            yield TrustedFact("command", f"gen refresh {site.site}  (by timer and ssh)")
        if isinstance(auth, KerberosAuth) and auth.delegate:
            yield TrustedFact("gets", "your Kerberos ticket  (the hosts may use it)")
        if isinstance(auth, CommandCertificateAuth):
            if auth.command:
                filled = (account.fill(argument) or argument for argument in auth.command)
                yield TrustedFact("command", f"{shlex.join(filled)}  (by gen refresh)")
            if auth.secret:
                yield TrustedFact("reads", f"the variable {auth.secret}  (secret for the command)")
        if isinstance(auth, StepAuth):
            yield from _step(account, auth)


def _step(account: Account, auth: StepAuth) -> Iterator[TrustedFact]:
    yield TrustedFact("command", "step ssh certificate …  (by gen refresh)")
    yield TrustedFact("sends to", f"{auth.ca_url}  (token), CA with root {auth.ca_fingerprint}")
    if auth.oidc:
        yield TrustedFact("sends to", f"{auth.oidc.token_url}  (app password)")
    if auth.authentik:
        yield TrustedFact("sends to", f"{auth.authentik.api_base}  (API token)")
        for file in (auth.authentik.credentials_file, auth.authentik.app_password_file):
            if file:
                yield TrustedFact("reads", f"{account.fill(file) or file}  (credentials)")
