"""A spec with every key, and every auth method with every field."""

from typing import Any

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
AUTHORITY = (
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBADeLjSj4J0MFrdxdn9M/mcZi1fqKnQB6ZHj"
    "ysUlontzFXI9PVoxPjYqMDDO0hM6IM6NCnkiiFqveEvSoXDnGWI="
)
REVOKED_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
FACT = {"source": ["doc"], "checked": "2026-01-02"}

# Every auth method with every field. Each is the method of the site in one of the documents that
# tests make from `SPEC`.
AUTHS: dict[str, dict[str, Any]] = {
    "publickey": {
        "method": "publickey",
        "then": "keyboard-interactive",
        "key": "~/.ssh/pk {user}/id",
        "key_types": ["ed25519"],
        "submit": "at the portal",
        "lifetime": "180d",
        "add_keys_to_agent": True,
    },
    "keyboard": {
        "method": "keyboard",
        "asks": ["password", "otp"],
        "prefer": ["keyboard-interactive"],
    },
    "kerberos": {
        "method": "kerberos",
        "principal": "{user}@REALM.ORG",
        "ticket_lifetime": "25h",
        "delegate": True,
        "then": "password",
    },
    "agent": {
        "method": "agent",
        "key": "~/.ssh/id_{site}.pub",
        "fill": ["fill-agent", "--for={user}"],
        "lifetime": "20h",
    },
    "step": {
        "method": "step",
        "key": "~/.ssh/{site}-{user}",
        "lifetime": "16h",
        "renew_before": "40m",
        "ca_url": "https://ca.example.org:9000",
        "ca_fingerprint": "a" * 64,
        "context": "ctx",
        "provisioner": "provider",
        "identity": "{email}",
        "oidc": {
            "token_url": "https://id.example.org/token",
            "client_id": "client-1",
            "username": "{user}.{initial}",
            "scope": "profile",
            "token_field": "access_token",
        },
        "authentik": {
            "api_base": "https://api.example.org",
            "identifier": "dagster",
            "credentials_file": "~/.config/credentials.env",
            "app_password_file": "~/.secrets/app",
        },
        "env_prefix": "ABC",
    },
    "certificate": {
        "method": "certificate",
        "key": "~/.ssh/{project}-cert",
        "lifetime": "12h",
        "renew_before": "50m",
        "command": ["get-certificate", "--user={user}"],
        "install": "from the shop of the centre",
        "portal": "https://portal.example.org/certificates",
        "asks": ["url", "code"],
        "certificate": "~/.certs/{user}.pub",
        "secret": "API_KEY",
    },
    "not-stated": {"method": "not-stated"},
}

