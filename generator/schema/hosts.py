"""The machines of a site that ssh connects to, and their host keys."""

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from generator.schema.auth import Auth
from generator.schema.base import Day, Fact, Model, Several
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import (
    Alias,
    Command,
    FileDigest,
    Fingerprint,
    HostName,
    HostTemplate,
    HttpsUrl,
    JumpCommand,
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
AddressFamily = Literal["inet", "inet6"]
Architecture = Literal["x86_64", "aarch64", "ppc64le"]


class Keepalive(Model):
    """Probes by which ssh detects a dead connection (ServerAliveInterval, ServerAliveCountMax)."""

    interval: Annotated[Seconds, Meta(label="seconds between probes")]
    """Seconds of silence before a probe."""
    count: Annotated[int, Field(ge=1, le=1000), Meta(label="unanswered probes")] = 3
    """Number of unanswered probes after which ssh disconnects."""


class Nodes(Model):
    """The numbered machines behind a load balancer."""

    alias: NodeAlias
    """Alias of a node, with `{n}` for its number: `mila{n}`."""
    host: NodeHost
    """Host name of a node, with `{n}` for its number."""
    n: Annotated[NodeRange, Meta(label="numbers")]
    """Numbers of the nodes, as in a Slurm hostlist: `1-5`, or `01,02,05` with leading zeros."""

    def each(self) -> list[tuple[str, str]]:
        """Return alias and host name of every node."""
        nodes: list[tuple[str, str]] = []
        # As text: `01` is another host name than `1`.
        for number in numbers(self.n):
            alias = self.alias.replace("{n}", number)
            nodes.append((alias, self.host.replace("{n}", number)))
        return nodes


class Host(Fact):
    """A machine to log in to: its name, port and login method."""

    host: Annotated[HostName, Meta(label="host name")]
    """Name or address that ssh connects to; that of the load balancer if there is one."""
    role: Annotated[Role, Meta(weight=Weight.ACCESS, label="purpose")] = "login"
    """Purpose of the machine."""
    port: Annotated[Port, Meta(label="port")] = 22
    """TCP port."""
    user: Annotated[UserName, Meta(weight=Weight.ACCESS)] = "{user}"
    """User name at the host, if it is not just the user's name (`{user}.{project}`)."""
    via: Annotated[Alias | None, Meta(label="jump through")] = None
    """Alias of the host or node to jump through (ProxyJump), which may have a `via` too."""
    proxy: Annotated[JumpCommand | None, Meta(label="command of the jump")] = None
    """Command on `via` that connects to the machine, if the site allows no ProxyJump:
    `ssh-proxy %h` (ProxyCommand)."""
    command: Annotated[Command | None, Meta(label="command at the login")] = None
    """Command that a login runs in place of a shell, if it leads on from here: `shell` at a
    bastion (RemoteCommand). Commands of the user and copies do not work through it."""
    address_family: Annotated[AddressFamily | None, Meta(weight=Weight.ACCESS)] = None
    """`inet` or `inet6`, if the name has addresses of both kinds and only one works."""
    nodes: Annotated[Nodes | None, Meta(label="nodes behind it")] = None
    """Machines behind a load balancer."""
    auth: Annotated[Auth | None, Meta(label="login")] = None
    """Login method, if it differs from the site's."""
    keepalive: Annotated[Keepalive | None, Meta(weight=Weight.TUNING, label="keepalive")] = None
    """Probes that keep the connection open."""
    forward_agent: bool = False
    """Forward the ssh agent to this machine; only if the site's documentation asks for it."""
    architecture: Annotated[Architecture | None, Meta(weight=Weight.ACCESS, label="processor")] = (
        None
    )
    """Processor of the machine, if the site has several kinds."""
    network: Annotated[Text | None, Meta(weight=Weight.PROSE, label="reached")] = None
    """Networks from which the machine can be reached, if not from everywhere."""
    key_options: Annotated[Several[Text], Meta(unit=frozenset)] = ()
    """Options that a submitted public key must have (automation hosts): `restrict`, `from="…"`,
    `command="…"`."""

    def machines(self, entry: str) -> list["Machine"]:
        """Return the machine of this entry of `hosts`, then the nodes behind it."""
        machines = [Machine(entry, entry, self.host, self)]
        if self.nodes:
            for alias, host_name in self.nodes.each():
                machines.append(Machine(entry, alias, host_name, self))
        return machines


class Machine(NamedTuple):
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
    """Compute nodes behind a login host.

    Most sites allow a login only while a job of the user runs there.
    """

    match: Annotated[Several[Pattern], Meta(label="names", unit=frozenset)]
    """Patterns of the names that a user types (`cn-????`)."""
    host: Annotated[HostTemplate | None, Meta(label="host name")] = None
    """Full name, with `%h` for the name that the user typed: `%h.server.mila.quebec`."""
    also: Annotated[Several[Pattern], Meta(label="further names", unit=frozenset)] = ()
    """Further patterns; a `!` in front excludes names."""
    through: Annotated[Alias, Meta(label="jump through")]
    """Alias of the login host or node to jump through (ProxyJump)."""
    common: bool = False
    """True if other sites use the same short names: the ssh configuration then has only the
    full names."""
    port: Annotated[Port, Meta(label="port")] = 22
    """TCP port."""
    auth: Annotated[Auth | None, Meta(label="login")] = None
    """Login method, if it differs from the site's."""
    key_in_home: Annotated[
        bool,
        Meta(
            sentences={
                True: "the nodes look for your public key in ~/.ssh/authorized_keys at the site"
                " (gen copy-key puts it there)"
            }
        ),
    ] = False
    """True if the nodes look for the public key in `~/.ssh/authorized_keys` at the site, also
    where the login nodes know it from elsewhere."""

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of all names of such a node: short, full and further ones."""
        short_names = () if self.common else self.match
        return tuple(dict.fromkeys([*short_names, *self.full_names(), *self.also]))

    def full_names(self) -> tuple[str, ...]:
        """Return the patterns of the full names, made from `match` and `host`."""
        if self.host is None:
            return ()
        names = [name for name in self.match if not name.startswith("!")]
        return tuple(self.host.replace("%h", name) for name in names)


class JobEntry(Fact):
    """An alias that starts a Slurm job, or joins a running one, and logs in to it."""

    through: Annotated[Alias, Meta(label="jump through")]
    """Alias of the login host on which `proxy` runs."""
    proxy: Command
    """Command on the login host that starts the job and connects to it (ProxyCommand)."""
    command: Command
    """Command that a login runs in the job (RemoteCommand). Commands of the user, scp, rsync and
    git run without it."""
    # A job may wait for minutes in its queue before the connection answers.
    timeout: Annotated[Seconds, Meta(weight=Weight.TUNING)] = 600
    """Seconds to wait for the job to start (ConnectTimeout)."""
    keepalive: Annotated[Keepalive | None, Meta(weight=Weight.TUNING, label="keepalive")] = None
    """Probes that keep the connection open."""


class HostAuthority(Model):
    """A key that signs host keys: one pin covers every host that matches the pattern."""

    hosts: Pattern
    """Pattern of the hosts whose keys it signs."""
    key: PublicKey
    """The authority's public key (`TYPE BASE64`)."""


class KnownHostsList(Model):
    """A known_hosts file that the site publishes, as its keys were compared."""

    url: HttpsUrl
    """Address of the file."""
    sha256: FileDigest
    """SHA-256 of the file (`sha256sum`). gen refuses a file with another one."""
    checked: Annotated[Day, Meta(weight=Weight.PROSE)]
    """Date of the comparison (YYYY-MM-DD)."""


class HostKeys(Fact):
    """The host keys of some machines. ssh accepts any of the listed keys and refuses all others."""

    # Unlike other facts: a host key of unknown origin protects against nothing.
    source: Annotated[Several[Label], Field(min_length=1), Meta(weight=Weight.TRUST)]
    """Names of entries in `sources`; host keys need at least one."""
    hosts: Several[Alias]
    """Names of entries in `hosts` (which include their nodes) and `compute`."""
    fingerprints: Mapping[Algorithm, Several[Fingerprint]] = {}
    """Fingerprints by algorithm; several of one algorithm while the site replaces a key."""
    keys: Several[PublicKey] = ()
    """Whole public keys (`TYPE BASE64`)."""
    authorities: Several[HostAuthority] = ()
    """Keys that sign host keys."""
    known_hosts: KnownHostsList | None = None
    """A list that the site publishes. Only `gen source add` and `gen source update` fetch it, and
    add its keys to this entry: of a spec that no source publishes, gen does not pin them."""

    @property
    def has_keys(self) -> bool:
        """Whether there is a key to pin, and not just a list that was not fetched."""
        return bool(self.fingerprints or self.keys or self.authorities)


class RevokedKeys(Fact):
    """Host keys or authorities that are no longer trusted. ssh refuses them at every machine."""

    source: Annotated[Several[Label], Field(min_length=1), Meta(weight=Weight.PROSE)]
    """Names of entries in `sources`; revoked keys need at least one."""
    reason: Text
    """Why they are revoked (the private key was published)."""
    fingerprints: Several[Fingerprint] = ()
    """Fingerprints of host keys."""
    keys: Several[PublicKey] = ()
    """Whole public keys, of hosts or authorities (`TYPE BASE64`)."""
