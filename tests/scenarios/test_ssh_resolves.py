"""What ssh itself makes of the generated files: `ssh -G` resolves a name, and connects to nothing."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from generator.compiler.account import Account
from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

pytestmark = pytest.mark.system

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
Settings = Mapping[str, list[str]]


@pytest.fixture
def folder(tmp_path: Path, ada: SiteProfile, need: Callable[..., None]) -> Path:
    """Return a folder with the ssh files of every site that ships with gen, as ada gets them."""
    need("ssh", "ssh-keygen")
    for site in SITES:
        for artifact in compile_site(validate.site(CATALOGUE / f"{site}.yaml"), ada):
            if artifact.path.parts[0] == "ssh":
                (tmp_path / artifact.path.name).write_bytes(artifact.content)
                (tmp_path / artifact.path.name).chmod(artifact.mode)
    return tmp_path


def ssh_g(config: Path, host: str) -> subprocess.CompletedProcess[str]:
    """Ask ssh with a shell that runs nothing: no certificate is renewed here."""
    command = ["ssh", "-G", "-F", str(config), host]
    environment = {"SHELL": "/bin/true"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def resolved(config: Path, host: str) -> Settings:
    """Return all that ssh knows about a host, by keyword in small letters."""
    result = ssh_g(config, host)
    assert result.returncode == 0, result.stderr
    settings: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        settings.setdefault(keyword, []).append(value)
    return settings


def differing(
    settings: Settings, expected: Mapping[str, str | None]
) -> dict[str, list[str] | None]:
    """Return what is not as expected; ``None`` stands for a keyword that must not be there."""
    return {
        keyword: settings.get(keyword)
        for keyword, value in expected.items()
        if settings.get(keyword) != (None if value is None else [value])
    }


BALANCER = "login.server.mila.quebec"
MILA_NODES = {f"mila{n}": f"login-{n}.login.server.mila.quebec" for n in range(1, 6)}
MILA_LOGINS = {
    "mila": BALANCER,
    BALANCER: BALANCER,
    **MILA_NODES,
    **{name: name for name in MILA_NODES.values()},
}
MILA_PERSON = {
    "user": "ada",
    "preferredauthentications": "publickey,keyboard-interactive",
    "addkeystoagent": "true",
    "identityfile": "~/.ssh/id_mila",
    "identitiesonly": "yes",
    "controlmaster": "auto",
    "forwardagent": "no",
}


@pytest.mark.parametrize(("name", "host"), MILA_LOGINS.items(), ids=MILA_LOGINS)
def test_login_hosts_of_mila(folder: Path, name: str, host: str) -> None:
    expected = {
        **MILA_PERSON,
        "hostname": host,
        "port": "2222",
        "proxyjump": None,
        "serveraliveinterval": "120",
        "serveralivecountmax": "5",
        "stricthostkeychecking": "true",
    }
    assert differing(resolved(folder / "mila.conf", name), expected) == {}


MILA_COMPUTE = {
    "cn-a001": "cn-a001.server.mila.quebec",
    "cn-a001.server.mila.quebec": "cn-a001.server.mila.quebec",
    "any.server.mila.quebec": "any.server.mila.quebec",
}


@pytest.mark.parametrize(("name", "host"), MILA_COMPUTE.items(), ids=MILA_COMPUTE)
def test_compute_nodes_of_mila_are_reached_through_a_login_host(
    folder: Path, name: str, host: str
) -> None:
    expected = {
        **MILA_PERSON,
        "hostname": host,
        "port": "22",
        "proxyjump": "mila",
        "serveraliveinterval": "0",
        "stricthostkeychecking": "true",
    }
    assert differing(resolved(folder / "mila.conf", name), expected) == {}


def test_mila_cpu_starts_a_job_on_a_login_host_and_enters_it(folder: Path) -> None:
    scripts = "/cvmfs/config.mila.quebec/scripts/milatools"
    expected = {
        **MILA_PERSON,
        "proxycommand": f'ssh mila "{scripts}/slurm-proxy.sh mila-cpu --mem=8G"',
        "remotecommand": f"{scripts}/entrypoint.sh mila-cpu",
        "requesttty": "force",
        "connecttimeout": "600",
        "serveraliveinterval": "120",
        "proxyjump": None,
        "stricthostkeychecking": "false",
        "userknownhostsfile": "/dev/null",
    }
    assert differing(resolved(folder / "mila.conf", "mila-cpu"), expected) == {}


MUSICA_NODES = {f"musica{n}": f"login{n}.musica.vie.asc.ac.at" for n in ("01", "02")}
MUSICA_LOGINS = {
    "musica": "musica.vie.asc.ac.at",
    "musica.vie.asc.ac.at": "musica.vie.asc.ac.at",
    **MUSICA_NODES,
    **{name: name for name in MUSICA_NODES.values()},
}


@pytest.mark.parametrize(("name", "host"), MUSICA_LOGINS.items(), ids=MUSICA_LOGINS)
def test_login_hosts_of_musica(folder: Path, name: str, host: str) -> None:
    expected = {
        "hostname": host,
        "port": "22",
        "user": "ada",
        "proxyjump": None,
        "preferredauthentications": "publickey",
        "identityfile": "~/.ssh/id_musica",
        "certificatefile": "~/.ssh/id_musica-cert.pub",
        "identitiesonly": "yes",
        "addkeystoagent": "false",
        "stricthostkeychecking": "true",
        "controlmaster": "auto",
    }
    assert differing(resolved(folder / "musica.conf", name), expected) == {}


@pytest.mark.parametrize("site", SITES)
def test_every_alias_of_every_site_means_its_own_host(
    folder: Path, ada: SiteProfile, site: str
) -> None:
    spec = validate.site(CATALOGUE / f"{site}.yaml")
    account = Account(spec, ada)
    for entry, host in spec.hosts.items():
        for alias, name in [(entry, host.host), *(host.nodes.each() if host.nodes else ())]:
            expected = {"hostname": account.fill(name), "port": str(host.port)}
            assert (
                differing(resolved(folder / f"{site}.conf", account.fill(alias) or ""), expected)
                == {}
            )


def test_every_known_hosts_file_names_its_hosts_as_ssh_looks_them_up(folder: Path) -> None:
    for name in ("musica.vie.asc.ac.at", "login01.musica.vie.asc.ac.at"):
        command = ["ssh-keygen", "-F", name, "-f", str(folder / "musica.known_hosts")]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == 0
        assert "CA" in found.stdout


OWN = """{include}
Host *.example.org
    User somebody
