"""The lines of `ssh/SITE.conf` for a spec and a profile.

The scenarios test how ssh itself reads them.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from catalogue_sites import SITES
from sshconf import SshConfigFile

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.compiler.plain_login import PLAIN_LOGIN
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint

KEY_FIRST = "publickey,keyboard-interactive"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
FINGERPRINT = fingerprint(KEY)
OTHER = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
ADA = SiteProfile(user="ada")
PASSWORD = {"method": "keyboard", "asks": "password"}
JOB = {"through": "hpc", "proxy": "start", "command": "enter"}
SOCKET = r"~/\.ssh/gen-[a-z2-7]{10}-%C"
Settings = Mapping[str, str | list[str]]


def site(**fields: Any) -> SiteSpec:
    """Return a site with one host, or with the fields that a test gives."""
    spec = {
        "site": "hpc",
        "title": "A cluster",
        "sources": {
            "docs": {"ref": "a document"},
            "hearsay": {"ref": "a page", "weak": "undated"},
        },
        "hosts": {"hpc": {"host": "login.example.org"}},
        "auth": {"method": "publickey"},
    }
    return SiteSpec.model_validate_json(json.dumps(spec | fields))


def text(spec: SiteSpec, profile: SiteProfile = ADA) -> str:
    (artifact,) = ssh_config.emit(Account(spec, profile))
    return artifact.content.decode()


def parsed(spec: SiteSpec, profile: SiteProfile = ADA) -> SshConfigFile:
    return SshConfigFile(text(spec, profile).splitlines())


def settings_of(config: SshConfigFile, name: str) -> Settings:
    """Return the settings of a name, with the first value of each keyword, as ssh uses it."""
    settings: dict[str, str | list[str]] = {}
    # sshconf knows a Host line only as a whole.
    for names in config.hosts():
        if name in names.split():
            settings = config.host(names) | settings
    return settings


def settings(spec: SiteSpec, name: str = "hpc", profile: SiteProfile = ADA) -> Settings:
    return settings_of(parsed(spec, profile), name)


def host_keys(**keys: Any) -> dict[str, Any]:
    return {"all": {"hosts": "hpc", "source": "docs", **keys}}


def test_sshconf_reads_the_file_of_every_site_and_writes_the_same_lines(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    content = text(shipped, ada)
    config = parsed(shipped, ada)
    # sshconf keeps the lines that it understands: another text means that it lost one.
    assert config.config() + "\n" == content
    for machine in shipped.machines():
        machine_settings = settings_of(config, machine.alias)
        assert machine_settings["hostname"] == machine.host_name
        assert machine_settings["port"] == str(machine.host.port)


def test_no_block_has_a_keyword_twice(shipped: SiteSpec, ada: SiteProfile) -> None:
    # ssh ignores the second line silently.
    config = parsed(shipped, ada)
    for names in config.hosts():
        for keyword, value in config.host(names).items():
            assert not isinstance(value, list), f"{names}: {keyword}"


# ssh takes the first value, so a pattern in front of a name would decide for it.
def test_names_come_before_patterns() -> None:
    spec = site(
        compute={"nodes": {"match": "cn*", "through": "hpc"}},
        jobs={"hpc-job": JOB},
    )
    assert parsed(spec).hosts() == (
        "hpc login.example.org",
        "hpc login.example.org",
        "hpc-job",
        "cn*",
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(
            {"method": "publickey"},
            {
                "preferredauthentications": KEY_FIRST,
                "identityfile": "~/.ssh/id_hpc",
                "identitiesonly": "yes",
            },
            id="a key",
        ),
        pytest.param(
            {"method": "publickey", "then": "keyboard-interactive", "key": "/home/ada/my keys/id"},
            {
                "preferredauthentications": "publickey,keyboard-interactive",
                # ssh_config(5): an argument with a space stands in double quotes.
                "identityfile": '"/home/ada/my keys/id"',
                "identitiesonly": "yes",
            },
            id="a key with a space in its path, then a second factor",
        ),
        pytest.param(
            {"method": "publickey", "add_keys_to_agent": True},
            {
                "preferredauthentications": KEY_FIRST,
                "identityfile": "~/.ssh/id_hpc",
                "identitiesonly": "yes",
                "addkeystoagent": "yes",
                # Only the ssh of macOS knows it; IgnoreUnknown keeps the others from refusing the
                # file.
                "usekeychain": "yes",
            },
            id="a key for the agent",
        ),
        pytest.param(
            {
                "method": "step",
                "ca_url": "https://ca.example.org",
                "ca_fingerprint": "0" * 64,
                "context": "hpc",
            },
            {
                "preferredauthentications": KEY_FIRST,
                "identityfile": "~/.ssh/id_hpc",
                "certificatefile": "~/.ssh/id_hpc-cert.pub",
                "identitiesonly": "yes",
            },
            id="a certificate beside its key",
        ),
        pytest.param(
            {"method": "certificate", "certificate": "~/.certs/{user}-cert.pub"},
            {
                "preferredauthentications": KEY_FIRST,
                "identityfile": "~/.ssh/id_hpc",
                "certificatefile": "~/.certs/ada-cert.pub",
                "identitiesonly": "yes",
            },
            id="a certificate somewhere else",
        ),
        pytest.param(
            # No key: a server counts every key that ssh offers, and ends the connection after some.
            {"method": "keyboard", "asks": ["password", "otp"]},
            {"preferredauthentications": "keyboard-interactive,password"},
            id="password and passcode",
        ),
        pytest.param(
            {"method": "keyboard", "asks": "password", "prefer": "password"},
            # A second factor that the site adds later would be asked for in this way.
            {"preferredauthentications": "password,keyboard-interactive"},
            id="password",
        ),
        pytest.param(
            {
                "method": "kerberos",
                "principal": "{user}@EXAMPLE.ORG",
                "then": "keyboard-interactive",
            },
            {
                "preferredauthentications": "gssapi-with-mic,keyboard-interactive",
                "gssapiauthentication": "yes",
                # A ticket that is passed on lets the site act as the user, so it needs a word of
                # the spec.
                "gssapidelegatecredentials": "no",
            },
            id="a ticket, then a second factor",
        ),
        pytest.param(
            {"method": "kerberos", "principal": "{user}@EXAMPLE.ORG", "delegate": True},
            {
                "preferredauthentications": "gssapi-with-mic,keyboard-interactive",
                "gssapiauthentication": "yes",
                "gssapidelegatecredentials": "yes",
            },
            id="a ticket that is passed on",
        ),
        pytest.param(
            {"method": "agent"},
            {"preferredauthentications": KEY_FIRST},
            id="whatever the agent holds",
        ),
        pytest.param(
            {"method": "agent", "key": "~/.ssh/id_{site}.pub"},
            {
                "preferredauthentications": KEY_FIRST,
                "identityfile": "~/.ssh/id_hpc.pub",
                "identitiesonly": "yes",
            },
            id="one key of the agent",
        ),
        pytest.param(
            {"method": "agent", "certificate": True},
            {
                "preferredauthentications": KEY_FIRST,
                # IdentitiesOnly would leave out a certificate that no file has.
                "pubkeyacceptedkeytypes": "*-cert-v01@openssh.com",
            },
            id="a certificate of the agent",
        ),
    ],
)
def test_the_settings_of_each_authentication_method(
    auth: dict[str, Any], expected: dict[str, str]
) -> None:
    auth_settings = dict(settings(site(auth=auth)))
    # The same for every method; other tests are about them.
    for keyword in (
        "hostname",
        "port",
        "user",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "stricthostkeychecking",
        "canonicalizehostname",
        "serveraliveinterval",
        "serveralivecountmax",
    ):
        del auth_settings[keyword]
    assert auth_settings == expected


@pytest.mark.parametrize("name", SITES)
def test_no_site_forbids_a_second_factor_that_it_may_add_later(name: str, ada: SiteProfile) -> None:
    spec = validate.site(resources.CATALOGUE / f"{name}.yaml")
    for block in ssh_config.blocks(Account(spec, ada)):
        methods = dict(block.settings).get("PreferredAuthentications")
        # Without the line, ssh takes every method.
        assert methods is None or "keyboard-interactive" in methods.split(",")
        if name == "mila" and methods:
            # As on the page of the site.
            assert methods == "publickey,keyboard-interactive"


def test_a_host_may_have_another_authentication_than_the_site() -> None:
    spec = site(
        hosts={
            "hpc": {"host": "login.example.org"},
            "hpc-web": {"host": "web.example.org", "auth": PASSWORD},
        }
    )
    assert settings(spec, "hpc")["preferredauthentications"] == KEY_FIRST
    assert settings(spec, "hpc-web")["preferredauthentications"] == "keyboard-interactive,password"


@pytest.mark.parametrize(
    ("by_site", "by_user", "expected"),
    [
        pytest.param("allowed", True, ("auto", SOCKET, "10m"), id="allowed"),
        pytest.param("required", True, ("auto", SOCKET, "10m"), id="required"),
        # A ControlPath in the user's own config would share the connection all the same.
        pytest.param("forbidden", True, ("no", "none", None), id="forbidden by the site"),
        pytest.param("allowed", False, ("no", "none", None), id="switched off by the user"),
    ],
)
def test_sessions_share_a_connection_if_site_and_user_allow_it(
    by_site: str, by_user: bool, expected: tuple[str, str, str | None]
) -> None:
    spec = site(
        multiplexing=by_site,
        compute={"nodes": {"match": "cn*", "through": "hpc"}},
        jobs={"hpc-job": JOB},
    )
    profile = SiteProfile(user="ada", multiplexing=by_user)
    for name in ("hpc", "hpc-job", "cn*"):
        control = settings(spec, name, profile)
        assert control.get("controlmaster") == expected[0]
        assert re.fullmatch(expected[1], str(control.get("controlpath")))
        assert control.get("controlpersist") == expected[2]


def test_a_host_name_of_two_entries_stands_for_the_first() -> None:
    hosts = {
        "hpc": {"host": "login.example.org"},
        "hpc-keys": {"host": "login.example.org", "port": 27},
    }
    spec = site(hosts=hosts)
    assert parsed(spec).hosts() == ("hpc login.example.org",) * 2 + ("hpc-keys",) * 2
    assert settings(spec, "login.example.org")["port"] == "22"
    assert settings(spec, "hpc-keys")["port"] == "27"
    assert settings(spec, "hpc-keys")["hostname"] == "login.example.org"


def test_an_alias_that_equals_the_host_name_is_written_once() -> None:
    spec = site(hosts={"login.example.org": {"host": "login.example.org"}})
    assert parsed(spec).hosts() == ("login.example.org",) * 2


def test_hosts_nodes_and_compute_nodes_jump_through_their_jump_host() -> None:
    spec = site(
        hosts={
            "gate": {"host": "gate.example.org", "role": "jump"},
            "hpc": {
                "host": "login.example.org",
                "via": "gate",
                "nodes": {"alias": "hpc{n}", "host": "l{n}.x", "n": "1-2"},
            },
        },
        # A jump may name a node, whose block has the alias of the node.
        compute={"nodes": {"match": "cn*", "through": "hpc2"}},
    )
    names = ("gate", "hpc", "hpc1", "hpc2", "cn*")
    jumps = {name: settings(spec, name).get("proxyjump") for name in names}
    assert jumps == {"gate": None, "hpc": "gate", "hpc1": "gate", "hpc2": "gate", "cn*": "hpc2"}


@pytest.mark.parametrize(("forward", "expected"), [(True, "yes"), (False, None)])
def test_the_agent_is_forwarded_only_if_the_spec_says_so(
    forward: bool, expected: str | None
) -> None:
    hosts = {"hpc": {"host": "login.example.org", "forward_agent": forward}}
    assert settings(site(hosts=hosts)).get("forwardagent") == expected


def test_a_compute_node_gets_its_domain_only_once() -> None:
    # `cn*` matches full names too, which would get the domain a second time.
    spec = site(
        compute={"nodes": {"match": ["cn*", "g??"], "host": "%h.example.org", "through": "hpc"}}
    )
    assert parsed(spec).hosts()[-2:] == (
        "cn* g?? !cn*.example.org",
        "cn* g?? cn*.example.org g??.example.org",
    )


def test_a_comment_replaces_the_user_if_it_is_unknown() -> None:
    spec = site(compute={"nodes": {"match": "cn*", "through": "hpc"}})
    comment = "# User is left out: it needs user\n"
    content = text(spec, SiteProfile())
    assert "User " not in content.replace(comment, "")
    # A block for the host, and one for the compute nodes.
    assert content.count(comment) == 2
    assert settings(spec)["user"] == "ada"


def test_a_user_name_may_hold_several_placeholders() -> None:
    spec = site(hosts={"hpc": {"host": "login.example.org", "user": "{user}.{project}"}})
    assert settings(spec, profile=SiteProfile(user="ada", allocation="p1"))["user"] == "ada.p1"
    # Half a name would be that of another user.
    assert "user" not in settings(spec)
    assert "# User is left out: it needs allocation\n" in text(spec)


INCOMPLETE: Mapping[str, dict[str, Any]] = {
    "alias": {"hosts": {"hpc-{project}": {"host": "login.example.org"}}},
    "host name": {"hosts": {"hpc": {"host": "{project}.example.org"}}},
    "node": {
        "hosts": {
            "hpc": {
                "host": "a.example.org",
                "nodes": {"alias": "hpc{n}-{project}", "host": "a{n}.x", "n": "1"},
            }
        }
    },
    "jump host": {
        "hosts": {
            "gate-{project}": {"host": "gate.example.org"},
            "hpc": {"host": "a.b", "via": "gate-{project}"},
        }
    },
    # The route is complete only if each part of it is.
    "jump host of the jump host": {
        "hosts": {
            "gate-{project}": {"host": "gate.example.org"},
            "hall": {"host": "hall.example.org", "via": "gate-{project}"},
            "hpc": {"host": "a.b", "via": "hall"},
        }
    },
    "login host of compute nodes": {
        "hosts": {"hpc-{project}": {"host": "login.example.org"}},
        "compute": {
            "nodes": {"match": "cn*", "host": "%h.example.org", "through": "hpc-{project}"}
        },
    },
    "login host of a job": {
        "hosts": {"hpc-{project}": {"host": "login.example.org"}},
        "jobs": {"hpc-job": {"through": "hpc-{project}", "proxy": "start", "command": "enter"}},
    },
    "job": {
        "hosts": {"hpc-{project}": {"host": "login.example.org"}},
        "jobs": {
            "job-{project}": {"through": "hpc-{project}", "proxy": "start", "command": "enter"}
        },
    },
}


@pytest.mark.parametrize("incomplete", INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_block_without_a_complete_name_or_route_is_left_out(incomplete: dict[str, Any]) -> None:
    # Half a block would have a name without pins, or a keyword without a value.
    assert parsed(site(**incomplete)).hosts() == ()
    assert "is left out: it needs allocation\n" in text(site(**incomplete))


@pytest.mark.parametrize("incomplete", INCOMPLETE.values(), ids=INCOMPLETE)
def test_the_block_is_written_if_the_value_is_known(incomplete: dict[str, Any]) -> None:
    content = text(site(**incomplete), SiteProfile(user="ada", allocation="p1"))
    assert "left out" not in content
    # ssh would look up a placeholder as a host name.
    assert "{" not in content
    assert "Host " in content


def test_a_job_is_reached_through_its_login_host_whose_key_is_checked() -> None:
    job = {"through": "hpc", "proxy": "start --output=%j.log", "command": "enter", "timeout": 60}
    host = settings(site(jobs={"hpc-job": job}), "hpc-job")
    # %j is for sbatch. ssh would replace it in a ProxyCommand, unless it is doubled.
    assert host["proxycommand"] == 'ssh hpc "start --output=%%j.log"'
    assert host["connecttimeout"] == "60"
    # ssh would refuse a command beside a RemoteCommand.
    assert not {"remotecommand", "requesttty"} & host.keys()
    login = f"Match host hpc-job {PLAIN_LOGIN}\n    RemoteCommand enter\n    RequestTTY force\n"
    assert login in text(site(jobs={"hpc-job": job}))
    # The job has a new host key each time. The way to it is the login host, whose key ssh checks.
    assert (host["stricthostkeychecking"], host["userknownhostsfile"]) == ("no", "/dev/null")


# What keeps ssh to the pins: no key from a file, from DNS or from the server itself.
PINNED = {
    "stricthostkeychecking": "yes",
    "updatehostkeys": "no",
    "verifyhostkeydns": "no",
    # %f of KnownHostsCommand has the form that this option says.
    "fingerprinthash": "sha256",
    "userknownhostsfile": "/dev/null",
    "globalknownhostsfile": "/dev/null",
}
CERTIFICATES = (
    "ssh-ed25519-cert-v01@openssh.com"
    ",ecdsa-sha2-nistp256-cert-v01@openssh.com"
    ",ecdsa-sha2-nistp384-cert-v01@openssh.com"
    ",ecdsa-sha2-nistp521-cert-v01@openssh.com"
    ",rsa-sha2-512-cert-v01@openssh.com"
    ",rsa-sha2-256-cert-v01@openssh.com"
)
SHA256 = (
    # An earlier FingerprintHash of the user wins, so the command may get MD5.
    'f=$3; case $f in MD5:*) f=$(echo "$1 $2" | ssh-keygen -E sha256 -l -f - | '
    'cut -d " " -f 2);; esac'
)
# ssh asks for keys to choose algorithms by, before it has one; the answer may be empty.
NO_KEY = "case $1 in NONE*) exit;; esac"
USUAL = (
    "usual() { case $1 in hpc|login.example.org) "
    # Options of the command line come before the file, so the command looks at them.
    'case "$(ps -ww -o args= -p $PPID | tr A-Z a-z)" in ""|*hostkey*|*knownhosts*) ;; '
    "*) return;; esac;; esac; return 1; }"
)
SIGNED = (
    'case $1 in *-cert-v01@openssh.com) c=$(echo "$1 $2" | TZ=UTC ssh-keygen -L -f -); '
    'case "$(echo "$c" | grep -m 1 "Signing CA:")" in '
    f'*{FINGERPRINT}*) usual "$4" && exit; '
    # ssh checks the dates only if it checks host keys, which the user may have switched off.
    'e=$(echo "$c" | sed -n -E "s/^ *Valid:.* (to|before) //p"); '
    '[ -z "$e" ] || [ $(expr $(TZ=UTC date +%%Y-%%m-%%dT%%H:%%M:%%S) "<" $e) = 1 ] && '
    '{ set -f; for p in $(echo "$c" | sed -n "/Principals:/,/Critical/p"); do '
    "case $5 in $p) exit;; esac; done; };; esac;; esac"
)
REFUSED = (
    'echo "gen: hpc: the key that $0 offers is not one of the pinned keys; '
    'compare them: gen status hpc --live" >&2; usual "$4" && exit; '
    'echo "Host key verification failed." >&2; exit 1'
)
UNPINNED = f"{NO_KEY}; {USUAL}; {REFUSED}"
UNSIGNED = f"{NO_KEY}; {USUAL}; {SIGNED}; {REFUSED}"


def about_host_keys(host: Settings) -> Settings:
    """Return the settings that decide which host keys ssh accepts."""
    keywords = {*PINNED, "knownhostscommand", "hostkeyalgorithms"}
    return {keyword: value for keyword, value in host.items() if keyword in keywords}


@pytest.mark.parametrize(
    ("keys", "command", "algorithms"),
    [
        pytest.param(
            {"fingerprints": {"ed25519": FINGERPRINT}},
            f'case $f in {FINGERPRINT}) echo "$0 $1 $2"; exit;; esac; {UNPINNED}',
            "ssh-ed25519",
            id="a fingerprint",
        ),
        pytest.param(
            # A balancer whose nodes have keys of their own.
            {"fingerprints": {"rsa": [OTHER, FINGERPRINT]}},
            f'case $f in {OTHER}|{FINGERPRINT}) echo "$0 $1 $2"; exit;; esac; {UNPINNED}',
            # Not ssh-rsa, whose SHA-1 OpenSSH refuses since 8.8.
            "rsa-sha2-512,rsa-sha2-256",
            id="two fingerprints of one type",
        ),
        pytest.param(
            {"keys": KEY, "fingerprints": {"ed25519": FINGERPRINT}},
            f'case $f in {FINGERPRINT}) echo "$0 $1 $2"; exit;; esac; {UNPINNED}',
            "ssh-ed25519",
            id="a whole key, and its fingerprint",
        ),
        pytest.param(
            {"keys": KEY, "fingerprints": {"rsa": OTHER, "ecdsa": OTHER}},
            f'case $f in {OTHER}|{FINGERPRINT}) echo "$0 $1 $2"; exit;; esac; {UNPINNED}',
            # The kind of the whole key first, since other clients can only check that.
            "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"
            ",rsa-sha2-512,rsa-sha2-256",
            id="a whole key, and fingerprints of other kinds",
        ),
        pytest.param(
            {"authorities": {"hosts": "*.example.org", "key": KEY}},
            f'echo "@cert-authority *.example.org {KEY}"; {UNSIGNED}',
            None,
            id="an authority",
        ),
        pytest.param(
            {
                "authorities": {"hosts": "*.example.org", "key": KEY},
                "fingerprints": {"ed25519": OTHER},
            },
            f'case $f in {OTHER}) echo "$0 $1 $2"; exit;; esac; '
            f'echo "@cert-authority *.example.org {KEY}"; {UNSIGNED}',
            # The certificates first: a server has one key of each kind, and ssh takes the first
            # that both know.
            f"{CERTIFICATES},ssh-ed25519",
            id="an authority and a fingerprint",
        ),
    ],
)
def test_ssh_accepts_only_the_keys_of_the_spec(
    keys: dict[str, Any], command: str, algorithms: str | None
) -> None:
    host = settings(site(host_keys=host_keys(**keys)))
    expected = PINNED | {"knownhostscommand": f"/bin/sh -c '{SHA256}; {command}' %H %t %K %f %n %h"}
    if algorithms:
        expected["hostkeyalgorithms"] = algorithms
    if "keys" in keys or "authorities" in keys:
        # For clients that run no command. ssh itself adds keys to the first file, if it does.
        expected["userknownhostsfile"] = "/dev/null ~/.ssh/gen.d/hpc.known_hosts"
    assert about_host_keys(host) == expected


def test_an_authority_has_the_port_in_its_name_as_in_known_hosts() -> None:
    authority = {"hosts": "*.example.org", "key": KEY}
    hosts = {"hpc": {"host": "login.example.org", "port": 2222}}
    host = settings(site(hosts=hosts, host_keys=host_keys(authorities=authority)))
    # sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: another port is part of the name.
    assert "@cert-authority [*.example.org]:2222 " in host["knownhostscommand"]


@pytest.mark.parametrize(
    ("sources", "accepted", "pinned"),
    [
        ("docs", False, True),
        ("hearsay", False, False),
        ("hearsay", True, True),
        # One strong source is enough.
        (["hearsay", "docs"], False, True),
    ],
    ids=[
        "from the documentation",
        "from hearsay",
        "from hearsay, accepted by the user",
        "from both",
    ],
)
def test_keys_from_weak_sources_are_pinned_only_if_the_user_accepts_them(
    sources: str | list[str], accepted: bool, pinned: bool
) -> None:
    spec = site(host_keys=host_keys(fingerprints={"ed25519": FINGERPRINT}, source=sources))
    host = settings(spec, profile=SiteProfile(user="ada", accept_unverified=accepted))
    assert ("knownhostscommand" in host) is pinned
    assert host["stricthostkeychecking"] == ("yes" if pinned else "ask")


def test_ssh_asks_about_a_host_without_keys() -> None:
    host = settings(site())
    # `accept-new` would take the key of whoever answers first without a word.
    assert about_host_keys(host) == {"stricthostkeychecking": "ask"}


def test_each_entry_has_its_own_pins() -> None:
    spec = site(
        hosts={"hpc": {"host": "login.example.org"}, "hpc-data": {"host": "data.example.org"}},
        compute={"nodes": {"match": "cn*", "through": "hpc"}},
        host_keys={
            "login": {"hosts": "hpc", "source": "docs", "fingerprints": {"ed25519": FINGERPRINT}},
            "rest": {
                "hosts": ["hpc-data", "nodes"],
                "source": "docs",
                "fingerprints": {"ed25519": OTHER},
            },
        },
    )
    for name, own, foreign in [
        ("hpc", FINGERPRINT, OTHER),
        ("hpc-data", OTHER, FINGERPRINT),
        ("cn*", OTHER, FINGERPRINT),
    ]:
        command = settings(spec, name)["knownhostscommand"]
        assert own in command
        assert foreign not in command


def test_the_key_of_the_profile_replaces_only_the_usual_key() -> None:
    robot = {
        "host": "robot.example.org",
        "auth": {"method": "publickey", "key": "~/.ssh/id_{site}_robot"},
    }
    gate = {"host": "gate.example.org", "auth": {"method": "publickey", "then": "password"}}
    hosts = {"hpc": {"host": "login.example.org"}, "gate": gate, "robot": robot}
    profile = SiteProfile(user="ada", identity_file="/keys/ada")
    config = parsed(site(hosts=hosts), profile)
    keys = {name: settings_of(config, name)["identityfile"] for name in hosts}
    assert keys == {"hpc": "/keys/ada", "gate": "/keys/ada", "robot": "~/.ssh/id_hpc_robot"}


@pytest.mark.parametrize(
    ("auth", "hosts", "expected"),
    [
        pytest.param({"method": "agent"}, {}, "~/.ssh/mine.pub", id="no key in the spec"),
        pytest.param(
            {"method": "agent", "key": "~/.ssh/id_{site}.pub"}, {}, "~/.ssh/mine.pub", id="a key"
        ),
        pytest.param({"method": "agent", "certificate": True}, {}, None, id="a certificate"),
        pytest.param(
            {"method": "publickey"}, {"auth": {"method": "agent"}}, None, id="at another host"
        ),
    ],
)
def test_the_key_of_the_profile_is_the_one_in_the_agent(
    auth: dict[str, Any], hosts: dict[str, Any], expected: str | None
) -> None:
    spec = site(auth=auth, hosts={"hpc": {"host": "login.example.org", **hosts}})
    profile = SiteProfile(user="ada", identity_file="~/.ssh/mine.pub")
    settings_of_host = settings(spec, profile=profile)
    assert settings_of_host.get("identityfile") == expected
    # Without a key, ssh offers whatever the agent has.
    assert settings_of_host.get("identitiesonly") == ("yes" if expected else None)


def control_path(spec: SiteSpec, name: str) -> str:
    return str(settings(spec, name)["controlpath"])


def test_entries_with_another_policy_do_not_share_a_connection() -> None:
    # A shared connection ignores the host keys and the authentication of the second entry.
    host = {"host": "login.example.org"}
    spec = site(
        hosts={
            "hpc": host,
            "hpc-agent": {**host, "forward_agent": True},
            "hpc-otp": {**host, "auth": PASSWORD},
            "hpc-outside": {**host, "via": "hpc"},
            "hpc-pinned": host,
        },
        jobs={"hpc-job": JOB},
        host_keys={
            "all": {"hosts": "hpc-pinned", "source": "docs", "fingerprints": {"rsa": OTHER}}
        },
    )
    names = (*spec.hosts, "hpc-job")
    assert len({control_path(spec, name) for name in names}) == len(names)


def test_two_sites_share_a_connection_to_one_machine_only_if_they_pin_the_same_keys() -> None:
    def path(name: str, key: str) -> str:
        spec = site(
            site=name,
            hosts={name: {"host": "login.example.org"}},
            host_keys={"all": {"hosts": name, "source": "docs", "fingerprints": {"ed25519": key}}},
            auth={"method": "publickey", "key": "~/.ssh/id"},
        )
        return control_path(spec, name)

    assert path("one", OTHER) == path("two", OTHER)
    assert path("one", OTHER) != path("two", FINGERPRINT)


def test_a_shared_connection_has_a_keepalive_even_if_the_spec_has_none() -> None:
    hosts = {
        "hpc": {"host": "login.example.org"},
        "hpc-slow": {"host": "slow.example.org", "keepalive": {"interval": 60, "count": 9}},
    }
    spec = site(hosts=hosts)
    for name, expected in (("hpc", ("15", "2")), ("hpc-slow", ("60", "9"))):
        host = settings(spec, name)
        assert (host["serveraliveinterval"], host["serveralivecountmax"]) == expected
    assert "serveraliveinterval" not in settings(site(multiplexing="forbidden"))


def test_short_names_that_other_sites_use_too_are_only_in_a_comment() -> None:
    nodes = {"match": ["c?", "nid*"], "through": "hpc", "common": True}
    content = text(site(compute={"nodes": nodes}))
    assert (
        "# compute nodes c? nid*; other sites use these names too, so type: ssh -J hpc USER@NODE\n"
        in content
    )
    assert "Host c?" not in content
    assert "ProxyJump" not in content


def test_full_names_of_such_nodes_are_written() -> None:
    nodes = {"match": ["c?"], "host": "%h.hpc.example.org", "through": "hpc", "common": True}
    config = parsed(site(compute={"nodes": nodes}))
    assert settings_of(config, "c?.hpc.example.org")["proxyjump"] == "hpc"
    assert settings_of(config, "c?") == {}
