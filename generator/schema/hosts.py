"""The machines of a site that ssh connects to, and the keys that they prove themselves with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from generator.schema.auth import Auth
from generator.schema.base import Fact, Model, Several
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import (
    Alias,
    Command,
    Fingerprint,
    HostName,
    HostTemplate,
    Label,
    NodeAlias,
    NodeHost,
    NodeRange,
    Pattern,
    Port,
    PublicKey,
    Seconds,
    Text,
    UserName,
    numbers,
)
from generator.ssh.keys import Algorithm

Role = Literal["login", "jump", "transfer", "ide", "automation"]
Architecture = Literal["x86_64", "aarch64", "ppc64le"]


class Keepalive(Model):
    """How ssh notices a dead connection (ServerAliveInterval, ServerAliveCountMax)."""

    interval: Annotated[Seconds, Meta(label="seconds between probes")]
    """Seconds of silence before a probe."""
    count: Annotated[int, Field(ge=1, le=1000), Meta(label="unanswered probes")] = 3
    """Unanswered probes before ssh gives up."""


class Nodes(Model):
    """The numbered machines behind a balancer, each with a name of its own."""

    alias: NodeAlias
    """Alias of a node, with `{n}` for its number (`mila{n}`)."""
    host: NodeHost
    """Host name of a node, with `{n}` for its number."""
    n: Annotated[NodeRange, Meta(label="numbers")]
    """The numbers, as in a Slurm hostlist: `1-5`, or `01,02,05` to keep zeros in front."""

    def each(self) -> list[tuple[str, str]]:
        """Return alias and host name of every node."""
        return [
            (self.alias.replace("{n}", n), self.host.replace("{n}", n)) for n in numbers(self.n)
        ]


class Host(Fact):
    """One way in: a machine, a port and a way to prove who you are."""

    host: Annotated[HostName, Meta(label="host name")]
    """Name or address that ssh connects to; a balancer's name where there is one."""
    role: Annotated[Role, Meta(weight=Weight.ACCESS, label="purpose")] = "login"
    """What the machine is for."""
    port: Port = 22
    """TCP port."""
    user: Annotated[UserName, Meta(weight=Weight.ACCESS)] = "{user}"
    """User name, where it is made of more than the user's own (`{user}.{project}`)."""
    via: Annotated[Alias | None, Meta(label="jump through")] = None
    """Alias of the host to jump through (ProxyJump); that one may have a `via` of its own."""
    nodes: Annotated[Nodes | None, Meta(label="nodes behind it")] = None
    """The machines behind a balancer."""
    auth: Annotated[Auth | None, Meta(label="login")] = None
    """Authentication, where it differs from the site's."""
    keepalive: Annotated[Keepalive | None, Meta(weight=Weight.TUNING)] = None
    """Probes that keep the connection open."""
    forward_agent: bool = False
    """Lend the ssh agent to this machine; only where the site's own documentation asks for it."""
    architecture: Annotated[Architecture | None, Meta(weight=Weight.ACCESS, label="processor")] = (
        None
    )
    """Processor of the machine, where the site has several."""
    network: Annotated[Text | None, Meta(weight=Weight.PROSE, label="reached")] = None
    """From where the machine can be reached, when not from everywhere."""
    key_options: Annotated[Several[Text], Meta(unit=frozenset)] = ()
    """Options that the public key must be submitted with (automation hosts): `restrict`, `from="…"`, `command="…"`."""

    def machines(self, entry: str) -> list["Machine"]:
        """Return the machine of this entry of `hosts`, then the nodes behind it."""
        machines = [Machine(entry, entry, self.host, self)]
        if self.nodes:
            for alias, host_name in self.nodes.each():
                machines.append(Machine(entry, alias, host_name, self))
        return machines


@dataclass(frozen=True)
class Machine:
    """A machine that ssh logs in to: a host, or one of the nodes behind it."""

    entry: str
    """Its key in `hosts`; a node has the key of its host."""
    alias: str
    """The name that a user types."""
    host_name: str
    """The name or address that ssh connects to."""
    host: Host
    """The entry of `hosts`, for everything that the machines of an entry share."""


class Compute(Fact):
    """Compute nodes, reached through a login host, as a rule only while a job of yours runs there."""

    match: Annotated[Several[Pattern], Meta(label="names", unit=frozenset)]
    """Names that a person types (`cn-????`)."""
    host: Annotated[HostTemplate | None, Meta(label="host name")] = None
    """Full name of what was typed: `%h.server.mila.quebec`."""
    also: Annotated[Several[Pattern], Meta(label="further names", unit=frozenset)] = ()
    """Further patterns, those to leave out with a `!` in front."""
    through: Annotated[Alias, Meta(label="jump through")]
    """Alias of the login host to jump through (ProxyJump)."""
    common: bool = False
    """Other sites' nodes are called so too: only full names are compiled, for short ones would catch theirs."""
    port: Port = 22
    """TCP port."""
    auth: Annotated[Auth | None, Meta(label="login")] = None
    """Authentication, where it differs from the site's."""

    def patterns(self) -> tuple[str, ...]:
        """Return everything that may be typed for such a node: short names, full names, further patterns."""
        return tuple(
            dict.fromkeys((() if self.common else self.match) + self.full_names() + self.also)
        )

    def full_names(self) -> tuple[str, ...]:
        """Return what `host` makes of the patterns in `match`."""
        return tuple(
            self.host.replace("%h", name)
            for name in self.match
            if self.host and not name.startswith("!")
        )


class JobEntry(Fact):
    """An alias that starts a Slurm job, or joins it, and logs in to it."""

    through: Annotated[Alias, Meta(label="jump through")]
    """Alias of the login host on which `proxy` runs."""
    proxy: Command
    """Command on the login host that starts the job and connects to it (ProxyCommand)."""
    command: Command
    """Command that enters the job (RemoteCommand)."""
    timeout: Annotated[Seconds, Meta(weight=Weight.TUNING)] = 600
    """Seconds to wait for the job to start (ConnectTimeout)."""
    keepalive: Annotated[Keepalive | None, Meta(weight=Weight.TUNING)] = None
    """Probes that keep the connection open."""


class Authority(Model):
    """A key that signs host keys, so that one pin covers every host that matches."""

    hosts: Pattern
    """Pattern of the hosts whose keys it signs."""
    key: PublicKey
    """The authority's public key (`TYPE BASE64`)."""


class HostKeys(Fact):
    """What a set of machines prove themselves with. Any key that is listed is accepted, all others are refused."""

    source: Annotated[Several[Label], Field(min_length=1), Meta(weight=Weight.PROSE)]
    """Names of entries in `sources`; a host key without a source is not accepted."""
    hosts: Several[Alias]
    """Names of entries in `hosts` (with their nodes) and `compute`."""
    fingerprints: Mapping[Algorithm, Several[Fingerprint]] = {}
    """Fingerprints by algorithm; several of one algorithm while a key is being changed."""
    keys: Several[PublicKey] = ()
    """Whole public keys (`TYPE BASE64`)."""
    authorities: Several[Authority] = ()
    """Keys that sign host keys."""
