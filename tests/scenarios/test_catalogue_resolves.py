"""What ssh makes of every name of every site that ships with gen: alone, and with all files side by side.

What is expected is worked out from the specs here, by no code of gen's own but the models. `ssh -G` connects to
nothing.
"""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
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
    StepAuth,
)
from generator.schema.hosts import Compute, Host
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.system

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
VALUES = {
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
    project="proj1",
    client_id="abc123",
    home="/home/ada",
    accept_unverified=True,
)
Settings = Mapping[str, list[str]]
# What is looked at; where a spec says nothing of one, ssh's own default is expected.
KEYWORDS = (
    *(
        "hostname",
        "port",
        "user",
        "proxyjump",
        "preferredauthentications",
        "identityfile",
        "certificatefile",
    ),
    *("identitiesonly", "forwardagent", "gssapiauthentication", "controlmaster", "controlpath"),
    *("stricthostkeychecking", "serveraliveinterval", "proxycommand", "remotecommand"),
)


@cache
def of(site: str) -> SiteSpec:
    return validate.site(CATALOGUE / f"{site}.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the ssh configuration of every site, as ada gets it, and one that includes them all."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "gen.d").mkdir()
    for site in SITES:
        for artifact in compile_site(of(site), ADA):
            if artifact.path.suffix == ".conf":
                (folder / "gen.d" / artifact.path.name).write_bytes(artifact.content)
    (folder / "config").write_text(f"Include {folder}/gen.d/*.conf\n")
    backwards = [f"Include {folder}/gen.d/{site}.conf\n" for site in reversed(SITES)]
    (folder / "config-backwards").write_text("".join(backwards))
    (folder / "none").touch()
    return folder


def ssh_g(config: Path, host: str) -> str:
    """Ask ssh with a shell that runs nothing: no certificate is renewed here."""
    done = subprocess.run(
        ["ssh", "-G", "-F", str(config), host],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={"SHELL": "/bin/true"},
        check=False,
    )
    return done.stdout if done.returncode == 0 else f"{host}: {done.stderr}"


def all_of(pairs: list[tuple[Path, str]]) -> list[str]:
    """Return what ssh says for each configuration and name, four at a time."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(ssh_g, *zip(*pairs, strict=True)))


def settings(output: str) -> Settings:
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword, []).append(value)
    return found


@dataclass(frozen=True)
class Name:
    """A name that a person may type, and what ssh must make of it; ``None`` stands for a keyword that is not there."""

    site: str
    name: str
    expected: Mapping[str, str | None]

    def differing(self, found: Settings, usual: Settings) -> dict[str, list[str] | None]:
        """Return what is not as expected, or not as ssh's own default where nothing is."""
        wrong = {}
        for keyword in KEYWORDS:
            wanted = usual.get(keyword) if keyword not in self.expected else self.expected[keyword]
            value = found.get(keyword)
            if keyword == "controlpath" and wanted == "on":  # ends in a hash of user, host and port
                good = value is not None and len(value) == 1 and "/.ssh/gen-" in value[0]
            else:
                good = value == ([wanted] if isinstance(wanted, str) else wanted)
            if not good:
                wrong[keyword] = value
        return wrong


def names(site: str) -> Iterator[Name]:
    """Yield every alias and host name of a site, and a name for each pattern of compute nodes."""
    spec = of(site)
    seen = set[str]()
    for entry, host in spec.hosts.items():
        for alias, name in [(entry, host.host), *(host.nodes.each() if host.nodes else ())]:
            expected = {"hostname": filled(spec, name), **of_host(spec, entry, host)}
            for typed in (filled(spec, alias), filled(spec, name)):
                # A host name that several entries have is that of the first.
                if typed not in seen:
                    yield Name(site, typed, expected)
                seen.add(typed)
    for group, nodes in spec.compute.items():
        for pattern in nodes.patterns():
            if not pattern.startswith("!"):
                typed = pattern.replace("?", "1").replace("*", "any-1")
                yield Name(site, typed, of_compute(spec, group, nodes, typed))
    for alias, job in spec.jobs.items():
        expected_of_job = {
            "hostname": alias,
            "user": "ada",
            "port": "22",
            "proxycommand": f'ssh {job.through} "{job.proxy}"',
            "remotecommand": job.command,
            "stricthostkeychecking": "false",  # a job has a key of its own
            "serveraliveinterval": str(job.keepalive.interval) if job.keepalive else "0",
            **of_auth(spec, spec.auth),
            **of_sharing(spec),
        }
        yield Name(site, alias, expected_of_job)


def filled(spec: SiteSpec, text: str) -> str:
    for name, value in (VALUES | {"site": spec.site}).items():
        text = text.replace(f"{{{name}}}", value)
    assert "{" not in text
    return text


