"""`gen status SITE --live` at a real sshd and a real Slurm: what differs is told as what it is, and nothing else is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import slurm
import sshd
from ruamel.yaml import YAML
from running import Gen, Result, running
from sshd import TEST_USER, Rig, SshServer

import generator

pytestmark = pytest.mark.system

KEYS = ("ed25519", "ecdsa", "rsa")
STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "test",
}
PARTITIONS = {
    "long": {"qos": ["main", "devel"], "max_walltime": "2-00:00:00", "mem": "768G"},
    "short": {"qos": ["devel"], "max_walltime": "01:00:00", "default_walltime": "00:30:00"},
}
QUEUES = {
    "partition": "long",
    "partitions": PARTITIONS,
    "qos_limits": {"main": {}, "devel": {"max_walltime": "00:10:00"}},
    "source": "test",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    partitions = {"long": "MaxTime=2-00:00:00", "short": "MaxTime=60 DefaultTime=30 AllowQos=devel"}
    with slurm.slurm(
        tmp_path_factory.mktemp("slurm"), partitions, {"main": "", "devel": "MaxWall=00:10:00"}
    ) as one:
        yield one


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    need(*sshd.PROGRAMS, *slurm.PROGRAMS, "ssh-keyscan", root=True)
    with Rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def gen(rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    """Run gen as a person with a scratch home folder: its ssh, too, finds that one."""
    programs = rig.directory / "bin"
    programs.mkdir()
    mounted = 'mount --bind "$1" "$2" && shift 2 && exec /usr/bin/ssh "$@"'
    words = f"exec unshare --mount sh -c '{mounted}' sh {rig.home} {TEST_USER.pw_dir}"
    (programs / "ssh").write_text(f'#!/bin/sh\n{words} "$@"\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin")
    monkeypatch.setenv("HOME", str(rig.home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(rig.directory)
    return running(monkeypatch, capfd.readouterr)


@dataclass(frozen=True)
class Place:
    """A site and its person."""

    rig: Rig
    gen: Gen
    spec: Path

    def live(self, *options: str, key: Path | None = None) -> Result:
        person = (
            "--user",
            TEST_USER.pw_name,
            "--identity-file",
            str(key or self.rig.key("ed25519-ada")),
        )
        return self.gen("status", str(self.spec), "--live", "--seconds", "60", *person, *options)

    def report(self, *options: str, key: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Return the exit status, and what was found as programs read it."""
        done = self.live("--json", *options, key=key)
        assert done.err == "asking Servers of a test …\n"
        return done.status, json.loads(done.out)

    def found(self, *options: str, key: Path | None = None) -> tuple[int, list[tuple[str, str]]]:
        """Return the exit status, and kind and place of each finding."""
        status, report = self.report(*options, key=key)
        return status, [(one["kind"], one["about"]) for one in report["findings"]]


def pinned(rig: Rig, *keys: str) -> dict[str, Any]:
    return {"fingerprints": {key: rig.fingerprint(key) for key in keys or KEYS}}


def place(
    rig: Rig, gen: Gen, server: SshServer, pins: Mapping[str, Any] | None = None, **more: Any
) -> Place:
    """Write the spec of a site that is as it says, but for what a test changes."""
    spec = sshd.site(server, pins or pinned(rig), **{"slurm": QUEUES} | more)
    path = rig.directory / "rig.yaml"
    with path.open("w") as file:
        YAML().dump(spec, file)
    return Place(rig, gen, path)


def queues(**more: Any) -> dict[str, Any]:
    return {"slurm": {**QUEUES, **more}}


def partition(name: str, **more: Any) -> dict[str, Any]:
    return queues(partitions={**PARTITIONS, name: {**PARTITIONS.get(name, {}), **more}})


