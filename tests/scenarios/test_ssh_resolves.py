"""ssh reads the generated files as the documents of Mila and MUSICA say.

`ssh -G` resolves a name and opens no connection.
"""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from generator.compiler.compile import compile_site
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

pytestmark = pytest.mark.system

SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
Settings = Mapping[str, list[str]]


@pytest.fixture(scope="module")
def written_configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the ssh files of every shipped site, compiled for ada."""
    directory = tmp_path_factory.mktemp("ssh")
    ada = SiteProfile(
        user="ada",
        email="ada@example.org",
        account="p12345",
        allocation="proj1",
        client_id="abc123",
        home="/home/ada",
        accept_unverified=True,
    )
    for site in SITES:
        for artifact in compile_site(validate.site(CATALOGUE / f"{site}.yaml"), ada):
            if artifact.path.parts[0] == "ssh":
                path = directory / artifact.path.name
                path.write_bytes(artifact.content)
                path.chmod(artifact.mode)
    return directory


@pytest.fixture
def configs(need: Callable[..., None], written_configs: Path) -> Path:
    need("ssh", "ssh-keygen")
    return written_configs


def ssh_g(config: Path, host: str) -> subprocess.CompletedProcess[str]:
    """Run `ssh -G` with a shell that runs nothing, so that ssh renews no certificate."""
    return subprocess.run(
        ["ssh", "-G", "-F", str(config), host],
        capture_output=True,
        text=True,
        timeout=120,
        env={"SHELL": "/bin/true"},
        check=False,
    )


def resolve(config: Path, host: str) -> Settings:
    """Return the values of each keyword of a host, which ssh prints in lowercase."""
    result = ssh_g(config, host)
    assert result.returncode == 0, result.stderr
    settings: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        settings.setdefault(keyword, []).append(value)
    return settings


def check(settings: Settings, expected: Mapping[str, str | None]) -> None:
    """Compare some settings; `None` stands for a keyword that must not be there."""
    actual = {keyword: settings.get(keyword) for keyword in expected}
    expected_lists = {}
    for keyword, value in expected.items():
        expected_lists[keyword] = None if value is None else [value]
    assert actual == expected_lists


# From the documentation of Mila: one name for all login nodes, and a name for each.
BALANCER = "login.server.mila.quebec"
MILA_NODES = {f"mila{n}": f"login-{n}.login.server.mila.quebec" for n in range(1, 6)}
MILA_LOGINS = {
    "mila": BALANCER,
    BALANCER: BALANCER,
    **MILA_NODES,
    **{host: host for host in MILA_NODES.values()},
}
MILA_USER = {
    "user": "ada",
    "preferredauthentications": "publickey,keyboard-interactive",
    "addkeystoagent": "true",
    "identityfile": "~/.ssh/id_mila",
    "identitiesonly": "yes",
    "controlmaster": "auto",
    "forwardagent": "no",
}


@pytest.mark.parametrize(("name", "host"), MILA_LOGINS.items(), ids=MILA_LOGINS)
def test_login_hosts_of_mila(configs: Path, name: str, host: str) -> None:
    expected = {
        **MILA_USER,
        "hostname": host,
        "port": "2222",
        "proxyjump": None,
        "serveraliveinterval": "120",
        "serveralivecountmax": "5",
        "stricthostkeychecking": "true",
    }
    check(resolve(configs / "mila.conf", name), expected)


# A Host line compares names with their case, so its exceptions do not hold for these.
@pytest.mark.parametrize(
    "name",
    [
        "LOGIN.server.mila.quebec",
        "Login-1.login.server.mila.quebec",
        "login.server.mila.quebec.",
        "LOGIN.server.mila.quebec.",
        "MILA",
    ],
)
def test_a_login_host_of_mila_needs_no_jump_in_any_spelling(configs: Path, name: str) -> None:
    settings = resolve(configs / "mila.conf", name)
    number = "-1" if "-1" in name else ""
    host = f"login{number}.login.server.mila.quebec" if number else BALANCER
    expected = {
        "hostname": host,
        "port": "2222",
        "proxyjump": None,
        "stricthostkeychecking": "true",
    }
    check(settings, expected)


@pytest.mark.parametrize(
    "name", ["cn-a001.RIG.test", "cn-a001.rig.test.", "CN-A001.Rig.Test.", "cn-a001.rig.test"]
)
def test_a_full_name_gets_no_second_domain_in_any_spelling(
    need: Callable[..., None], tmp_path: Path, name: str
) -> None:
    need("ssh")
    spec = tmp_path / "rig.yaml"
    spec.write_text(
        "site: rig\ntitle: Rig\nsources: {docs: {ref: a page}}\n"
        "hosts: {rig: {host: login.rig.test}}\n"
        "compute: {nodes: {match: cn-*, host: '%h.rig.test', through: rig}}\n"
        "auth: {method: publickey}\n"
    )
    conf = tmp_path / "rig.conf"
    for artifact in compile_site(validate.site(spec), SiteProfile(user="ada")):
        if artifact.path.name == conf.name:
            conf.write_bytes(artifact.content)
    check(resolve(conf, name), {"hostname": name.lower(), "proxyjump": "rig"})


# Short names of compute nodes get the domain; full names stay; all of them take the jump.
MILA_COMPUTE = {
    "cn-a001": "cn-a001.server.mila.quebec",
    "cn-a001.server.mila.quebec": "cn-a001.server.mila.quebec",
    "any.server.mila.quebec": "any.server.mila.quebec",
}


@pytest.mark.parametrize(("name", "host"), MILA_COMPUTE.items(), ids=MILA_COMPUTE)
def test_ssh_jumps_over_a_login_host_to_compute_nodes_of_mila(
    configs: Path, name: str, host: str
) -> None:
    expected = {
        **MILA_USER,
        "hostname": host,
        "port": "22",
        "proxyjump": "mila",
        # The spec has none: the one for shared connections.
        "serveraliveinterval": "15",
        "serveralivecountmax": "2",
        "stricthostkeychecking": "true",
    }
    check(resolve(configs / "mila.conf", name), expected)


def test_mila_cpu_starts_a_job_on_a_login_host_and_enters_it(configs: Path) -> None:
    # Mila ships these scripts; a login to mila-cpu runs inside a job that they start.
    scripts = "/cvmfs/config.mila.quebec/scripts/milatools"
    expected = {
        **MILA_USER,
        "proxycommand": f'ssh mila "{scripts}/slurm-proxy.sh mila-cpu --mem=8G"',
        "remotecommand": f"{scripts}/entrypoint.sh mila-cpu",
        "requesttty": "force",
        "connecttimeout": "600",
        "serveraliveinterval": "120",
        "proxyjump": None,
        "stricthostkeychecking": "false",
        "userknownhostsfile": "/dev/null",
    }
    check(resolve(configs / "mila.conf", "mila-cpu"), expected)


# From the documentation of MUSICA, which logs in with a key and its certificate.
MUSICA_NODES = {f"musica{n}": f"login{n}.musica.vie.asc.ac.at" for n in ("01", "02")}
MUSICA_LOGINS = {
    "musica": "musica.vie.asc.ac.at",
    "musica.vie.asc.ac.at": "musica.vie.asc.ac.at",
    **MUSICA_NODES,
    **{host: host for host in MUSICA_NODES.values()},
}


@pytest.mark.parametrize(("name", "host"), MUSICA_LOGINS.items(), ids=MUSICA_LOGINS)
def test_login_hosts_of_musica(configs: Path, name: str, host: str) -> None:
    expected = {
        "hostname": host,
        "port": "22",
        "user": "ada",
        "proxyjump": None,
        "preferredauthentications": "publickey,keyboard-interactive",
        "identityfile": "~/.ssh/id_musica",
        "certificatefile": "~/.ssh/id_musica-cert.pub",
        "identitiesonly": "yes",
        "addkeystoagent": "false",
        "stricthostkeychecking": "true",
        "controlmaster": "auto",
    }
    check(resolve(configs / "musica.conf", name), expected)


@pytest.mark.parametrize("host", ["musica.vie.asc.ac.at", "login01.musica.vie.asc.ac.at"])
def test_the_known_hosts_file_has_each_host_under_the_name_that_ssh_looks_up(
    configs: Path, host: str
) -> None:
    # ssh-keygen -F looks a name up as ssh does, hashed names and patterns included.
    command = ["ssh-keygen", "-F", host, "-f", str(configs / "musica.known_hosts")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0
    assert "CA" in result.stdout


# Settings for all hosts that weaken the checks of host keys, as users really have them.
USER_CONFIG = """{include}
Host *.example.org
    User somebody
