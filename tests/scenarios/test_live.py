"""`gen status SITE --live` with a real sshd and Slurm reports each difference, and nothing else."""

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
    # Its default time limit differs from its longest, so that both are compared.
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
    # In minutes (slurm.conf(5)): 60 and 30 are the hour and the half hour of PARTITIONS.
    partitions = {"long": "MaxTime=2-00:00:00", "short": "MaxTime=60 DefaultTime=30 AllowQos=devel"}
    with slurm.slurm(
        tmp_path_factory.mktemp("slurm"), partitions, {"main": "", "devel": "MaxWall=00:10:00"}
    ) as cluster:
        yield cluster


@pytest.fixture
def rig(tmp_path: Path, need: Callable[..., None]) -> Iterator[Rig]:
    # sshd changes to the user, and Slurm to slurm: both need root.
    need(*sshd.PROGRAMS, *slurm.PROGRAMS, "ssh-keyscan", root=True)
    with Rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def gen(rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Gen:
    """Run gen with a scratch home directory, which ssh uses too."""
    programs = rig.directory / "bin"
    programs.mkdir()
    # ssh reads the home directory from the passwd database, so the scratch one is mounted there.
    script = 'mount --bind "$1" "$2" && shift 2 && exec /usr/bin/ssh "$@"'
    command = f"exec unshare --mount sh -c '{script}' sh {rig.home} {TEST_USER.pw_dir}"
    (programs / "ssh").write_text(f'#!/bin/sh\n{command} "$@"\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin")
    monkeypatch.setenv("HOME", str(rig.home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # An agent of whoever runs the tests would offer its keys.
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(rig.directory)
    return running(monkeypatch, capfd.readouterr)


@dataclass(frozen=True)
class ProbedSite:
    """A site with its spec, as the test user probes it."""

    rig: Rig
    gen: Gen
    spec: Path

    def live(self, *options: str, key: Path | None = None) -> Result:
        """Run `gen status --live`."""
        path = str(key or self.rig.key("ed25519-ada"))
        user = ("--user", TEST_USER.pw_name, "--identity-file", path)
        return self.gen("status", str(self.spec), "--live", "--seconds", "60", *user, *options)

    def report(self, *options: str, key: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Return the exit status and the JSON report."""
        result = self.live("--json", *options, key=key)
        # On stderr, so that the report on stdout is JSON alone.
        assert result.err == "asking Servers of a test …\n"
        return result.status, json.loads(result.out)

    def findings(self, *options: str, key: Path | None = None) -> tuple[int, list[tuple[str, str]]]:
        """Return the exit status, and kind and key of each finding."""
        status, report = self.report(*options, key=key)
        return status, [(finding["kind"], finding["key"]) for finding in report["findings"]]


def pinned(rig: Rig, *keys: str) -> dict[str, Any]:
    """Return the pins of some host keys, or of all."""
    return {"fingerprints": {key: rig.fingerprint(key) for key in keys or KEYS}}


def probed_site(
    rig: Rig, gen: Gen, server: SshServer, pins: Mapping[str, Any] | None = None, **parts: Any
) -> ProbedSite:
    """Write a spec that agrees with the site, except for the given parts."""
    spec = sshd.site(server, pins or pinned(rig), **{"slurm": QUEUES} | parts)
    path = rig.directory / "rig.yaml"
    with path.open("w") as file:
        YAML().dump(spec, file)
    return ProbedSite(rig, gen, path)


def queues(**values: Any) -> dict[str, Any]:
    """Return the `slurm` of a spec with other values."""
    return {"slurm": {**QUEUES, **values}}


def partition(name: str, **values: Any) -> dict[str, Any]:
    """Return the `slurm` of a spec with other values of a partition."""
    return queues(partitions={**PARTITIONS, name: {**PARTITIONS.get(name, {}), **values}})


def without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def test_a_site_that_agrees_with_its_spec_has_no_finding(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    # The probe reads the number of open files from this command, and a login may raise it so far.
    parts = {"ray": {"pre_start_commands": "ulimit -n 64"}}
    site = probed_site(rig, gen, rig.serve("login", KEYS, cluster.set_env), **parts)
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
    status, report = site.report()
    assert (status, report["findings"], report["compared"]) == (0, [], compared)


@pytest.mark.parametrize(
    ("parts", "kind", "key"),
    [
        pytest.param(
            # A name that Slurm does not know: sbatch would refuse every job.
            partition("gone"),
            "partition-missing",
            "slurm.partitions.gone",
            id="missing partition",
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
            # AllowQos of the partition lacks it, and the association of the user has it.
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
            # dagster-slurm starts Ray with this command, which fails if the hard limit is lower.
            "open-files",
            "ray.pre_start_commands",
            id="too few open files",
        ),
    ],
)
def test_a_difference_is_reported_with_its_kind_and_key(
    rig: Rig, gen: Gen, cluster: slurm.Slurm, parts: Mapping[str, Any], kind: str, key: str
) -> None:
    site = probed_site(rig, gen, rig.serve("login", KEYS, cluster.set_env), **parts)
    assert site.findings() == (1, [(kind, key)])


def test_a_swapped_host_key_is_reported_and_never_trusted(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    # Only one of three keys differs. ssh would connect by another one, so gen compares all of them.
    server = rig.serve("login", ["ed25519-other", "ecdsa", "rsa"], cluster.set_env)
    status, report = probed_site(rig, gen, server).report()
    (finding,) = report["findings"]
    # Named by its key in the spec, which a maintainer has to change or defend.
    expected = ("host-key", "host_keys.login.fingerprints.ed25519")
    assert (status, finding["kind"], finding["key"]) == (1, *expected)
    assert (finding["spec"], finding["site"]) == (
        rig.fingerprint("ed25519"),
        f"localhost offers {rig.fingerprint('ed25519-other')}",
    )
    assert server.logins() == []
    assert probed_site(rig, gen, server, pinned(rig, "ed25519")).findings() == (
        1,
        [expected],
    )
    assert server.logins() == []


@pytest.mark.parametrize("is_authority", [False, True], ids=["a key", "an authority"])
def test_a_revoked_key_is_reported_and_never_trusted(
    rig: Rig, gen: Gen, cluster: slurm.Slurm, is_authority: bool
) -> None:
    # A server with a certificate offers its plain key too.
    certified = rig.certify("ed25519", "ecdsa-ca", "-h", "-n", "localhost")
    server = rig.serve(
        "login", ["ed25519"], f"HostCertificate {certified}-cert.pub", cluster.set_env
    )
    revoked_key = "ecdsa-ca" if is_authority else "ed25519"
    # The user has accepted both, and the spec pins nothing.
    known_hosts = rig.home / ".ssh/known_hosts"
    known_hosts.write_text(
        f"[localhost]:{server.port} {rig.public('ed25519')}\n"
        f"@cert-authority * {rig.public('ecdsa-ca')}\n"
    )
    revoked = {"source": "test", "reason": "published", "keys": rig.public(revoked_key)}
    parts = {"host_keys": {}, "revoked_keys": {"leaked": revoked}}
    status, report = probed_site(rig, gen, server, **parts).report()
    value = rig.fingerprint(revoked_key)
    offer = f"localhost offers a certificate of {value}" if is_authority else None
    expected = {
        "kind": "host-key",
        "key": "revoked_keys",
        "spec": f"{value} is revoked: published",
        "site": offer or f"localhost offers {value}",
        "action": "do not log in: whoever has the private key can pose as this machine",
    }
    (finding,) = [item for item in report["findings"] if item["key"] == "revoked_keys"]
    assert (status, {key: finding[key] for key in expected}) == (1, expected)
    assert server.logins() == []


def test_a_pinned_key_that_the_host_no_longer_offers_is_reported(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    site = probed_site(rig, gen, rig.serve("login", ["ed25519", "ecdsa"], cluster.set_env))
    # Often the first sign of a new machine, or of one that poses as it.
    assert site.findings() == (1, [("host-key-gone", "host_keys.login.fingerprints.rsa")])


@pytest.mark.parametrize(
    ("authority", "options", "expected"),
    [
        pytest.param("ecdsa-hosts", ("-V", "+1h"), (0, []), id="valid"),
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
def test_host_certificates_are_compared_with_their_authority(
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
    assert probed_site(rig, gen, server, pins).findings() == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("-V", "+1h"), (0, []), id="valid"),
        pytest.param(("-V", "-2h:-1h"), (2, [("certificate", "auth.key")]), id="expired"),
        # The clock of the user, or that of the CA, is wrong.
        pytest.param(("-V", "+1h:+2h"), (2, [("certificate", "auth.key")]), id="not valid yet"),
    ],
)
def test_an_expired_certificate_is_reported_without_a_login(
    rig: Rig, gen: Gen, cluster: slurm.Slurm, options: tuple[str, ...], expected: object
) -> None:
    authority = f"TrustedUserCAKeys {rig.key('ecdsa-users')}.pub"
    server = rig.serve("login", KEYS, cluster.set_env, authority, "AuthorizedKeysFile none")
    key = rig.certify("ed25519-ada", "ecdsa-users", "-n", TEST_USER.pw_name, *options)
    assert probed_site(rig, gen, server, auth=STEP).findings(key=key) == expected
    # A login with an expired certificate counts as a failure at the site, and some sites block an
    # address after a few.
    assert len(server.logins()) == (1 if expected == (0, []) else 0)


def test_a_clock_that_is_wrong_is_reported(rig: Rig, gen: Gen, cluster: slurm.Slurm) -> None:
    # A script stands in for `date` at the site, since one machine has only one clock.
    programs = rig.directory / "late"
    programs.mkdir()
    (programs / "date").write_text("#!/bin/sh\necho $(($(/bin/date -u +%s) - 600))\n")
    (programs / "date").chmod(0o755)
    late = f"{cluster.set_env} PATH={programs}:/usr/bin:/bin"
    status, report = probed_site(rig, gen, rig.serve("login", KEYS, late)).report()
    assert (status, [finding["kind"] for finding in report["findings"]]) == (1, ["clock"])
    assert "about 600 s behind this machine" in report["findings"][0]["site"]


@pytest.mark.parametrize(
    ("lines", "parts", "expected"),
    [
        pytest.param(
            # The second factor needs a user, so the probe can neither agree nor differ.
            ("AuthenticationMethods publickey,password", "PasswordAuthentication yes"),
            {"auth": {"method": "publickey", "then": "password"}},
            [("person", "auth")],
            id="password without a terminal",
        ),
        pytest.param(
            # Sites with restricted shells: the login works, and no question has an answer.
            ("ForceCommand /bin/false",),
            {},
            [("answer", "hosts.rig")],
            id="commands forbidden",
        ),
        pytest.param(
            ("SetEnv SLURM_CONF=/dev/null",),
            {},
            [("answer", "slurm.partitions"), ("answer", "slurm.qos_limits")],
            id="Slurm without an answer",
        ),
        pytest.param(
            (),
            # RFC 2606: this name never exists.
            {"hosts": {"rig": {"host": "no-such-host.invalid"}}},
            [("name", "hosts.rig.host")],
            id="unknown name",
        ),
        pytest.param(
            (),
            # tcpmux: no machine of today listens there.
            {"hosts": {"rig": {"host": "localhost", "port": 1}}},
            [("tcp", "hosts.rig.host")],
            id="closed port",
        ),
    ],
)
def test_a_question_without_an_answer_is_not_a_difference(
    rig: Rig,
    gen: Gen,
    cluster: slurm.Slurm,
    lines: tuple[str, ...],
    parts: Mapping[str, Any],
    expected: object,
) -> None:
    site = probed_site(rig, gen, rig.serve("login", KEYS, *lines, cluster.set_env), **parts)
    assert site.findings("--seconds", "20") == (2, expected)


def test_a_refused_login_is_reported_with_status_1(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    server = rig.serve("login", KEYS, "AuthorizedKeysFile none", cluster.set_env)
    site = probed_site(rig, gen, server)
    assert site.findings("--seconds", "20") == (1, [("login", "auth")])


def test_a_missing_key_is_reported_with_the_command_that_makes_it(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    nowhere = rig.directory / "id_nowhere"
    result = probed_site(rig, gen, rig.serve("login", KEYS, cluster.set_env)).live(key=nowhere)
    assert (result.status, result.out.partition("\n")[0]) == (2, "key: auth.key")
    assert f"ssh-keygen -t ed25519 -f {nowhere}" in " ".join(result.out.split())


def test_a_site_behind_a_jump_host_is_probed_through_it(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    jump = rig.serve("jump", KEYS)
    inner = rig.serve("inner", KEYS, cluster.set_env)
    hosts = {
        "rig": {"host": "localhost", "port": inner.port, "via": "jump"},
        "jump": {"host": "localhost", "port": jump.port, "role": "jump"},
    }
    keys = {"login": {"hosts": ["rig", "jump"], "source": "test", **pinned(rig)}}
    assert probed_site(rig, gen, inner, hosts=hosts, host_keys=keys).findings() == (0, [])
    keys = {
        "jump": {"hosts": "jump", "source": "test", **pinned(rig)},
        "rig": {"hosts": "rig", "source": "test", **pinned(rig, "ed25519")},
    }
    keys["rig"]["fingerprints"] = {"ed25519": rig.fingerprint("ed25519-other")}
    assert probed_site(rig, gen, inner, hosts=hosts, host_keys=keys).findings() == (
        1,
        [("host-key", "hosts.rig")],
    )


def test_a_site_that_drops_packets_is_given_up_in_time(
    rig: Rig, gen: Gen, need: Callable[..., None]
) -> None:
    need("ip")
    site = probed_site(
        rig,
        gen,
        SshServer("login", 22, rig.directory / "none"),
        # RFC 5737: an address for documentation.
        hosts={"rig": {"host": "192.0.2.9"}},
    )
    # A packet to an address that lo does not have comes back in and is dropped.
    script = 'ip link set lo up && ip route add 192.0.2.0/24 dev lo && exec "$@"'
    gen_status = (sys.executable, "-m", "generator", "status", str(site.spec), "--live", "--json")
    key = ("--identity-file", str(rig.key("ed25519-ada")))

    def run(seconds: str) -> tuple[float, subprocess.CompletedProcess[str]]:
        """Run gen in a network of its own, and return its duration and its output."""
        start = monotonic()
        process = subprocess.run(
            ["unshare", "--net", "sh", "-c", script, "sh", *gen_status, *key, "--seconds", seconds],
            env={**os.environ, "PYTHONPATH": str(Path(generator.__file__).parents[1])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return monotonic() - start, process

    # The start of Python and the end of threads take as long with any limit.
    shortest, _ = run("1")
    duration, process = run("6")
    # gen itself has to start, on a machine that may be busy.
    assert duration - shortest < 6 + shortest
    assert process.returncode == 2
    (finding,) = json.loads(process.stdout)["findings"]
    assert (finding["kind"], finding["site"]) == ("tcp", "no answer in time")


def test_fix_spec_writes_the_facts_and_then_nothing_differs(
    rig: Rig, gen: Gen, cluster: slurm.Slurm
) -> None:
    site = probed_site(rig, gen, rig.serve("login", KEYS, cluster.set_env))
    text = site.spec.read_text()
    start, _, _ = text.partition("slurm:")
    # With comments of a maintainer, which a change must keep.
    wrong = """\
slurm:
  partition: long                  # the default one
  walltime: 3-00:00:00
  partitions:
    gone: { source: test }
    long:                          # for most jobs
      max_walltime: 7-00:00:00
      mem: 64G                     # as the documentation says
      qos: main
  source: test
"""
    site.spec.write_text(start + wrong)
    refused = site.live("--fix-spec")
    assert refused.status == 2
    assert refused.err.endswith(
        f"{site.spec}: not written, since there is no terminal to ask on; add --yes\n"
    )
    assert site.spec.read_text() == start + wrong
    result = site.live("--fix-spec", "--yes")
    assert (result.status, "change this yourself" in result.err) == (0, False)
    fixed = site.spec.read_text()
    assert "# the default one" in fixed
    assert "# as the documentation says" in fixed
    # The other parts of the spec stay as they are, line by line.
    assert set(start.splitlines()) <= set(fixed.splitlines())
    assert site.findings() == (0, [])


def test_a_first_spec_has_the_answers_of_the_site(rig: Rig, gen: Gen, cluster: slurm.Slurm) -> None:
    server = rig.serve("login", KEYS, cluster.set_env)
    known_hosts = rig.directory / "known_hosts"
    known_hosts.write_text(
        "".join(f"[localhost]:{server.port} {rig.public(key)}\n" for key in KEYS)
    )
    config = f"""\
Host big
  HostName localhost
  Port {server.port}
  User {TEST_USER.pw_name}
  IdentityFile {rig.key("ed25519-ada")}
  UserKnownHostsFile {known_hosts}
"""
    (rig.home / ".ssh/config").write_text(config)
    site = ProbedSite(rig, gen, rig.directory / "site_specs/big.yaml")
    result = site.gen("import", "big", "--live", "--seconds", "30")
    assert result.status == 0, result.err
    spec = YAML(typ="safe").load(site.spec)
    partitions = spec["slurm"]["partitions"]
    assert partitions["long"]["max_walltime"] == "2-00:00:00"
    assert partitions["short"]["max_walltime"] == "01:00:00"
    assert spec["host_keys"]["big"]["fingerprints"] == {key: [rig.fingerprint(key)] for key in KEYS}
    assert TEST_USER.pw_name not in site.spec.read_text().replace("/root", "").split()
    assert "already exists" in site.gen("import", "big").err
    assert site.gen("validate", str(site.spec)).status == 0
    accepted = site.live("--profile", str(_accepting(rig)))
    assert (accepted.status, "big: no difference\n" in accepted.out) == (0, True), accepted.out


def _accepting(rig: Rig) -> Path:
    """Return the profile of a user who has compared the host keys."""
    path = rig.directory / "profile.yaml"
    path.write_text("accept_unverified: true\n")
    return path


def test_a_first_spec_has_the_route_that_ssh_takes(rig: Rig, gen: Gen) -> None:
    known_hosts = rig.directory / "known_hosts"
    known_hosts.write_text(
        f"[login.example.org]:2222 {rig.public('ed25519')}\n"
        f"@cert-authority *.example.org {rig.public('rsa')}\n"
    )
    subprocess.run(
        # Debian and Ubuntu hash the names (HashKnownHosts yes), so gen cannot just search the file.
        ["ssh-keygen", "-q", "-H", "-f", str(known_hosts)],
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
  UserKnownHostsFile {known_hosts}
  IdentityFile ~/.ssh/id_all
"""
    (rig.home / ".ssh/config").write_text(config)
    result = gen("import", "big")
    assert result.status == 0, result.err
    assert "sites: { big: { user: ada } }" in result.err
    spec = YAML(typ="safe").load(rig.directory / "site_specs/big.yaml")
    assert list(spec["hosts"]) == ["big", "gate", "inner", "outer.example.org"]
    via = [host.get("via") for host in spec["hosts"].values()]
    assert via == ["gate", "inner", "outer.example.org", None]
    assert spec["hosts"]["big"]["keepalive"] == {"interval": 60, "count": 3}
    assert spec["hosts"]["outer.example.org"]["port"] == 2200
    assert spec["auth"] == {"method": "publickey", "key": "~/.ssh/id_big", "source": "ssh-config"}
    assert spec["host_keys"]["big"]["fingerprints"] == {"ed25519": [rig.fingerprint("ed25519")]}
    assert spec["host_keys"]["gate"]["authorities"] == [
        {"hosts": "*.example.org", "key": rig.public("rsa")}
    ]
    # What ssh has seen once is no publication of the site.
    for source in spec["sources"].values():
        assert source["weak"]
    assert gen("import", "nowhere").err == (
        "nowhere: your ssh configuration has no entry for it; "
        "give the alias of one of its hosts, or a full host name\n"
    )
    assert gen("import", "big").err == (
        "site_specs/big.yaml: already exists; move it, or choose another --name\n"
    )
