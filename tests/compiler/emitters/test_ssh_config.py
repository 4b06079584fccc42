"""What stands in `ssh/SITE.conf`, by the spec and the person; what ssh makes of it is tested with ssh itself."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from sshconf import SshConfigFile

from generator.compiler.account import Account
from generator.compiler.emitters import ssh_config
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
FINGERPRINT = fingerprint(KEY)
OTHER = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
ADA = SiteProfile(user="ada")
Settings = Mapping[str, str | list[str]]


def site(**more: Any) -> SiteSpec:
    """Return a site with one host, or with what a test puts in its place."""
    usual = {
        "site": "hpc",
        "title": "A cluster",
        "sources": {"docs": {"ref": "a document"}, "hearsay": {"ref": "a page", "weak": "undated"}},
        "hosts": {"hpc": {"host": "login.example.org"}},
        "auth": {"method": "publickey"},
    }
    return SiteSpec.model_validate_json(json.dumps(usual | more))


def text(spec: SiteSpec, profile: SiteProfile = ADA) -> str:
    (artifact,) = ssh_config.emit(Account(spec, profile))
    return artifact.content.decode()


def parsed(spec: SiteSpec, profile: SiteProfile = ADA) -> SshConfigFile:
    return SshConfigFile(text(spec, profile).splitlines())


def of(config: SshConfigFile, name: str) -> Settings:
    """Return the settings of a name, the first value of each keyword; sshconf knows a Host line only as a whole."""
    found: dict[str, str | list[str]] = {}
    for names in config.hosts():
        if name in names.split():
            found = config.host(names) | found
    return found


def settings(spec: SiteSpec, name: str = "hpc", profile: SiteProfile = ADA) -> Settings:
    return of(parsed(spec, profile), name)


def host_keys(**keys: Any) -> dict[str, Any]:
    return {"all": {"hosts": "hpc", "source": "docs", **keys}}


def test_sshconf_reads_the_file_of_every_site_and_writes_the_same_lines(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    content = text(shipped, ada)
    config = parsed(shipped, ada)
    assert config.config() + "\n" == content
    for entry, host in shipped.hosts.items():
        for alias, name in [(entry, host.host), *(host.nodes.each() if host.nodes else ())]:
            assert of(config, alias)["hostname"] == name
            assert of(config, alias)["port"] == str(host.port)


def test_no_line_repeats_a_keyword_of_its_block(shipped: SiteSpec, ada: SiteProfile) -> None:
    """Of two lines, ssh ignores the second without a word."""
    config = parsed(shipped, ada)
    repeated = [
        value
        for names in config.hosts()
        for value in config.host(names).values()
        if isinstance(value, list)
    ]
    assert repeated == []


def test_names_come_before_patterns() -> None:
    spec = site(
        compute={"nodes": {"match": "cn*", "through": "hpc"}},
        jobs={"hpc-job": {"through": "hpc", "proxy": "start", "command": "enter"}},
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
                "preferredauthentications": "publickey",
                "identityfile": "~/.ssh/id_hpc",
                "identitiesonly": "yes",
            },
            id="a key",
        ),
        pytest.param(
            {"method": "publickey", "then": "keyboard-interactive", "key": "/home/ada/my keys/id"},
            {
                "preferredauthentications": "publickey,keyboard-interactive",
                "identityfile": '"/home/ada/my keys/id"',
                "identitiesonly": "yes",
            },
            id="a key with a space in its path, then a second factor",
        ),
        pytest.param(
            {"method": "publickey", "add_keys_to_agent": True},
            {
                "preferredauthentications": "publickey",
                "identityfile": "~/.ssh/id_hpc",
                "identitiesonly": "yes",
                "addkeystoagent": "yes",
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
                "preferredauthentications": "publickey",
                "identityfile": "~/.ssh/id_hpc",
                "certificatefile": "~/.ssh/id_hpc-cert.pub",
                "identitiesonly": "yes",
            },
            id="a certificate beside its key",
        ),
        pytest.param(
            {"method": "certificate", "certificate": "~/.certs/{user}-cert.pub"},
            {
                "preferredauthentications": "publickey",
                "identityfile": "~/.ssh/id_hpc",
                "certificatefile": "~/.certs/ada-cert.pub",
                "identitiesonly": "yes",
            },
            id="a certificate somewhere else",
        ),
        pytest.param(
            {"method": "keyboard", "asks": ["password", "otp"]},
            {"preferredauthentications": "keyboard-interactive,password"},
            id="password and passcode",
        ),
        pytest.param(
            {"method": "keyboard", "asks": "password", "prefer": "password"},
            {"preferredauthentications": "password"},
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
                "gssapidelegatecredentials": "no",
            },
            id="a ticket, then a second factor",
        ),
        pytest.param(
            {"method": "kerberos", "principal": "{user}@EXAMPLE.ORG", "delegate": True},
            {
                "preferredauthentications": "gssapi-with-mic",
                "gssapiauthentication": "yes",
                "gssapidelegatecredentials": "yes",
            },
            id="a ticket that is passed on",
        ),
        pytest.param(
            {"method": "agent"},
            {"preferredauthentications": "publickey"},
            id="whatever the agent holds",
        ),
    ],
)
def test_how_a_person_proves_who_they_are(auth: dict[str, Any], expected: dict[str, str]) -> None:
    found = settings(site(auth=auth))
    other = {
        "hostname",
        "port",
        "user",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "stricthostkeychecking",
    }
    assert {keyword: value for keyword, value in found.items() if keyword not in other} == expected


def test_a_host_may_have_a_way_in_of_its_own() -> None:
    spec = site(
        hosts={
            "hpc": {"host": "login.example.org"},
            "hpc-web": {
                "host": "web.example.org",
                "auth": {"method": "keyboard", "asks": "password"},
            },
        }
    )
    assert settings(spec, "hpc")["preferredauthentications"] == "publickey"
    assert settings(spec, "hpc-web")["preferredauthentications"] == "keyboard-interactive,password"


@pytest.mark.parametrize(
    ("multiplexing", "wanted", "expected"),
    [
        ("allowed", True, ("auto", "~/.ssh/gen-%C", "10m")),
        ("required", True, ("auto", "~/.ssh/gen-%C", "10m")),
        ("forbidden", True, ("no", "none", None)),
        ("allowed", False, ("no", "none", None)),
    ],
    ids=["allowed", "required", "forbidden by the site", "declined by the person"],
)
def test_sessions_share_a_connection_where_they_may(
    multiplexing: str, wanted: bool, expected: tuple[str | None, ...]
) -> None:
    spec = site(
        multiplexing=multiplexing,
        compute={"nodes": {"match": "cn*", "through": "hpc"}},
        jobs={"hpc-job": {"through": "hpc", "proxy": "start", "command": "enter"}},
    )
    for name in ("hpc", "hpc-job", "cn*"):
        found = settings(spec, name, SiteProfile(user="ada", multiplexing=wanted))
        assert (
            tuple(found.get(f"control{what}") for what in ("master", "path", "persist")) == expected
        )


def test_a_host_name_that_two_entries_have_goes_with_the_first() -> None:
    hosts = {
        "hpc": {"host": "login.example.org"},
        "hpc-keys": {"host": "login.example.org", "port": 27},
    }
    spec = site(hosts=hosts)
    assert parsed(spec).hosts() == ("hpc login.example.org",) * 2 + ("hpc-keys",) * 2
    assert settings(spec, "login.example.org")["port"] == "22"
    assert settings(spec, "hpc-keys")["port"] == "27"
    assert settings(spec, "hpc-keys")["hostname"] == "login.example.org"


def test_an_alias_that_is_the_host_name_stands_once() -> None:
    assert (
        parsed(site(hosts={"login.example.org": {"host": "login.example.org"}})).hosts()
        == ("login.example.org",) * 2
    )


def test_hosts_nodes_and_compute_nodes_behind_a_jump_host() -> None:
    spec = site(
        hosts={
            "gate": {"host": "gate.example.org", "role": "jump"},
            "hpc": {
                "host": "login.example.org",
                "via": "gate",
                "nodes": {"alias": "hpc{n}", "host": "l{n}.x", "n": "1-2"},
            },
        },
        compute={"nodes": {"match": "cn*", "through": "hpc2"}},
    )
    jumps = {
        name: settings(spec, name).get("proxyjump")
        for name in ("gate", "hpc", "hpc1", "hpc2", "cn*")
    }
    assert jumps == {"gate": None, "hpc": "gate", "hpc1": "gate", "hpc2": "gate", "cn*": "hpc2"}


@pytest.mark.parametrize(("lent", "expected"), [(True, "yes"), (False, None)])
def test_the_agent_is_lent_to_hosts_that_ask_for_it_alone(lent: bool, expected: str | None) -> None:
    hosts = {"hpc": {"host": "login.example.org", "forward_agent": lent}}
    assert settings(site(hosts=hosts)).get("forwardagent") == expected


def test_a_compute_name_is_completed_once() -> None:
    """`cn*` matches the full name too, which would get the domain a second time."""
    spec = site(
        compute={"nodes": {"match": ["cn*", "g??"], "host": "%h.example.org", "through": "hpc"}}
    )
    assert parsed(spec).hosts()[-2:] == (
        "cn* g?? !cn*.example.org",
        "cn* g?? cn*.example.org g??.example.org",
    )


def test_an_unknown_user_leaves_user_out_and_says_so() -> None:
    spec = site(compute={"nodes": {"match": "cn*", "through": "hpc"}})
    assert "User " not in text(spec, SiteProfile()).replace(
        "# User is left out: it needs user\n", ""
    )
    assert text(spec, SiteProfile()).count("# User is left out: it needs user\n") == 2
    assert settings(spec)["user"] == "ada"


def test_a_user_name_may_be_made_of_more_than_the_user() -> None:
    spec = site(hosts={"hpc": {"host": "login.example.org", "user": "{user}.{project}"}})
    assert settings(spec, profile=SiteProfile(user="ada", project="p1"))["user"] == "ada.p1"
    assert "user" not in settings(spec)
    assert "# User is left out: it needs project\n" in text(spec)


UNNAMED: Mapping[str, dict[str, Any]] = {
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
    "jump host's own way": {
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


@pytest.mark.parametrize("unnamed", UNNAMED.values(), ids=UNNAMED)
def test_nothing_is_written_for_what_has_no_name_or_no_way_yet(unnamed: dict[str, Any]) -> None:
    """Half a block would be worse than none: a name without pins, or a keyword without a value, which stops ssh."""
    assert parsed(site(**unnamed)).hosts() == ()
    assert "is left out: it needs project\n" in text(site(**unnamed))


@pytest.mark.parametrize("unnamed", UNNAMED.values(), ids=UNNAMED)
def test_it_is_written_once_the_value_is_known(unnamed: dict[str, Any]) -> None:
    content = text(site(**unnamed), SiteProfile(user="ada", project="p1"))
    assert "left out" not in content
    assert "{" not in content
    assert "Host " in content


def test_a_job_is_entered_through_its_login_host_whose_key_is_the_one_that_counts() -> None:
    job = {"through": "hpc", "proxy": "start --output=%j.log", "command": "enter", "timeout": 60}
    found = settings(site(jobs={"hpc-job": job}), "hpc-job")
    assert found["proxycommand"] == 'ssh hpc "start --output=%%j.log"'
    assert found["remotecommand"] == "enter"
    assert (found["requesttty"], found["connecttimeout"]) == ("force", "60")
    assert (found["stricthostkeychecking"], found["userknownhostsfile"]) == ("no", "/dev/null")


PINNED = {
    "stricthostkeychecking": "yes",
    "updatehostkeys": "no",
    "verifyhostkeydns": "no",
    "userknownhostsfile": "/dev/null",
    "globalknownhostsfile": "/dev/null",
}
ASK = {"stricthostkeychecking": "ask"}
ABOUT_HOST_KEYS = (*PINNED, "knownhostscommand", "hostkeyalgorithms")
CERTIFICATES = ",".join(
    f"{name}-cert-v01@openssh.com"
    for name in (
        "ssh-ed25519",
        *(f"ecdsa-sha2-nistp{size}" for size in (256, 384, 521)),
        *("rsa-sha2-512", "rsa-sha2-256"),
    )
)


@pytest.mark.parametrize(
    ("keys", "command", "algorithms"),
    [
        pytest.param(
            {"fingerprints": {"ed25519": FINGERPRINT}},
            f"""'case "$3" in {FINGERPRINT}) echo "$0 $1 $2";; esac'""",
            "ssh-ed25519",
            id="a fingerprint",
        ),
        pytest.param(
            {"fingerprints": {"rsa": [OTHER, FINGERPRINT]}},
            f"""'case "$3" in {OTHER}|{FINGERPRINT}) echo "$0 $1 $2";; esac'""",
            "rsa-sha2-512,rsa-sha2-256",
            id="two fingerprints of one type",
        ),
        pytest.param(
            {"keys": KEY, "fingerprints": {"ed25519": FINGERPRINT}},
            f"""'case "$3" in {FINGERPRINT}) echo "$0 $1 $2";; esac'""",
            "ssh-ed25519",
            id="a whole key, and its fingerprint",
        ),
        pytest.param(
            {"authorities": {"hosts": "*.example.org", "key": KEY}},
            f"""'echo "@cert-authority *.example.org {KEY}"'""",
            None,
            id="an authority",
        ),
        pytest.param(
            {
                "authorities": {"hosts": "*.example.org", "key": KEY},
                "fingerprints": {"ed25519": OTHER},
            },
            f"""'case "$3" in {OTHER}) echo "$0 $1 $2";; esac; echo "@cert-authority *.example.org {KEY}"'""",
            f"{CERTIFICATES},ssh-ed25519",
            id="an authority and a fingerprint",
        ),
    ],
)
def test_the_keys_of_the_spec_are_accepted_and_no_others(
    keys: dict[str, Any], command: str, algorithms: str | None
) -> None:
    found = settings(site(host_keys=host_keys(**keys)))
    expected = PINNED | {"knownhostscommand": f"/bin/sh -c {command} %H %t %K %f"}
    expected |= {"hostkeyalgorithms": algorithms} if algorithms else {}
    assert {keyword: found[keyword] for keyword in ABOUT_HOST_KEYS if keyword in found} == expected


def test_an_authority_is_named_with_the_port_as_known_hosts_has_it() -> None:
    authority = {"hosts": "*.example.org", "key": KEY}
    hosts = {"hpc": {"host": "login.example.org", "port": 2222}}
    found = settings(site(hosts=hosts, host_keys=host_keys(authorities=authority)))
    assert "@cert-authority [*.example.org]:2222 " in found["knownhostscommand"]


@pytest.mark.parametrize(
    ("sources", "accepted", "pinned"),
    [
        ("docs", False, True),
        ("hearsay", False, False),
        ("hearsay", True, True),
        (["hearsay", "docs"], False, True),
    ],
    ids=[
        "from the documentation",
        "from hearsay",
        "from hearsay, compared by the person",
        "from both",
    ],
)
def test_keys_from_weak_sources_are_pinned_only_if_the_person_accepted_them(
    sources: str | list[str], accepted: bool, pinned: bool
) -> None:
    spec = site(host_keys=host_keys(fingerprints={"ed25519": FINGERPRINT}, source=sources))
    found = settings(spec, profile=SiteProfile(user="ada", accept_unverified=accepted))
    assert ("knownhostscommand" in found) is pinned
    assert found["stricthostkeychecking"] == ("yes" if pinned else "ask")


def test_a_host_without_keys_is_asked_about() -> None:
    found = settings(site())
    assert {keyword: found[keyword] for keyword in ABOUT_HOST_KEYS if keyword in found} == ASK


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
    commands = {
        name: str(settings(spec, name)["knownhostscommand"]) for name in ("hpc", "hpc-data", "cn*")
    }
    assert {
        name: (FINGERPRINT in command, OTHER in command) for name, command in commands.items()
    } == {
        "hpc": (True, False),
        "hpc-data": (False, True),
        "cn*": (False, True),
    }


def test_the_persons_key_stands_for_the_usual_one_and_for_no_robots() -> None:
    robot = {
        "host": "robot.example.org",
        "auth": {"method": "publickey", "key": "~/.ssh/id_{site}_robot"},
    }
    gate = {"host": "gate.example.org", "auth": {"method": "publickey", "then": "password"}}
    hosts = {"hpc": {"host": "login.example.org"}, "gate": gate, "robot": robot}
    profile = SiteProfile(user="ada", identity_file="/keys/ada")
    config = parsed(site(hosts=hosts), profile)
    keys = {name: of(config, name)["identityfile"] for name in hosts}
    assert keys == {"hpc": "/keys/ada", "gate": "/keys/ada", "robot": "~/.ssh/id_hpc_robot"}


def test_two_ways_into_one_host_do_not_share_a_connection() -> None:
    """A shared connection is taken as it is, whatever the second way in asks for: an agent that is lent, say."""
    host = "login.example.org"
    hosts = {
        "hpc": {"host": host},
        "hpc-agent": {"host": host, "forward_agent": True},
        "sftp": {"host": host, "port": 12},
    }
    config = parsed(site(hosts=hosts))
    paths = {name: of(config, name)["controlpath"] for name in hosts}
    assert paths == {
        "hpc": "~/.ssh/gen-%C",
        "hpc-agent": "~/.ssh/gen-%C-2",
        "sftp": "~/.ssh/gen-%C",
    }


def test_names_of_nodes_that_other_sites_have_too_are_told_and_not_compiled() -> None:
    nodes = {"match": ["c?", "nid*"], "through": "hpc", "common": True}
    content = text(site(compute={"nodes": nodes}))
    assert (
        "# compute nodes c? nid*; other sites use these names too, so type: ssh -J hpc USER@NODE\n"
        in content
    )
    assert "Host c?" not in content
    assert "ProxyJump" not in content


def test_their_full_names_are_compiled() -> None:
    nodes = {"match": ["c?"], "host": "%h.hpc.example.org", "through": "hpc", "common": True}
    config = parsed(site(compute={"nodes": nodes}))
    assert of(config, "c?.hpc.example.org")["proxyjump"] == "hpc"
    assert of(config, "c?") == {}