def without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def test_nothing_is_reported_of_a_site_that_is_as_its_spec_says(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    more = {"ray": {"pre_start_commands": "ulimit -n 64"}}
    here = place(rig, gen, rig.serve("login", KEYS, cluster.set_env), **more)
    compared = [
        "ssh client",
        "names",
        "ports",
        "host keys",
        "login",
        "clock",
        "open files",
        "partitions",
        "QoS",
    ]
    status, report = here.report()
    assert (status, report["findings"], report["asked"]) == (0, [], compared)


@pytest.mark.parametrize(
    ("more", "kind", "about"),
    [
        pytest.param(
            partition("gone"), "partition-missing", "slurm.partitions.gone", id="missing partition"
        ),
        pytest.param(
            queues(partitions=without(PARTITIONS, "short")),
            "partition-extra",
            "slurm.partitions.short",
            id="extra partition",
        ),
        pytest.param(
            partition("long", qos=["main", "devel", "old"]),
            "qos-missing",
            "slurm.partitions.long.qos",
            id="missing QoS",
        ),
        pytest.param(
            queues(
                qos_limits={"devel": {"max_walltime": "00:10:00"}},
                partitions={**PARTITIONS, "long": {**PARTITIONS["long"], "qos": ["devel"]}},
            ),
            "qos-extra",
            "slurm.qos_limits.main",
            id="extra QoS",
        ),
        pytest.param(
            partition("short", qos=["devel", "main"]),
            "qos-pairing",
            "slurm.partitions.short.qos",
            id="refused pairing",
        ),
        pytest.param(
            partition("long", max_walltime="7-00:00:00"),
            "walltime",
            "slurm.partitions.long.max_walltime",
            id="shorter walltime",
        ),
        pytest.param(
            partition("short", default_walltime="01:00:00"),
            "walltime",
            "slurm.partitions.short.default_walltime",
            id="shorter walltime of a job that names none",
        ),
        pytest.param(
            queues(qos_limits={"main": {}, "devel": {"max_walltime": "02:00:00"}}),
            "walltime",
            "slurm.qos_limits.devel.max_walltime",
            id="shorter walltime of a QoS",
        ),
        pytest.param(
            partition("long", mem="1T"), "memory", "slurm.partitions.long.mem", id="less memory"
        ),
        pytest.param(
            queues(mem="1T"), "memory", "slurm.mem", id="a job that asks for too much memory"
        ),
        pytest.param(
            {"ray": {"pre_start_commands": "ulimit -n 99999999"}},
            "open-files",
            "ray.pre_start_commands",
            id="too few open files",
        ),
    ],
)
def test_a_difference_is_told_as_what_it_is(
    rig: Rig, gen: Gen, cluster: slurm.Slurm, more: Mapping[str, Any], kind: str, about: str
) -> None:
    here = place(rig, gen, rig.serve("login", KEYS, cluster.set_env), **more)
    assert here.found() == (1, [(kind, about)])


def test_a_host_key_that_was_swapped_is_told_and_trusted_by_nobody(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    server = rig.serve("login", ["ed25519-other", "ecdsa", "rsa"], cluster.set_env)
    status, report = place(rig, gen, server).report()
    (found,) = report["findings"]
    assert (status, found["kind"], found["about"]) == (
        1,
        "host-key",
        "host_keys.login.fingerprints.ed25519",
    )
    assert (found["spec"], found["site"]) == (
        rig.fingerprint("ed25519"),
        f"localhost offers {rig.fingerprint('ed25519-other')}",
    )
    assert server.logins() == []
    assert place(rig, gen, server, pinned(rig, "ed25519")).found() == (
        1,
        [(found["kind"], found["about"])],
    )
    assert server.logins() == []


def test_a_pinned_key_that_is_offered_no_more_is_told(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    here = place(rig, gen, rig.serve("login", ["ed25519", "ecdsa"], cluster.set_env))
    assert here.found() == (1, [("host-key-gone", "host_keys.login.fingerprints.rsa")])


@pytest.mark.parametrize(
    ("authority", "options", "expected"),
    [
        pytest.param("ecdsa-hosts", ("-V", "+1h"), (0, []), id="a good one is nothing to tell"),
        pytest.param(
            "ecdsa-other",
            ("-V", "+1h"),
            (1, [("host-certificate", "host_keys.login")]),
            id="other authority",
        ),
        pytest.param(
            "ecdsa-hosts",
            ("-V", "-2h:-1h"),
            (1, [("host-certificate", "host_keys.login")]),
            id="expired",
        ),
    ],
)
def test_host_certificates_are_held_against_their_authority(
    rig: Rig,
    gen: Gen,
    cluster: slurm.Slurm,
    authority: str,
    options: tuple[str, ...],
    expected: object,
) -> None:
    key = rig.certify("ed25519", authority, "-h", "-n", "localhost", *options)
    server = rig.serve("login", ["ed25519"], f"HostCertificate {key}-cert.pub", cluster.set_env)
    pins = {"authorities": {"hosts": "localhost", "key": rig.public("ecdsa-hosts")}}
    assert place(rig, gen, server, pins).found() == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("-V", "+1h"), (0, []), id="valid"),
        pytest.param(("-V", "-2h:-1h"), (2, [("certificate", "auth.key")]), id="expired"),
        pytest.param(("-V", "+1h:+2h"), (2, [("certificate", "auth.key")]), id="not valid yet"),
    ],
)
def test_an_expired_certificate_is_told_before_anybody_is_bothered(
    rig: Rig, gen: Gen, cluster: slurm.Slurm, options: tuple[str, ...], expected: object
) -> None:
    authority = f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub"
    server = rig.serve("login", KEYS, cluster.set_env, authority, "AuthorizedKeysFile none")
    key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, *options)
    assert place(rig, gen, server, auth=STEP).found(key=key) == expected
    assert len(server.logins()) == (1 if expected == (0, []) else 0)