Host *
    IdentityFile ~/.ssh/id_everywhere
    ControlMaster no
    StrictHostKeyChecking no
    VerifyHostKeyDNS yes
    UserKnownHostsFile ~/.ssh/known_hosts
    ServerAliveInterval 30
    Compression yes
"""


@pytest.fixture
def user_config(configs: Path, tmp_path: Path) -> Path:
    """Return a config that a user may have, with the generated configs included at its top."""
    include = "\n".join(f"Include {configs}/{site}.conf" for site in SITES)
    path = tmp_path / "config"
    path.write_text(USER_CONFIG.format(include=include))
    return path


@pytest.mark.parametrize(
    "host",
    ["github.com", "login.example.org", "www.mila.quebec", "asc.ac.at", "cn-a0001", "localhost"],
)
def test_every_other_host_resolves_as_without_the_generated_configs(
    user_config: Path, tmp_path: Path, host: str
) -> None:
    # The same config of the user, without the generated files.
    plain_config = tmp_path / "plain-config"
    plain_config.write_text(USER_CONFIG.format(include=""))
    before = resolve(plain_config, host)
    after = resolve(user_config, host)
    changed = set()
    for keyword in {*before, *after}:
        if before.get(keyword) != after.get(keyword):
            changed.add(keyword)
    # Older clients have to know which keywords to skip, and the line that says so has no Host above
    # it.
    assert changed == {"ignoreunknown"}


# Settings of the user for all hosts come after those of the site, so the site's count. Keys add up.
HOST_KEY_KEYWORDS = (
    "stricthostkeychecking",
    "verifyhostkeydns",
    "updatehostkeys",
    "userknownhostsfile",
    "globalknownhostsfile",
    "knownhostscommand",
    "hostkeyalgorithms",
)


@pytest.mark.parametrize(
    ("site", "host"),
    [
        ("mila", "mila"),
        ("mila", "mila3"),
        ("mila", "cn-a001"),
        ("musica", "musica"),
        ("musica", "musica01"),
    ],
)
def test_settings_of_the_user_for_all_hosts_do_not_change_the_pins(
    configs: Path, user_config: Path, site: str, host: str
) -> None:
    alone = resolve(configs / f"{site}.conf", host)
    included = resolve(user_config, host)
    for keyword in HOST_KEY_KEYWORDS:
        assert included.get(keyword) == alone.get(keyword), keyword


def test_settings_of_the_user_for_all_hosts_add_to_a_site(user_config: Path) -> None:
    settings = resolve(user_config, "musica")
    # Only the keepalive of a site with shared connections is the site's own.
    assert settings["serveraliveinterval"] == ["15"]
    assert settings["compression"] == ["yes"]
    assert settings["identityfile"] == ["~/.ssh/id_musica", "~/.ssh/id_everywhere"]


@pytest.mark.parametrize("user", [None, "ada"])
def test_without_a_user_name_ssh_uses_its_own_default(
    tmp_path: Path, need: Callable[..., None], user: str | None
) -> None:
    need("ssh")
    config = tmp_path / "mila.conf"
    for artifact in compile_site(validate.site(CATALOGUE / "mila.yaml"), SiteProfile(user=user)):
        if artifact.path.name == "mila.conf":
            config.write_bytes(artifact.content)
    # ssh takes the name of the user who runs it, which differs between machines.
    empty = tmp_path / "empty"
    empty.touch()
    expected = [user] if user else resolve(empty, "mila")["user"]
    assert resolve(config, "mila")["user"] == expected


def test_the_sample_in_the_documentation_of_mila_breaks_ssh_for_every_host(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    # This is why gen compiles the spec of Mila and does not copy the sample.
    need("ssh")
    config = tmp_path / "config"
    config.write_text(
        "Match host *.server.mila.quebec !*login.server.mila.quebec\n    ProxyJump mila\n"
    )
    # A host that has nothing to do with Mila.
    result = ssh_g(config, "github.com")
    assert result.returncode == 255
    assert f"{config} line 1: Bad Match condition" in result.stderr


def test_the_sample_works_with_a_comma_between_its_patterns(
    tmp_path: Path, need: Callable[..., None]
) -> None:
    need("ssh")
    config = tmp_path / "config"
    config.write_text(
        "Match host *.server.mila.quebec,!*login.server.mila.quebec\n    ProxyJump mila\n"
    )
    assert resolve(config, "cn-a001.server.mila.quebec")["proxyjump"] == ["mila"]
    # The balancer itself must not be reached through itself.
    assert "proxyjump" not in resolve(config, BALANCER)