# Every other field. Fields with one meaning have the same text, and fields with another meaning
# another text, so that a test can replace a text everywhere.
SPEC: dict[str, Any] = {
    "site": "hpc",
    "title": "A cluster",
    "operator": "An operator",
    "country": "AT",
    "docs": "https://docs.example.org/",
    "note": "A note on the site",
    "sources": {
        "doc": {
            "ref": "a/b:c@d",
            "url": "https://source.example.org/",
            "checked": "2026-01-01",
            "weak": "old",
        }
    },
    "hosts": {
        "login": {
            "host": "login.{project}.example.org",
            "user": "{user}.{project}",
            "port": 2222,
            "via": "gate",
            "nodes": {"alias": "node{n}", "host": "node-{n}.example.org", "n": "01-02"},
            "keepalive": {"interval": 60},
            "forward_agent": True,
            "note": "A note on the host",
            **FACT,
        },
        "gate": {
            "host": "gate.example.org",
            "role": "jump",
            "auth": AUTHS["keyboard"],
            "architecture": "x86_64",
            "network": "from the network",
        },
        "bastion": {
            "host": "bastion.example.org",
            "auth": {"method": "smartcard", "then": "password"},
            "command": "lead-on --from=%h",
            "address_family": "inet6",
        },
        "robot-{account}": {
            "host": "robot.example.org",
            "role": "automation",
            "via": "gate",
            "proxy": "jump-on %h:%p",
            "auth": AUTHS["publickey"] | {"key": "/keys/robot"},
            "key_options": ["restrict", 'from="192.0.2.*"'],
        },
    },
    "compute": {
        "nodes": {
            "match": ["cn*"],
            "host": "%h.nodes.example.org",
            "also": ["gpu*", "!gpu-login*"],
            "through": "login",
            "auth": {"method": "agent"},
            "note": "A note on the compute nodes",
        },
        "devel": {
            "match": ["dn*"],
            "through": "login",
            "auth": AUTHS["publickey"],
            "key_in_home": True,
        },
    },
    "login_nodes": {
        "not_for": "programs that compute",
        "remote_editors": False,
        "note": "A note on the login nodes",
    },
    "jobs": {
        "job": {
            "through": "login",
            "proxy": "/opt/start --output=%j.log",
            "command": "/opt/enter --mem=8G",
            "keepalive": {"interval": 60},
            "note": "A note on the job",
        }
    },
    "host_keys": {
        "pins": {
            "source": ["doc"],
            "hosts": ["login", "nodes"],
            "fingerprints": {"ed25519": ["SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"]},
            "keys": [KEY],
            "authorities": [{"hosts": "*.example.org", "key": AUTHORITY}],
            "note": "A note on the host keys",
        },
        "listed": {
            "source": "doc",
            "hosts": "gate",
            "known_hosts": {
                "url": "https://keys.example.org/ssh_known_hosts",
                "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                "checked": "2026-01-01",
            },
        },
    },
    "revoked_keys": {
        "leaked": {
            "source": ["doc"],
            "reason": "The private key was published",
            "fingerprints": ["SHA256:JPGCAfbWYJpQqJzA2qD9rppHZYgrH9ol5156/YruoZg"],
            "keys": [REVOKED_KEY],
            "note": "A note on the revoked keys",
        }
    },
    "slurm": {
        "partition": "cpu,gpu",
        "gpus": ["A kind of GPU"],
        "qos": "usual",
        "walltime": "02:00:00",
        "mem": "64G",
        "constraint": "feature",
        "reservation": "course",
        "signal": "TERM@120",
        "devel": {"mem_per_cpu": "2G"},
        "partitions": {
            "cpu": {
                "qos": ["usual"],
                "mem": "512G",
                "gpu": "A GPU",
                "gres": "h100",
                "default_walltime": "01:00:00",
                "min_walltime": "00:01:00",
                "max_walltime": "2-00:00:00",
                "limits": [{"walltime": "2-12:00:00", "max_nodes": 2}],
                "accounts": ["group"],
                "submit_from": "login",
                "submit_with": "qsub",
                "note": "A note on the partition",
            },
            "gpu": {"qos": ["usual"]},
        },
        "qos_limits": {
            "usual": {
                "max_walltime": "1-00:00:00",
                "accounts": ["team"],
                "note": "A note on the QoS",
            }
        },
        "accounts": {
            "default": "everybody",
            "form": "def-<pi>",
            "known": {"paygo": {"needs": ["wckey"], "note": "A note on the account"}},
            "note": "A note on the accounts",
        },
        "clusters": "wice",
        "reservations": "by the administrators",
        "ignored_options": ["--mem"],
        "forbidden_options": ["--gpus"],
        "note": "A note on the queues",
    },
    "status": {"state": "retiring", "ends": "2030-01-01", "note": "A note on the status"},
    "deployment": {
        "base_path": "/home/{user}/{project}",
        "data_path": "/data/{project}",
        "note": "A note on the deployment",
    },
    "ray": {
        "ray_address": "10.0.0.1:6379",
        "dashboard_host": "127.0.0.1",
        "ray_start_args": ["--num-cpus=4"],
        "pre_start_commands": ["ulimit -n 65536"],
        "port_config": {"lock_dir": "/tmp/locks"},
        "network_interface": "ib0",
        "node_ip_address_command": "hostname -i",
        "note": "A note on Ray",
    },
    "spark": {
        "spark_home": "/opt/spark",
        "master_url": "spark://master:7077",
        "executor_memory": "4g",
        "driver_memory": "3g",
        "note": "A note on Spark",
    },
    "filesystems": {
        "home": {"path": "/home/<user>", "quota": "100 GB", "note": "A note on the folder"}
    },
    "http_api": {
        "kind": "FirecREST",
        "url": "https://rest.example.org/",
        "note": "A note on the interface",
    },
}

_SLURM_ONLY = ("slurm", "jobs", "ray", "spark")
# The same site with another scheduler.
WITHOUT_SLURM: dict[str, Any] = {
    **{key: value for key, value in SPEC.items() if key not in _SLURM_ONLY},
    "scheduler": "pbs",
    "batch": {
        "submit": "qsub -q workq",
        "gpus": ["Another kind of GPU"],
        "queues": {
            "workq": {
                "purpose": "production",
                "cores": 128,
                "mem": "500G",
                "gpu": "A GPU of a queue",
                "max_walltime": "3-00:00:00",
                "note": "A note on the queue",
            }
        },
        "accounts": {"required": True, "form": "prj-<id>"},
        "note": "A note on the batch system",
    },
}
