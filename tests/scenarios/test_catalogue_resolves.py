"""ssh resolves every name of every shipped site as its spec says, also beside all other sites.

The tests compute the expected settings from the specs, and use no code of gen except the models.
`ssh -G` opens no connection.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.auth import (
    AgentAuth,
    Auth,
    CommandCertificateAuth,
    KerberosAuth,
    KeyboardAuth,
    SmartCardAuth,
    StepAuth,
    UnstatedAuth,
)
from generator.schema.hosts import Compute, Host, Keepalive
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

KEY_FIRST = "publickey,keyboard-interactive"
SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
PLACEHOLDERS = {
    "user": "ada",
    "initial": "a",
    "email": "ada@example.org",
    "account": "p12345",
    "project": "proj1",
    "client_id": "abc123",
}
ADA = SiteProfile(
    user="ada",
    email="ada@example.org",
    account="p12345",
    allocation="proj1",
    client_id="abc123",
    home="/home/ada",
    accept_unverified=True,
)
# Keywords that the tests compare. If a spec says nothing about one, the default of ssh is expected.
KEYWORDS = (
    "hostname",
    "port",
    "user",
    "proxyjump",
    "preferredauthentications",
    "identityfile",
    "certificatefile",
    "identitiesonly",
    "forwardagent",
    "gssapiauthentication",
    "controlmaster",
    "controlpath",
    "stricthostkeychecking",
    "serveraliveinterval",
    "proxycommand",
    "remotecommand",
)
Settings = Mapping[str, list[str]]
Expected = Mapping[str, str | None]
"""A value for each keyword that a spec decides; `None` if ssh must not have the keyword."""


@cache
def spec_of(site: str) -> SiteSpec:
    return validate.site(CATALOGUE / f"{site}.yaml")


@dataclass(frozen=True)
class Name:
    """A name that a user may type, and the settings that ssh must have for it."""

    site: str
    name: str
    expected: Expected

    def differences(self, settings: Settings, defaults: Settings) -> dict[str, list[str] | None]:
        """Return the settings that are not as expected, or not the default if none is expected."""
        differences = {}
        for keyword in KEYWORDS:
            value = settings.get(keyword)
            if keyword not in self.expected:
                matches = value == defaults.get(keyword)
            elif keyword == "controlpath" and self.expected[keyword]:
                # It ends in a hash of user, host and port.
                matches = value is not None and len(value) == 1 and "/.ssh/gen-" in value[0]
            else:
                text = self.expected[keyword]
                matches = value == (None if text is None else [text])
            if not matches:
                differences[keyword] = value
        return differences


def names_of_site(site: str) -> Iterator[Name]:
    """Yield every alias and host name of a site, and a name for each pattern of compute nodes."""
    spec = spec_of(site)
    # Aliases, host names and node names: a user types these to log in.
    yield from login_names(spec)
    for group, nodes in spec.compute.items():
        for pattern in nodes.patterns():
            # A negated pattern excludes names, so no name belongs to it.
            if not pattern.startswith("!"):
                name = pattern.replace("?", "1").replace("*", "any-1")
                yield Name(site, name, compute_settings(spec, group, nodes, name))
    for alias, job in spec.jobs.items():
        expected = {
            "hostname": alias,
            "user": "ada",
            "port": "22",
            "proxycommand": f'ssh {job.through} "{job.proxy}"',
            "remotecommand": job.command,
            # Each job has a new host key.
            "stricthostkeychecking": "false",
            "serveraliveinterval": interval(spec, job.keepalive),
            **auth_settings(spec, spec.auth),
            **sharing_settings(spec),
        }
        yield Name(site, alias, expected)


def login_names(spec: SiteSpec) -> Iterator[Name]:
    """Yield each alias and host name of the hosts; a repeated host name is that of the first."""
    seen = set[str]()
    for entry, host in spec.hosts.items():
        settings = host_settings(spec, entry, host)
        machines = [(entry, host.host)]
        if host.nodes:
            machines += host.nodes.each()
        for alias, host_name in machines:
            expected = {"hostname": fill(spec, host_name), **settings}
            names = [fill(spec, alias)]
            # Behind a jump host, `login` is a name that only the jump host knows.
            if "." in host_name or not host.via:
                names.append(fill(spec, host_name))
            for name in names:
                if name not in seen:
                    yield Name(spec.site, name, expected)
                seen.add(name)


def fill(spec: SiteSpec, text: str) -> str:
    """Replace the placeholders of a text by the values of ada."""
    for name, value in (PLACEHOLDERS | {"site": spec.site}).items():
        text = text.replace(f"{{{name}}}", value)
    # A placeholder that the table above lacks would be compared as if it were text.
    assert "{" not in text
    return text


def host_settings(spec: SiteSpec, entry: str, host: Host) -> dict[str, str | None]:
    # Some jump hosts forbid forwarding and run a command that connects instead.
    proxy = f'ssh {host.via} "{host.proxy}"' if host.proxy else None
    return {
        "port": str(host.port),
        "user": fill(spec, host.user),
        "proxyjump": fill(spec, host.via) if host.via and not host.proxy else None,
        "proxycommand": proxy,
        # A bastion whose command leads on to the login node.
        "remotecommand": host.command,
        "addressfamily": host.address_family or "any",
        "forwardagent": "yes" if host.forward_agent else "no",
        "serveraliveinterval": interval(spec, host.keepalive),
        "stricthostkeychecking": strict_checking(spec, entry),
        **auth_settings(spec, host.auth or spec.auth),
        **sharing_settings(spec),
    }


def compute_settings(
    spec: SiteSpec, group: str, nodes: Compute, name: str
) -> dict[str, str | None]:
    host_name = name
    # A name with a dot is complete; the config adds the domain to short names only.
    if nodes.host and "." not in name:
        host_name += nodes.host.removeprefix("%h")
    return {
        "hostname": host_name,
        "port": str(nodes.port),
        "user": "ada",
        "proxyjump": fill(spec, nodes.through),
        "serveraliveinterval": interval(spec, None),
        "stricthostkeychecking": strict_checking(spec, group),
        **auth_settings(spec, nodes.auth or spec.auth),
        **sharing_settings(spec),
    }


def strict_checking(spec: SiteSpec, entry: str) -> str:
    # With a pin ssh must refuse any other key. Without one it has to ask the user.
    for keys in spec.host_keys.values():
        if entry in keys.hosts:
            return "true"
    return "ask"


def auth_settings(spec: SiteSpec, auth: Auth) -> dict[str, str | None]:
    if isinstance(auth, KeyboardAuth):
        return {"preferredauthentications": with_questions(*auth.prefer)}
    if isinstance(auth, KerberosAuth):
        methods = with_questions("gssapi-with-mic", auth.then)
        return {"preferredauthentications": methods, "gssapiauthentication": "yes"}
    if isinstance(auth, UnstatedAuth):
        return {"identitiesonly": "no"}
    # The site names no key file, so ssh offers the keys of the agent.
    if isinstance(auth, AgentAuth):
        return {"preferredauthentications": KEY_FIRST}
    # Without a library in the profile, there is nothing for ssh to load.
    if isinstance(auth, SmartCardAuth):
        return {"preferredauthentications": KEY_FIRST}
    key = fill(spec, auth.key)
    settings: dict[str, str | None] = {"identityfile": key, "identitiesonly": "yes"}
    if isinstance(auth, CommandCertificateAuth | StepAuth):
        settings["preferredauthentications"] = KEY_FIRST
        # ssh looks for a certificate there (ssh_config(5), CertificateFile).
        settings["certificatefile"] = f"{key}-cert.pub"
        if isinstance(auth, CommandCertificateAuth) and auth.certificate:
            settings["certificatefile"] = fill(spec, auth.certificate)
        return settings
    settings["preferredauthentications"] = with_questions("publickey", auth.then)
    return settings


def with_questions(*methods: str | None) -> str:
    """Return the methods of a spec in order, and a second factor that the site may add."""
    named = [method for method in methods if method]
    return ",".join(dict.fromkeys([*named, "keyboard-interactive"]))


def interval(spec: SiteSpec, keepalive: Keepalive | None) -> str:
    if keepalive:
        return str(keepalive.interval)
    # A dead connection must not be shared for long.
    return "0" if spec.multiplexing == "forbidden" else "15"


def sharing_settings(spec: SiteSpec) -> dict[str, str | None]:
    # The prohibition of a site overrides the preference of the user.
    if spec.multiplexing == "forbidden":
        return {"controlmaster": "false", "controlpath": None}
    return {"controlmaster": "auto", "controlpath": "~/.ssh/gen-"}


NAMES = list(chain.from_iterable(map(names_of_site, SITES)))
TYPED = [name.name for name in NAMES]
"""The names alone, as a user types them."""
# Names that look like those of a site, and are not.
FOREIGN_NAMES = (
    "github.com",
    "localhost",
    "cn01",
    "node001",
    "c1",
    "g12",
    "nid001234",
    "login",
    "www.cscs.ch",
    "asc.ac.at",
)


@dataclass(frozen=True)
class Configs:
    """A directory with the ssh config of every site, and configs that include them all."""

    directory: Path

    def of_site(self, site: str) -> Path:
        return self.directory / "gen.d" / f"{site}.conf"

    @property
    def empty(self) -> Path:
        return self.directory / "empty"

    def including_all(self, order: str) -> Path:
        return self.directory / order


@pytest.fixture(scope="module")
def written_configs(tmp_path_factory: pytest.TempPathFactory) -> Configs:
    directory = tmp_path_factory.mktemp("catalogue")
    (directory / "gen.d").mkdir()
    for site in SITES:
        for artifact in compile_site(spec_of(site), ADA):
            if artifact.path.suffix == ".conf":
                (directory / "gen.d" / artifact.path.name).write_bytes(artifact.content)
    (directory / "alphabetical").write_text(f"Include {directory}/gen.d/*.conf\n")
    # The first value that ssh reads counts, so a conflict shows in one of two orders.
    backwards = [f"Include {directory}/gen.d/{site}.conf\n" for site in reversed(SITES)]
    (directory / "backwards").write_text("".join(backwards))
    # With this one ssh prints its defaults.
    (directory / "empty").touch()
    return Configs(directory)


@pytest.fixture
def configs(need: Callable[..., None], written_configs: Configs) -> Configs:
    need("ssh")
    return written_configs


@cache
def resolve(config: Path, name: str) -> str:
    """Return the output of `ssh -G`; its shell runs nothing, so that ssh renews no certificate."""
    result = subprocess.run(
        ["ssh", "-G", "-F", str(config), name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        # ssh runs the command of a Match line with $SHELL (ssh_config(5), Match exec).
        env={"SHELL": "/bin/true"},
        check=False,
    )
    assert result.returncode == 0, f"{name}: {result.stderr}"
    return result.stdout


def resolve_all(configs: Sequence[Path], names: Sequence[str]) -> list[str]:
    """Return the output of `ssh -G` for each config and name, four at a time."""
    # ssh reads files and waits for no network, so a few processes at a time are enough.
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(resolve, configs, names))


def resolve_alone(configs: Configs) -> list[str]:
    """Return the output of `ssh -G` for every name, with the config of its site alone."""
    return resolve_all([configs.of_site(name.site) for name in NAMES], TYPED)


def settings_of(output: str) -> Settings:
    settings: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        settings.setdefault(keyword, []).append(value)
    return settings


def test_every_name_resolves_as_its_spec_says(configs: Configs) -> None:
    outputs = resolve_alone(configs)
    default_outputs = resolve_all([configs.empty] * len(TYPED), TYPED)
    wrong = {}
    for name, output, default_output in zip(NAMES, outputs, default_outputs, strict=True):
        differences = name.differences(settings_of(output), settings_of(default_output))
        if differences:
            wrong[f"{name.site}: {name.name}"] = differences
    assert wrong == {}


@pytest.mark.parametrize(
    "order", ["alphabetical", pytest.param("backwards", marks=pytest.mark.long)]
)
def test_no_config_changes_the_settings_of_another_site(configs: Configs, order: str) -> None:
    # Configs of two sites that share a name must agree, for ssh takes the first that it reads.
    alone = resolve_alone(configs)
    together = resolve_all([configs.including_all(order)] * len(TYPED), TYPED)
    changed = {}
    for name, before, after in zip(NAMES, alone, together, strict=True):
        if before != after:
            lines = set(before.splitlines()) ^ set(after.splitlines())
            changed[f"{name.site}: {name.name}"] = sorted(lines)
    assert changed == {}


def test_other_hosts_resolve_as_without_any_config(configs: Configs) -> None:
    config = configs.including_all("alphabetical")
    for name in FOREIGN_NAMES:
        lines = set(resolve(config, name).splitlines())
        lines ^= set(resolve(configs.empty, name).splitlines())
        assert {line.partition(" ")[0] for line in lines} == {"ignoreunknown"}, name


def test_the_table_has_names_of_every_kind() -> None:
    # A mistake above must not empty the table, for then the tests would pass.
    assert {name.site for name in NAMES} == set(SITES)
    assert set(TYPED) >= {
        "mila",
        "mila3",
        "login-3.login.server.mila.quebec",
        "mila-cpu",
        "cn-1111",
        "vsc5-otp",
        "musica01",
    }
    # The 39 sites had 278 names when this was written.
    assert len(NAMES) > 200