def of_host(spec: SiteSpec, entry: str, host: Host) -> dict[str, str | None]:
    return {
        "port": str(host.port),
        "user": filled(spec, host.user),
        "proxyjump": filled(spec, host.via) if host.via else None,
        "forwardagent": "yes" if host.forward_agent else "no",
        "serveraliveinterval": str(host.keepalive.interval) if host.keepalive else "0",
        "stricthostkeychecking": strict(spec, entry),
        **of_auth(spec, host.auth or spec.auth),
        **of_sharing(spec),
    }


def of_compute(spec: SiteSpec, group: str, nodes: Compute, typed: str) -> dict[str, str | None]:
    domain = nodes.host.removeprefix("%h") if nodes.host else ""
    short = domain and "." not in typed
    return {
        "hostname": f"{typed}{domain}" if short else typed,
        "port": str(nodes.port),
        "user": "ada",
        "proxyjump": filled(spec, nodes.through),
        "stricthostkeychecking": strict(spec, group),
        **of_auth(spec, nodes.auth or spec.auth),
        **of_sharing(spec),
    }


def strict(spec: SiteSpec, entry: str) -> str:
    return "true" if any(entry in keys.hosts for keys in spec.host_keys.values()) else "ask"


def of_auth(spec: SiteSpec, auth: Auth) -> dict[str, str | None]:
    if isinstance(auth, KeyboardAuth):
        return {"preferredauthentications": ",".join(auth.prefer)}
    if isinstance(auth, KerberosAuth):
        second = f",{auth.then}" if auth.then else ""
        return {
            "preferredauthentications": f"gssapi-with-mic{second}",
            "gssapiauthentication": "yes",
        }
    if isinstance(auth, AgentAuth):
        return {"preferredauthentications": "publickey"}
    key = filled(spec, auth.key)
    with_key: dict[str, str | None] = {"identityfile": key, "identitiesonly": "yes"}
    if isinstance(auth, CommandCertificateAuth | StepAuth):
        own = auth.certificate if isinstance(auth, CommandCertificateAuth) else None
        certificate = filled(spec, own) if own else f"{key}-cert.pub"
        return {"preferredauthentications": "publickey", "certificatefile": certificate, **with_key}
    second = f",{auth.then}" if auth.then else ""
    return {"preferredauthentications": f"publickey{second}", **with_key}


def of_sharing(spec: SiteSpec) -> dict[str, str | None]:
    if spec.multiplexing == "forbidden":
        return {"controlmaster": "false", "controlpath": None}
    return {"controlmaster": "auto", "controlpath": "on"}


NAMES = [name for site in SITES for name in names(site)]


def test_every_name_resolves_to_what_its_spec_says(folder: Path, need: Callable[..., None]) -> None:
    need("ssh")
    pairs = [(folder / "gen.d" / f"{name.site}.conf", name.name) for name in NAMES]
    usual = all_of([(folder / "none", name.name) for name in NAMES])
    wrong = {
        f"{name.site}: {name.name}": difference
        for name, output, without in zip(NAMES, all_of(pairs), usual, strict=True)
        if (difference := name.differing(settings(output), settings(without)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "order", ["config", "config-backwards"], ids=["by name", "the other way round"]
)
def test_no_file_changes_what_another_one_says(
    folder: Path, need: Callable[..., None], order: str
) -> None:
    """Of a name that two sites share both files must say the same, for ssh takes the first that it reads."""
    need("ssh")
    alone = all_of([(folder / "gen.d" / f"{name.site}.conf", name.name) for name in NAMES])
    together = all_of([(folder / order, name.name) for name in NAMES])
    changed = {
        f"{name.site}: {name.name}": sorted(set(one.splitlines()) ^ set(other.splitlines()))
        for name, one, other in zip(NAMES, alone, together, strict=True)
        if one != other
    }
    assert changed == {}


OTHERS = (
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


def test_other_hosts_are_as_without_any_file(folder: Path, need: Callable[..., None]) -> None:
    need("ssh")
    together = all_of([(folder / "config", name) for name in OTHERS])
    without = all_of([(folder / "none", name) for name in OTHERS])
    changed = {
        name: {line.partition(" ")[0] for line in set(one.splitlines()) ^ set(other.splitlines())}
        for name, one, other in zip(OTHERS, together, without, strict=True)
    }
    assert changed == {name: {"ignoreunknown"} for name in OTHERS}


def test_names_of_every_kind_are_tried() -> None:
    """A mistake above must not let the tests pass because they try nothing."""
    assert {name.site for name in NAMES} == set(SITES)
    tried = {name.name for name in NAMES}
    assert tried >= {
        "mila",
        "mila3",
        "login-3.login.server.mila.quebec",
        "mila-cpu",
        "cn-1111",
        "vsc5-otp",
        "musica01",
    }
    assert len(NAMES) > 200
