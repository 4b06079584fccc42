"""A spec can express every shape of a site, and the generated files have it.

Each row is a small spec and the expected result: `ALIAS KEYWORD` in the ssh configuration,
variables of the `.env` file, lines of known_hosts, the units, and facts for readers, by their keys
in the spec.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from generator.compiler.account import Account
from generator.compiler.compile import compile_site
from generator.compiler.emitters import env_file
from generator.schema.profile import SiteProfile
from generator.schema.rules import faults
from generator.schema.site import SiteSpec
from generator.ssh.keys import fingerprint

# Every placeholder has a value, so that an expected value shows where it was filled in.
ADA = SiteProfile(
    user="ada", email="ada@example.org", allocation="p1", client_id="id1", home="/home/ada"
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
ONE = fingerprint(KEY)
OTHER = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"
KEYS: dict[str, Any] = {"method": "publickey"}
# The key comes first, and a second factor that the site adds later is not forbidden.
KEY_FIRST = "publickey,keyboard-interactive"
PASSWORD_OTP: dict[str, Any] = {"method": "keyboard", "asks": ["password", "otp"]}
STEP: dict[str, Any] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "hpc",
}


def host(name: str = "hpc.example.org", **settings: Any) -> dict[str, Any]:
    return {"host": name, **settings}


def pinned(*hosts: str, **keys: Any) -> dict[str, Any]:
    return {"source": "doc", "hosts": list(hosts), **(keys or {"fingerprints": {"ed25519": ONE}})}


def accepting(names: str, *fingerprints: str) -> str:
    """Return the command by which ssh accepts keys with these fingerprints and no others."""
    # The script is written out here once more, so that a change of it needs a change here.
    script = (
        'f=$3; case $f in MD5:*) f=$(echo "$1 $2" | ssh-keygen -E sha256 -l -f - | '
        'cut -d " " -f 2);; esac; '
        f'case $f in {"|".join(fingerprints)}) echo "$0 $1 $2"; exit;; esac; '
        f"case $1 in NONE*) exit;; esac; usual() {{ case $1 in {names}) "
        'case "$(ps -ww -o args= -p $PPID | tr A-Z a-z)" in ""|*hostkey*|*knownhosts*) ;; '
        '*) return;; esac;; esac; return 1; }; echo "gen: hpc: the key that $0 '
        'offers is not one of the pinned keys; compare them: gen status hpc --live" >&2; '
        'usual "$4" && exit; echo "Host key verification failed." >&2; exit 1'
    )
    return f"/bin/sh -c '{script}' %H %t %K %f %n %h"


def site(**parts: Any) -> SiteSpec:
    """Return a site of one host and plain keys, with the given parts in place of its own."""
    usual = {
        "site": "hpc",
        "title": "HPC",
        "sources": {"doc": {"ref": "doc"}},
        "hosts": {"hpc": host()},
        "auth": KEYS,
    }
    return SiteSpec.model_validate_json(json.dumps(usual | parts))


def compiled(spec: SiteSpec) -> dict[str, str]:
    """Return the settings in the files of a site, and the facts of its spec, as one mapping."""
    values: dict[str, str] = dict(facts(spec.model_dump(mode="json", exclude_unset=True)))
    # The files of one site do not share a keyword, so one mapping holds all of them.
    for artifact in compile_site(spec, ADA):
        if artifact.path.suffix == ".conf":
            values = dict(settings(artifact.content.decode())) | values
        elif artifact.path.suffix == ".known_hosts":
            values["known_hosts"] = "\n".join(artifact.content.decode().splitlines()[1:])
        elif artifact.path.suffix == ".timer":
            values["calendar"] = re.findall("OnCalendar=(.*)", artifact.content.decode())[0]
    for variable in env_file.variables(Account(spec, ADA)):
        if variable.value is not None:
            values[variable.name] = variable.value
    return values


def facts(value: object, keys: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a spec with the keys that lead to them.

    The values of a list have the same keys.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from facts(item, f"{keys}.{key}".removeprefix("."))
    elif isinstance(value, list):
        yield keys, ",".join(map(_word, value))
    else:
        yield keys, _word(value)


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def settings(config: str) -> Iterator[tuple[str, str]]:
    """Yield `NAME KEYWORD` and value; of lines for one name the first counts, so it comes last."""
    names: list[str] = []
    lines: list[tuple[str, str]] = []
    for line in filter(None, config.splitlines()):
        keyword, _, value = line.strip().partition(" ")
        if keyword == "Host":
            names = value.split()
        lines += [(f"{name} {keyword}", value) for name in names]
    return reversed(lines)


AUTH = [
    pytest.param(
        {},
        {"hpc PreferredAuthentications": KEY_FIRST, "hpc IdentityFile": "~/.ssh/id_hpc"},
        id="public key only",
    ),
    pytest.param(
        {
            "hosts": {"hpc": host(port=8022)},
            "host_keys": {"all": pinned("hpc", keys=[KEY])},
        },
        {
            "hpc Port": "8022",
            "known_hosts": f"[hpc.example.org]:8022 {KEY}",
            "SLURM_EDGE_NODE_PORT": "8022",
        },
        id="public key on a port of its own",
    ),
    pytest.param(
        # VSC has one host name: port 27 takes keys, port 22 a password with a code.
        {"hosts": {"vsc5": host(port=27), "vsc5-otp": host(auth=PASSWORD_OTP)}},
        {
            "vsc5 Port": "27",
            "vsc5 PreferredAuthentications": KEY_FIRST,
            "vsc5-otp Port": "22",
            "vsc5-otp PreferredAuthentications": "keyboard-interactive,password",
            "vsc5-otp HostName": "hpc.example.org",
            "hpc.example.org Port": "27",
        },
        id="the port selects the method on one host name",
    ),
    pytest.param(
        # NRIS (Saga) asks for a code at every login but those to its port for transfers.
        {"hosts": {"saga": host(auth=PASSWORD_OTP), "saga-data": host(port=12, role="transfer")}},
        {
            "saga PreferredAuthentications": "keyboard-interactive,password",
            "saga-data Port": "12",
            "saga-data PreferredAuthentications": KEY_FIRST,
        },
        id="a port for file transfer by key",
    ),
    pytest.param(
        {"auth": KEYS | {"then": "keyboard-interactive"}},
        {
            "hpc PreferredAuthentications": "publickey,keyboard-interactive",
            "hpc IdentitiesOnly": "yes",
        },
        id="key, then a second factor",
    ),
    pytest.param(
        {"auth": PASSWORD_OTP},
        {
            "hpc PreferredAuthentications": "keyboard-interactive,password",
            "hpc IdentityFile": None,
            "auth.asks": "password,otp",
            "SLURM_EDGE_NODE_KEY_PATH": None,
        },
        id="password, then a second factor",
    ),
    pytest.param(
        # Some servers of closed networks do not offer keyboard-interactive at all.
        {"auth": {"method": "keyboard", "asks": "password", "prefer": "password"}},
        {"hpc PreferredAuthentications": "password,keyboard-interactive"},
        id="password only, inside a network",
    ),
    pytest.param(
        {
            "auth": {
                "method": "kerberos",
                # Sherlock: the ticket comes from kinit, so ssh needs no key, and asks Duo after it.
                "principal": "{user}@STANFORD.EDU",
                "ticket_lifetime": "25h",
                "delegate": True,
                "then": "keyboard-interactive",
            }
        },
        {
            "hpc PreferredAuthentications": "gssapi-with-mic,keyboard-interactive",
            "hpc GSSAPIAuthentication": "yes",
            "hpc GSSAPIDelegateCredentials": "yes",
            "hpc IdentityFile": None,
            "auth.ticket_lifetime": "25h",
        },
        id="Kerberos ticket, then a second factor",
    ),
    pytest.param(
        # A shared connection would let a second session in without the token.
        {"auth": {"method": "keyboard", "asks": "token"}, "multiplexing": "forbidden"},
        {
            "hpc PreferredAuthentications": "keyboard-interactive,password",
            "hpc ControlMaster": "no",
            "hpc ControlPath": "none",
        },
        id="hardware token, multiplexing forbidden",
    ),
    pytest.param(
        {
            "hosts": {
                "triton": host("triton.aalto.fi", network="from inside"),
                # The same machine, by the name that a user types outside of the network of Aalto.
                "triton-out": host("triton.aalto.fi", via="kosh"),
                "kosh": host("kosh.aalto.fi", role="jump", auth=KEYS | {"then": "password"}),
            },
        },
        {
            "triton PreferredAuthentications": KEY_FIRST,
            "triton ProxyJump": None,
            "triton-out ProxyJump": "kosh",
            "kosh PreferredAuthentications": "publickey,password,keyboard-interactive",
        },
        id="key and password from outside, key from inside",
    ),
    pytest.param(
        {
            "hosts": {
                # NeSI: ssh prints a link on each hop, which opens in a browser and lets the user
                # in.
                "mahuika": host(via="lander"),
                "lander": host("lander.example.org", role="jump"),
            },
            "auth": {"method": "keyboard", "asks": "url", "prefer": "keyboard-interactive"},
        },
        {
            "mahuika ProxyJump": "lander",
            "mahuika PreferredAuthentications": "keyboard-interactive",
            "lander PreferredAuthentications": "keyboard-interactive",
            "auth.asks": "url",
        },
        id="a link to open, once for each hop",
    ),
    pytest.param(
        {
            # Bianca of UPPMAX: one virtual cluster for each project, named in the user name.
            "hosts": {"bianca": host(user="{user}-{project}", forward_agent=True)},
            "auth": {"method": "keyboard", "asks": ["password", "otp", "project"]},
        },
        {
            "bianca User": "ada-p1",
            "bianca ForwardAgent": "yes",
            "auth.asks": "password,otp,project",
        },
        id="a third prompt picks the project",
    ),
    pytest.param(
        {"auth": STEP | {"provisioner": "cineca-hpc", "lifetime": "12h", "identity": "{email}"}},
        {
            "hpc CertificateFile": "~/.ssh/id_hpc-cert.pub",
            "hpc PreferredAuthentications": KEY_FIRST,
            "auth.provisioner": "cineca-hpc",
            "calendar": "*-*-* 00/1:00:00 UTC",
        },
        id="certificate by step",
    ),
    pytest.param(
        {
            "auth": STEP
            | {
                "renew_before": "30m",
                "oidc": {"token_url": "https://id.example.org/token"},
                "authentik": {
                    "api_base": "https://id.example.org",
                    "credentials_file": "~/.config/hpc.env",
                },
                "env_prefix": "ASC",
            }
        },
        {
            "ASC_OIDC_CLIENT_ID": "id1",
            "ASC_OIDC_USERNAME": "ada",
            "ASC_STEP_REFRESH_SKEW": "30",
            "ASC_AUTHENTIK_CREDENTIALS_FILE": "/home/ada/.config/hpc.env",
            "calendar": "*-*-* *:00/10:00 UTC",
        },
        id="certificate by step with client credentials that rotate",
    ),
    pytest.param(
        {
            "hosts": {"daint": host(via="ela"), "ela": host("ela.example.org", role="jump")},
            "auth": {
                "method": "certificate",
                "key": "~/.ssh/cscs-key",
                "command": ["cscs-key", "sign"],
                "asks": "url",
                "lifetime": "1d",
                "max_per_day": 5,
            },
        },
        {
            "daint CertificateFile": "~/.ssh/cscs-key-cert.pub",
            "daint ProxyJump": "ela",
            "ela CertificateFile": "~/.ssh/cscs-key-cert.pub",
            "auth.max_per_day": "5",
            "calendar": "*-*-* 00/2:00:00 UTC",
        },
        id="certificate by a command of the centre, the same on both hops",
    ),
    pytest.param(
        {
            "hosts": {
                # CSCS: the certificate of a service account is short, so no timer could keep one
                # valid.
                "sa-daint": host(
                    user="sa-{project}",
                    auth={
                        "method": "certificate",
                        "key": "~/.ssh/cscs-key-sa",
                        "command": ["cscs-key", "sign", "--duration", "1min"],
                        "lifetime": "60s",
                        "each_connection": True,
                        "secret": "CSCS_API_KEY",
                    },
                )
            },
        },
        {
            "sa-daint User": "sa-p1",
            "sa-daint CertificateFile": "~/.ssh/cscs-key-sa-cert.pub",
            "calendar": None,
        },
        id="certificate of a minute for a service account",
    ),
    pytest.param(
        {
            "hosts": {
                # Isambard: clifton writes a certificate for each project, and aliases with its
                # name.
                "{project}.aip2.isambard": host(
                    "ai-p2.example.org", user="{user}.{project}", via="jump"
                ),
                "jump": host("ai.example.org", role="jump", user="{user}.{project}"),
            },
            "auth": {
                "method": "certificate",
                "command": "clifton",
                "lifetime": "12h",
                "certificate": "~/.cache/clifton/{project}-cert.pub",
            },
        },
        {
            "p1.aip2.isambard User": "ada.p1",
            "p1.aip2.isambard ProxyJump": "jump",
            "p1.aip2.isambard CertificateFile": "~/.cache/clifton/p1-cert.pub",
        },
        id="certificate for a project, and the user's name made of both",
    ),
    pytest.param(
        {
            "auth": {
                "method": "certificate",
                "key": "~/.ssh/nersc",
                "command": ["sshproxy.sh", "-u", "{user}"],
                "asks": ["password", "otp"],
                "lifetime": "24h",
                # sshproxy.sh of NERSC replaces the private key too, so gen must not offer to make
                # one.
                "makes_key": True,
            }
        },
        {
            "hpc IdentityFile": "~/.ssh/nersc",
            "hpc CertificateFile": "~/.ssh/nersc-cert.pub",
            "auth.makes_key": "true",
            "auth.asks": "password,otp",
        },
        id="key and certificate from an endpoint",
    ),
    pytest.param(
        {
            "auth": {
                "method": "certificate",
                "command": ["python3", "csc_cert.py", "-u", "{user}"],
                "asks": ["url", "code"],
                "lifetime": "24h",
            }
        },
        {"auth.asks": "url,code", "calendar": "*-*-* 00/2:00:00 UTC"},
        id="certificate by a helper that asks for a code",
    ),
    pytest.param(
        {
            "auth": {
                "method": "agent",
                # VSC (Flanders): the gateway puts the certificate into the agent that is forwarded
                # to it.
                "fill": ["ssh", "-A", "{user}@firewall.vscentrum.be"],
                "lifetime": "16h",
            }
        },
        {
            "hpc PreferredAuthentications": KEY_FIRST,
            "hpc IdentityFile": None,
            "hpc CertificateFile": None,
        },
        id="certificate in the agent, from a gateway",
    ),
    pytest.param(
        # Without a command there is nothing that a timer could run.
        {"auth": {"method": "certificate", "portal": "https://docs.example.org/ssh/"}},
        {"hpc CertificateFile": "~/.ssh/id_hpc-cert.pub", "calendar": None},
        id="certificate downloaded by hand",
    ),
    pytest.param(
        {
            "hosts": {
                # The Alliance has hosts for automation, which accept only keys with these
                # restrictions.
                "narval": host(auth=KEYS | {"then": "keyboard-interactive"}),
                "robot": host(
                    "robot.example.org",
                    role="automation",
                    key_options=[
                        "restrict",
                        'from="192.0.2.*"',
                        'command="/cvmfs/transfer_commands.sh"',
                    ],
                ),
            }
        },
        {
            "robot PreferredAuthentications": KEY_FIRST,
            "narval PreferredAuthentications": "publickey,keyboard-interactive",
        },
        id="a robot host without a second factor",
    ),
    pytest.param(
        {"http_api": {"kind": "FirecREST v2", "url": "https://api.example.org/v2"}},
        {"http_api.kind": "FirecREST v2"},
        id="automation by HTTP",
    ),
]

HOSTS = [
    pytest.param(
        {
            "hosts": {
                "lumi": host(
                    # The name resolves to any of the nodes, and ssh looks a key up under the typed
                    # name.
                    "lumi.csc.fi",
                    nodes={"alias": "uan{n}", "host": "uan{n}.csc.fi", "n": "01-02"},
                )
            },
            "host_keys": {"all": pinned("lumi", keys=[KEY])},
        },
        {
            "lumi HostName": "lumi.csc.fi",
            "uan02 HostName": "uan02.csc.fi",
            "known_hosts": f"lumi.csc.fi,uan01.csc.fi,uan02.csc.fi {KEY}",
        },
        id="balancer and nodes with one set of keys",
    ),
    pytest.param(
        {
            "hosts": {f"submit{n}": host(f"submit{n}.unibe.ch") for n in ("01", "02")},
            "host_keys": {
                "one": pinned("submit01"),
                # A key of one node must not be accepted from the other.
                "two": pinned("submit02", fingerprints={"ed25519": OTHER}),
            },
        },
        {
            "submit01 KnownHostsCommand": accepting("submit01|submit01.unibe.ch", ONE),
            "submit02 KnownHostsCommand": accepting("submit02|submit02.unibe.ch", OTHER),
        },
        id="nodes without a balancer, keys for each",
    ),
    pytest.param(
        {
            "hosts": {
                "leonardo": host(
                    "login.example.org",
                    nodes={"alias": "leo{n}", "host": "l{n}.example.org", "n": "1,7"},
                )
            },
            # ssh would remember only the first node's key for the name, and warn at the next node.
            "host_keys": {"all": pinned("leonardo", fingerprints={"rsa": [ONE, OTHER]})},
        },
        {
            "leonardo HostKeyAlgorithms": "rsa-sha2-512,rsa-sha2-256",
            "leo7 KnownHostsCommand": accepting(
                "leonardo|login.example.org|leo1|l1.example.org|leo7|l7.example.org", ONE, OTHER
            ),
        },
        id="a name that stands for nodes with different keys",
    ),
    pytest.param(
        # `yes` would refuse the first login, for which the user has no key to compare.
        {"hosts": {"leonardo": host()}, "auth": STEP},
        {"leonardo StrictHostKeyChecking": "ask", "known_hosts": None},
        id="no host keys are published",
    ),
    pytest.param(
        {"host_keys": {"ca": pinned("hpc", authorities=[{"hosts": "*.example.org", "key": KEY}])}},
        {"known_hosts": f"@cert-authority *.example.org {KEY}", "hpc StrictHostKeyChecking": "yes"},
        id="an authority for host keys",
    ),
    pytest.param(
        {
            "hosts": {
                "vsc5": host("vsc5.vsc.ac.at", port=27),
                # A jump that is not needed would ask for a second code, so each way has an alias.
                "vsc5-out": host("vsc5.vsc.ac.at", port=27, via="vmos"),
                "vmos": host("vmos.vsc.ac.at", role="jump", auth=PASSWORD_OTP),
            }
        },
        {
            "vsc5 ProxyJump": None,
            "vsc5-out ProxyJump": "vmos",
            "vsc5-out PreferredAuthentications": KEY_FIRST,
            "vmos PreferredAuthentications": "keyboard-interactive,password",
        },
        id="a jump host for outside only, with another way in",
    ),
    pytest.param(
        {
            "hosts": {"daint": host(via="ela"), "ela": host("ela.example.org", role="jump")},
            "compute": {"nodes": {"match": "nid??????", "through": "daint"}},
        },
        {"nid?????? ProxyJump": "daint", "daint ProxyJump": "ela", "ela ProxyJump": None},
        id="two jumps to compute nodes",
    ),
    pytest.param(
        {
            "hosts": {"trillium": host("trillium.alliancecan.ca")},
            "compute": {
                "nodes": {
                    # `tri????` also matches the login host, which would jump through itself.
                    "match": ["!trillium", "tri????"],
                    "host": "%h.alliancecan.ca",
                    "also": "!trillium.*",
                    "through": "trillium",
                }
            },
        },
        {
            "tri???? HostName": "%h.alliancecan.ca",
            "!trillium ProxyJump": "trillium",
            "tri???? ProxyJump": "trillium",
        },
        id="compute patterns with a negation and a template",
    ),
    pytest.param(
        {
            "compute": {"nodes": {"match": "cn-????", "through": "hpc"}},
            "host_keys": {
                "login": pinned("hpc"),
                "nodes": pinned("nodes", fingerprints={"ed25519": OTHER}),
            },
        },
        {
            "cn-???? KnownHostsCommand": accepting("cn-????", OTHER),
            "hpc KnownHostsCommand": accepting("hpc|hpc.example.org", ONE),
        },
        id="compute nodes with keys of their own",
    ),
    pytest.param(
        {
            "hosts": {"nibi": host()},
            "compute": {"nodes": {"match": ["c?", "g?"], "through": "nibi"}},
        },
        # Such a pattern catches names of other sites too; `gen validate --strict` asks about it.
        {"c? ProxyJump": "nibi", "g? ProxyJump": "nibi"},
        id="very short compute patterns",
    ),
    pytest.param(
        {
            "hosts": {
                "roihu-cpu": host("roihu-cpu.csc.fi", architecture="x86_64"),
                "roihu-gpu": host("roihu-gpu.csc.fi", architecture="aarch64"),
            },
            "slurm": {
                # Roihu: a job script that was compiled on the other login host would not run.
                "partitions": {"gpu": {"submit_from": "roihu-gpu", "architecture": "aarch64"}}
            },
        },
        {
            "roihu-gpu HostName": "roihu-gpu.csc.fi",
            "slurm.partitions.gpu.submit_from": "roihu-gpu",
            "SLURM_EDGE_NODE_HOST": "roihu-cpu.csc.fi",
        },
        id="a login host for each architecture",
    ),
    pytest.param(
        {"hosts": {"triton": host(), "code": host("code.triton.aalto.fi", role="ide")}},
        {"code HostName": "code.triton.aalto.fi", "hosts.code.role": "ide"},
        id="a host for IDEs",
    ),
    pytest.param(
        {
            "hosts": {
                "tamia": host("tamia.alliancecan.ca"),
                "robot": host("robot.ulaval.ca", role="automation"),
            }
        },
        {"robot HostName": "robot.ulaval.ca"},
        id="automation in another domain",
    ),
    pytest.param(
        {
            "hosts": {"pelle": host(), "transit": host("transit.example.org", role="transfer")},
            "host_keys": {
                "pelle": pinned("pelle", keys=[KEY]),
                "transit": pinned("transit", fingerprints={"ed25519": OTHER}),
            },
        },
        {
            "transit KnownHostsCommand": accepting("transit|transit.example.org", OTHER),
            "known_hosts": f"hpc.example.org {KEY}",
        },
        id="transfer host with keys of its own",
    ),
    pytest.param(
        {
            "hosts": {"sherlock": host(), "dtn": host("dtn.example.org", role="transfer")},
            "host_keys": {"all": pinned("sherlock", "dtn", keys=[KEY])},
        },
        {"known_hosts": f"hpc.example.org,dtn.example.org {KEY}"},
        id="transfer host with the same keys",
    ),
    pytest.param(
        {
            "jobs": {
                # `mila init` writes such an alias; the proxy waits for the job, hence the long
                # timeout.
                "mila-cpu": {
                    "through": "hpc",
                    "proxy": "/opt/slurm-proxy.sh mila-cpu",
                    "command": "/opt/enter",
                }
            }
        },
        {
            "mila-cpu ProxyCommand": 'ssh hpc "/opt/slurm-proxy.sh mila-cpu"',
            "mila-cpu ConnectTimeout": "600",
        },
        id="an alias that starts a job",
    ),
    pytest.param(
        {
            "hosts": {
                "hortense": host("tier1.hpc.ugent.be"),
                # Both names have the same keys, or ssh would warn in one of the networks.
                "hortense-vsc": host("tier1.gent.vsc", network="inside the VSC network"),
            },
            "host_keys": {"all": pinned("hortense", "hortense-vsc", keys=[KEY])},
        },
        {
            "hortense-vsc HostName": "tier1.gent.vsc",
            "known_hosts": f"tier1.hpc.ugent.be,tier1.gent.vsc {KEY}",
        },
        id="a public name and one for inside",
    ),
    pytest.param(
        {"hosts": {"tamia": host(network="from Canada")}},
        {"hosts.tamia.network": "from Canada"},
        id="a restriction by country or network",
    ),
]

QUEUES = [
    pytest.param(
        {
            "partition": "zen3",
            # VSC-5: each partition has a QoS of its own name, and one for short trials.
            "partitions": {"zen3": {"qos": ["zen3", "zen3_devel"]}},
            "devel": {"qos": "zen3_devel"},
        },
        {"SLURM_PARTITION": "zen3", "SLURM_QOS": "zen3"},
        id="QoS named after the partition, with a suffix for devel",
    ),
    pytest.param(
        {
            "partition": "standard",
            "qos": "short",
            "qos_required": True,
            "partitions": {"standard": {"qos": ["standard", "short"]}, "gpu": {"qos": "gpu-shd"}},
            "accounts": {"required": True},
        },
        # ARCHER2: no default account is known, so the variable is left out and not empty.
        {"SLURM_PARTITION": "standard", "SLURM_QOS": "short", "SLURM_ACCOUNT": None},
        id="QoS apart from the partition, each with an allowed set",
    ),
    pytest.param(
        {
            "partitions": {
                "epyc2": {"qos": ["job_cpu", "job_cpu_long"], "accounts": ["gratis", "paygo"]}
            },
            "accounts": {
                "default": "gratis",
                "known": {
                    # UBELIX: sbatch needs --wckey for this account and --reservation for the next.
                    "paygo": {"needs": "wckey"},
                    "teaching": {"needs": "reservation"},
                    "gratis": {},
                },
            },
        },
        {
            "SLURM_ACCOUNT": "gratis",
            "slurm.accounts.known.paygo.needs": "wckey",
            "slurm.partitions.epyc2.accounts": "gratis,paygo",
        },
        id="account, QoS and partition, with further options for some accounts",
    ),
    pytest.param(
        # NeSI: Slurm picks the partition by the resources and the walltime of the job.
        {"routed": True, "partitions": {"milan": {"named": False}}},
        {"SLURM_PARTITION": None, "slurm.routed": "true"},
        id="no partition is named",
    ),
    pytest.param(
        {
            "partition": "compute",
            "partitions": {"compute": {}, "gpu": {"named": False, "submit_from": "hpc"}},
        },
        {"SLURM_PARTITION": "compute", "slurm.partitions.gpu.named": "false"},
        id="a partition that must not be named on one subcluster",
    ),
    pytest.param(
        # sbatch(1), --partition: the one that starts the job first.
        {"partition": "GPU-a100,GPU-a40", "partitions": {"GPU-a100": {}, "GPU-a40": {}}},
        {"SLURM_PARTITION": "GPU-a100,GPU-a40"},
        id="several partitions with commas between",
    ),
    pytest.param(
        {
            "qos": "regular",
            # Perlmutter: the QoS picks the partition, and --constraint the kind of node.
            "constraint": "gpu",
            "qos_limits": {"debug": {"default": True}, "regular": {}},
        },
        {"SLURM_PARTITION": None, "SLURM_QOS": "regular", "slurm.constraint": "gpu"},
        id="QoS only, and the kind of node by constraint",
    ),
    pytest.param(
        {
            "partitions": {"normal": {"default": True, "named": False}, "bigmem": {"qos": "devel"}},
            "devel": {"partition": "bigmem", "qos": "devel"},
        },
        {"SLURM_PARTITION": None, "slurm.devel.qos": "devel"},
        id="a default partition without a name, and a QoS that combines with others",
    ),
    pytest.param(
        {
            "partitions": {
                # Such limits are in no answer of scontrol; only the documentation has them.
                "debug": {"max_node_minutes": 90},
                "batch": {
                    "limits": [
                        {"max_nodes": 91, "walltime": "02:00:00"},
                        {"min_nodes": 92, "walltime": "06:00:00"},
                    ]
                },
            }
        },
        {
            "slurm.partitions.debug.max_node_minutes": "90",
            "slurm.partitions.batch.limits": '{"walltime": "02:00:00", "max_nodes": 91},'
            '{"walltime": "06:00:00", "min_nodes": 92}',
        },
        id="limits in node minutes and by the number of nodes",
    ),
    pytest.param(
        {"partitions": {"debug": {"limits": {"max_gpus": 1, "walltime": "02:00:00"}}}},
        {"slurm.partitions.debug.limits": '{"walltime": "02:00:00", "max_gpus": 1}'},
        id="a walltime by the number of GPUs",
    ),
    pytest.param(
        # sbatch(1), --clusters: without it a job goes to the cluster of the login host.
        {"clusters": "wice"},
        {"slurm.clusters": "wice"},
        id="one login host for several clusters",
    ),
    pytest.param(
        {"partitions": {"gpu": {"allocation": "node", "cores_per_gpu": 16, "gpus_per_node": 4}}},
        {"slurm.partitions.gpu.allocation": "node", "slurm.partitions.gpu.cores_per_gpu": "16"},
        id="whole nodes, or a fixed number of cores for a GPU",
    ),
    pytest.param(
        {"ignored_options": "--mem", "forbidden_options": ["--gpus", "--exclusive"]},
        {"slurm.ignored_options": "--mem", "slurm.forbidden_options": "--gpus,--exclusive"},
        id="options that are ignored or refused",
    ),
    pytest.param(
        # A wrapper of the site adds options that sbatch alone would lack.
        {"partitions": {"gh": {"submit_with": "ghbatch"}, "cpu": {"submit_with": "qsub"}}},
        {"slurm.partitions.gh.submit_with": "ghbatch"},
        id="another command than sbatch",
    ),
    pytest.param(
        {"accounts": {"required": True, "form": "def-<pi>, rrg-<pi> or rpp-<pi>"}},
        {"SLURM_ACCOUNT": None, "slurm.accounts.form": "def-<pi>, rrg-<pi> or rpp-<pi>"},
        id="the form of accounts",
    ),
    pytest.param(
        {"partitions": {"grace": {"architecture": "aarch64"}, "cpu": {"architecture": "x86_64"}}},
        {"slurm.partitions.grace.architecture": "aarch64"},
        id="the architecture belongs to the partition",
    ),
    pytest.param(
        {"partitions": {"gpu": {"architecture": "ppc64le"}}},
        {"slurm.partitions.gpu.architecture": "ppc64le"},
        id="an architecture that few have",
    ),
]

FILES = [
    pytest.param(
        # A job that writes its log there fails at its end, after all its work.
        {"filesystems": {"home": {"path": "$HOME", "on_compute_nodes": "read-only"}}},
        {"filesystems.home.on_compute_nodes": "read-only"},
        id="a home folder that jobs cannot write to",
    ),
    pytest.param(
        # ARCHER2 has the project twice in the path.
        {"deployment": {"base_path": "/work/{project}/{project}/{user}"}},
        {"SLURM_DEPLOYMENT_BASE_PATH": "/work/p1/p1/ada"},
        id="the project in the path",
    ),
]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        *AUTH,
        *HOSTS,
        *(
            pytest.param({"slurm": row.values[0]}, row.values[1], id=row.id, marks=row.marks)
            for row in QUEUES
        ),
        *FILES,
    ],
)
def test_a_spec_expresses_a_shape_and_the_files_have_it(
    parts: Mapping[str, Any], expected: Mapping[str, str | None]
) -> None:
    spec = site(**parts)
    assert faults(spec) == []
    values = compiled(spec)
    assert {keys: values.get(keys) for keys in expected} == expected