Host *
    IdentityFile ~/.ssh/id_everywhere
    ControlMaster no
    StrictHostKeyChecking {strict}
    VerifyHostKeyDNS yes
    UserKnownHostsFile ~/.ssh/known_hosts
    ServerAliveInterval 30
"""


def own(folder: Path, *sites: str, strict: str = "no") -> Path:
    """Return a config as a person may have one, with ours included at its top."""
    include = "\n".join(f"Include {folder}/{site}.conf" for site in sites)
    path = folder / f"config-{len(sites)}"
    path.write_text(OWN.format(include=include, strict=strict))
    return path


@pytest.mark.parametrize(
    "host",
    ["github.com", "login.example.org", "www.mila.quebec", "asc.ac.at", "cn-a0001", "localhost"],
)
def test_every_other_host_is_as_it_was_without_our_files(folder: Path, host: str) -> None:
    ours, without = (resolved(own(folder, *sites), host) for sites in (SITES, []))
    changed = {
        keyword for keyword in {*ours, *without} if ours.get(keyword) != without.get(keyword)
    }
    assert changed == {"ignoreunknown"}, (
        "ours must tell older clients what to skip, and that has no Host of its own"
    )


# Where a person has set something for all hosts, ours comes first; except for keys to try, which add up.
HOST_KEYS = (
    "stricthostkeychecking",
    "verifyhostkeydns",
    "updatehostkeys",
    "userknownhostsfile",
    "globalknownhostsfile",
    "knownhostscommand",
    "hostkeyalgorithms",
)


@pytest.mark.parametrize("host", ["mila", "mila3", "cn-a001", "musica", "musica01"])
def test_what_a_person_set_for_all_hosts_does_not_reach_the_pins(folder: Path, host: str) -> None:
    alone = resolved(folder / f"{'musica' if host.startswith('musica') else 'mila'}.conf", host)
    included = resolved(own(folder, *SITES), host)
    assert {keyword: included.get(keyword) for keyword in HOST_KEYS} == {
        keyword: alone.get(keyword) for keyword in HOST_KEYS
    }


def test_a_person_may_add_what_ours_leaves_open(folder: Path) -> None:
    settings = resolved(own(folder, *SITES), "musica")
    assert settings["serveraliveinterval"] == ["30"]
    assert settings["identityfile"] == ["~/.ssh/id_musica", "~/.ssh/id_everywhere"]


@pytest.mark.parametrize("user", [None, "ada"])
def test_without_a_user_name_ssh_takes_its_own_default(
    tmp_path: Path, need: Callable[..., None], user: str | None
) -> None:
    need("ssh")
    spec = validate.site(CATALOGUE / "mila.yaml")
    (content,) = (
        item.content
        for item in compile_site(spec, SiteProfile(user=user))
        if item.path.name == "mila.conf"
    )
    config = tmp_path / "mila.conf"
    config.write_bytes(content)
    (empty := tmp_path / "empty").touch()
    default = resolved(empty, "mila")["user"]
    assert resolved(config, "mila")["user"] == ([user] if user else default)


def test_the_sample_of_the_documentation_stops_ssh_for_every_host(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    """This is why the spec of Mila is compiled, and the sample not copied."""
    need("ssh")
    config = tmp_path / "config"
    config.write_text(
        "Match host *.server.mila.quebec !*login.server.mila.quebec\n    ProxyJump mila\n"
    )
    result = ssh_g(config, "github.com")
    assert result.returncode == 255
    assert f"{config} line 1: Bad Match condition" in result.stderr


def test_what_the_sample_means_is_written_with_a_comma(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("ssh")
    config = tmp_path / "config"
    config.write_text(
        "Match host *.server.mila.quebec,!*login.server.mila.quebec\n    ProxyJump mila\n"
    )
    jumps = {
        host: resolved(config, host).get("proxyjump")
        for host in ("cn-a001.server.mila.quebec", BALANCER)
    }
    assert jumps == {"cn-a001.server.mila.quebec": ["mila"], BALANCER: None}