def test_a_clock_that_is_wrong_is_told(rig: Rig, gen: Gen, cluster: slurm.Slurm) -> None:
    """The `date` at the site is a stand-in that is ten minutes late: a machine has only one clock."""
    programs = rig.directory / "late"
    programs.mkdir()
    (programs / "date").write_text("#!/bin/sh\necho $(($(/bin/date -u +%s) - 600))\n")
    (programs / "date").chmod(0o755)
    late = f"{cluster.set_env} PATH={programs}:/usr/bin:/bin"
    status, report = place(rig, gen, rig.serve("login", KEYS, late)).report()
    assert (status, [one["kind"] for one in report["findings"]]) == (1, ["clock"])
    assert "about 600 s behind this machine" in report["findings"][0]["site"]


@pytest.mark.parametrize(
    ("lines", "more", "expected"),
    [
        pytest.param(
            ("AuthorizedKeysFile none",),
            {},
            [("login", "auth")],
            id="a key that is not known there",
        ),
        pytest.param(
            ("AuthenticationMethods publickey,password", "PasswordAuthentication yes"),
            {"auth": {"method": "publickey", "then": "password"}},
            [("person", "auth")],
            id="a password, and nobody to type it",
        ),
        pytest.param(
            ("ForceCommand /bin/false",), {}, [("answer", "hosts.rig")], id="no command may be run"
        ),
        pytest.param(
            ("SetEnv SLURM_CONF=/dev/null",),
            {},
            [("answer", "slurm.partitions"), ("answer", "slurm.qos_limits")],
            id="Slurm gives no answer",
        ),
        pytest.param(
            (),
            {"hosts": {"rig": {"host": "no-such-host.invalid"}}},
            [("name", "hosts.rig.host")],
            id="no name",
        ),
        pytest.param(
            (),
            {"hosts": {"rig": {"host": "localhost", "port": 1}}},
            [("tcp", "hosts.rig.host")],
            id="no port",
        ),
    ],
)
def test_a_question_that_cannot_be_asked_is_no_difference(
    rig: Rig,
    gen: Gen,
    cluster: slurm.Slurm,
    lines: tuple[str, ...],
    more: Mapping[str, Any],
    expected: object,
) -> None:
    here = place(rig, gen, rig.serve("login", KEYS, *lines, cluster.set_env), **more)
    assert here.found("--seconds", "20") == (2, expected)


def test_a_key_that_is_not_there_is_told_with_what_makes_it(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    nowhere = rig.directory / "id_nowhere"
    done = place(rig, gen, rig.serve("login", KEYS, cluster.set_env)).live(key=nowhere)
    assert (done.status, done.out.partition("\n")[0]) == (2, "key: auth.key")
    assert f"ssh-keygen -t ed25519 -f {nowhere}" in " ".join(done.out.split())


def test_a_site_behind_a_jump_host_is_asked_through_it(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    jump = rig.serve("jump", KEYS)
    inner = rig.serve("inner", KEYS, cluster.set_env)
    hosts = {
        "rig": {"host": "localhost", "port": inner.port, "via": "jump"},
        "jump": {"host": "localhost", "port": jump.port, "role": "jump"},
    }
    keys = {"login": {"hosts": ["rig", "jump"], "source": "test", **pinned(rig)}}
    assert place(rig, gen, inner, hosts=hosts, host_keys=keys).found() == (0, [])
    keys = {
        "jump": {"hosts": "jump", "source": "test", **pinned(rig)},
        "rig": {"hosts": "rig", "source": "test", **pinned(rig, "ed25519")},
    }
    keys["rig"]["fingerprints"] = {"ed25519": rig.fingerprint("ed25519-other")}
    assert place(rig, gen, inner, hosts=hosts, host_keys=keys).found() == (
        1,
        [("host-key", "hosts.rig")],
    )


def test_a_site_that_swallows_packets_is_given_up_in_time(
    rig: Rig, gen: Gen, need: Callable[..., None]
) -> None:
    need("ip")
    here = place(
        rig,
        gen,
        SshServer("login", 22, rig.directory / "none"),
        hosts={"rig": {"host": "192.0.2.9"}},
    )
    # What goes to an address that lo has not comes back in, is nobody's, and is dropped.
    net = 'ip link set lo up && ip route add 192.0.2.0/24 dev lo && exec "$@"'
    words = (
        "status",
        str(here.spec),
        "--live",
        "--json",
        "--identity-file",
        str(rig.key("ed25519-ada")),
    )

    def run(seconds: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        start = monotonic()
        done = subprocess.run(
            [
                "unshare",
                "--net",
                "sh",
                "-c",
                net,
                "sh",
                sys.executable,
                "-m",
                "generator",
                *words,
                "--seconds",
                seconds,
            ],
            env={**os.environ, "PYTHONPATH": str(Path(generator.__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return monotonic() - start, done

    (least, _), (took, done) = run("1"), run("6")
    assert took - least < 6 + least  # gen itself has to start, on a machine that may be busy
    assert done.returncode == 2
    assert [(one["kind"], one["site"]) for one in json.loads(done.stdout)["findings"]] == [
        ("tcp", "no answer in time")
    ]


def test_fix_spec_writes_the_facts_and_then_nothing_differs(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    here = place(rig, gen, rig.serve("login", KEYS, cluster.set_env))
    text = here.spec.read_text()
    start, _, _ = text.partition("slurm:")
    wrong = """\
slurm:
  partition: long                  # the usual one
  walltime: 3-00:00:00
  partitions:
    gone: { source: test }
    long:                          # for most jobs
      max_walltime: 7-00:00:00
      mem: 64G                     # as the documentation says
      qos: main
  source: test
"""
    here.spec.write_text(start + wrong)
    refused = here.live("--fix-spec")
    assert refused.status == 2
    assert "nothing was written; there is no terminal to ask on" in refused.err
    assert here.spec.read_text() == start + wrong
    done = here.live("--fix-spec", "--yes")
    assert (done.status, "left to you" in done.err) == (0, False)
    fixed = here.spec.read_text()
    assert "# the usual one" in fixed
    assert "# as the documentation says" in fixed
    assert set(start.splitlines()) <= set(fixed.splitlines())
    assert here.found() == (0, [])


def test_a_first_spec_is_made_of_what_the_site_answers(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    server = rig.serve("login", KEYS, cluster.set_env)
    known = rig.directory / "known_hosts"
    known.write_text("".join(f"[localhost]:{server.port} {rig.public(key)}\n" for key in KEYS))
    config = f"""\
Host big
  HostName localhost
  Port {server.port}
  User {TEST_USER.pw_name}
  IdentityFile {rig.key("ed25519-ada")}
  UserKnownHostsFile {known}
"""
    (rig.home / ".ssh/config").write_text(config)
    here = Place(rig, gen, rig.directory / "site_specs/big.yaml")
    done = here.gen("import", "big", "--live", "--seconds", "30")
    assert done.status == 0, done.err
    spec = YAML(typ="safe").load(here.spec)
    assert {
        key: spec["slurm"]["partitions"][key].get("max_walltime") for key in ("long", "short")
    } == {
        "long": "2-00:00:00",
        "short": "01:00:00",
    }
    assert spec["host_keys"]["big"]["fingerprints"] == {key: [rig.fingerprint(key)] for key in KEYS}
    assert TEST_USER.pw_name not in here.spec.read_text().replace("/root", "").split()
    assert "already exists" in here.gen("import", "big").err
    assert here.gen("validate", str(here.spec)).status == 0
    accepted = here.live("--profile", str(_accepting(rig)))
    assert (accepted.status, "nothing differs" in accepted.out) == (0, True), accepted.out


def _accepting(rig: Rig) -> Path:
    """Return the profile of somebody who compared the host keys."""
    path = rig.directory / "profile.yaml"
    path.write_text("accept_unverified: true\n")
    return path


def test_a_first_spec_has_the_way_that_ssh_takes(rig: Rig, gen: Gen) -> None:
    known = rig.directory / "known_hosts"
    known.write_text(
        f"[login.example.org]:2222 {rig.public('ed25519')}\n@cert-authority *.example.org {rig.public('rsa')}\n"
    )
    subprocess.run(
        ["ssh-keygen", "-q", "-H", "-f", str(known)],
        check=True,
        timeout=120,
        stderr=subprocess.DEVNULL,
    )
    config = f"""\
Host big
  HostName login.example.org
  Port 2222
  User ada
  ProxyJump gate
  IdentityFile ~/.ssh/id_big
  ServerAliveInterval 60
Host gate
  HostName gate.example.org
  ProxyJump outer.example.org:2200,ada@inner
Host *
  UserKnownHostsFile {known}
  IdentityFile ~/.ssh/id_all
"""
    (rig.home / ".ssh/config").write_text(config)
    done = gen("import", "big")
    assert done.status == 0, done.err
    assert "sites: { big: { user: ada } }" in done.err
    spec = YAML(typ="safe").load(rig.directory / "site_specs/big.yaml")
    assert list(spec["hosts"]) == ["big", "gate", "inner", "outer.example.org"]
    assert [host.get("via") for host in spec["hosts"].values()] == [
        "gate",
        "inner",
        "outer.example.org",
        None,
    ]
    assert spec["hosts"]["big"]["keepalive"] == {"interval": 60, "count": 3}
    assert spec["hosts"]["outer.example.org"]["port"] == 2200
    assert spec["auth"] == {"method": "publickey", "key": "~/.ssh/id_big", "source": "ssh-config"}
    assert spec["host_keys"]["big"]["fingerprints"] == {"ed25519": [rig.fingerprint("ed25519")]}
    assert spec["host_keys"]["gate"]["authorities"] == [
        {"hosts": "*.example.org", "key": rig.public("rsa")}
    ]
    assert all(source["weak"] for source in spec["sources"].values())
    assert gen("import", "nowhere").err.startswith(
        "nowhere: your ssh configuration says nothing of it"
    )
    assert (
        gen("import", "big").err
        == "site_specs/big.yaml: already exists; move it, or choose another --name\n"
    )
