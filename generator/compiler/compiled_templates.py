"""The templates of `templates/` as Python.

Do not edit: `python templates/compile.py` writes this file.
"""

from collections.abc import Iterator
from typing import Any

DIGEST = "b5e4e2a2dd5e"


def _value(value: object) -> str:
    text = str(value)
    if not text.isprintable():
        raise ValueError("a value for a template has a character that is not printable")
    return text


def cert_service(*, header: Any, site: Any) -> Iterator[str]:
    """Yield the text of `cert.service.j2` in parts."""
    yield "# "
    yield _value(header)
    yield ("\n[Unit]\nDescription=Renew the SSH certificate for ")
    yield _value(site)
    yield (
        "\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "# gen reads the expiry time in the output of ssh-keygen -L, which is in local time.\n"
        "Environment=TZ=UTC PATH=%h/.local/bin:/usr/local/bin:/usr/bin:/bin STEPPATH=%h/.step\n"
        "# With --retry, gen waits for a network or a server that is down: RestartSteps=, by which systemd\n"
        "# would start it again less and less often, is unknown before systemd 254. Each try has a time limit\n"
        "# of its own.\n"
        "ExecStart=/usr/bin/env gen refresh "
    )
    yield _value(site)
    yield (
        " --retry\n"
        "TimeoutStartSec=infinity\n"
        "UMask=0077\n"
        "# A core dump would contain tokens.\n"
        "LimitCORE=0\n"
        "# These restrictions work in a user manager without a user namespace. PrivateUsers=,\n"
        "# ProtectSystem=, PrivateTmp=, ProtectHostname= and others need one. In a user namespace the\n"
        '# files of root belong to "nobody", so ssh refuses /etc/ssh/ssh_config.d; and where user\n'
        "# namespaces are forbidden, the service does not start. MemoryDenyWriteExecute= is left out\n"
        "# because it stops commands that have a JIT compiler.\n"
        "NoNewPrivileges=true\n"
        "LockPersonality=true\n"
        "RestrictRealtime=true\n"
        "RestrictSUIDSGID=true\n"
        "RestrictNamespaces=true\n"
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n"
        "SystemCallArchitectures=native\n"
        "SystemCallFilter=@system-service\n"
        "SystemCallErrorNumber=EPERM\n"
    )


def cert_timer(*, calendar: Any, delay: Any, header: Any, site: Any) -> Iterator[str]:
    """Yield the text of `cert.timer.j2` in parts."""
    yield "# "
    yield _value(header)
    yield ("\n[Unit]\nDescription=Check whether the SSH certificate for ")
    yield _value(site)
    yield (" needs renewal\n\n[Timer]\nOnCalendar=")
    yield _value(calendar)
    yield ("\nRandomizedDelaySec=")
    yield _value(delay)
    yield ("\nAccuracySec=1\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n")


def env(*, header: Any, variables: Any) -> Iterator[str]:
    """Yield the text of `env.j2` in parts."""
    yield "# "
    yield _value(header)
    yield "\n"
    for variable in variables:
        if variable.comment:
            yield ("\n# ")
            yield _value(variable.comment)
            yield "\n"
        if variable.value is None:
            yield "# "
            yield _value(variable.name)
            yield " is left out: it needs "
            yield _value(", ".join(variable.missing))
            yield "\n"
        else:
            yield _value(variable.name)
            yield "="
            yield _value(variable.value)
            yield "\n"


def known_hosts(*, header: Any, lines: Any) -> Iterator[str]:
    """Yield the text of `known_hosts.j2` in parts."""
    yield "# "
    yield _value(header)
    yield "\n"
    for line in lines:
        yield _value(line)
        yield "\n"


def site_toml(*, header: Any, tables: Any, title: Any) -> Iterator[str]:
    """Yield the text of `site.toml.j2` in parts."""
    yield "# "
    yield _value(header)
    yield ("\n# ")
    yield _value(title)
    yield (
        "\n"
        "# Fields of the classes of dagster-slurm, requests by purpose, and the limits of the site with their\n"
        "# sources. Your own values come from the environment.\n"
    )
    for name, fields in tables.items():
        if name:
            yield ("\n[")
            yield _value(name)
            yield "]\n"
        for key, value in fields.items():
            if isinstance(value, str):
                yield _value(key)
                yield " = "
                yield _value(value)
                yield "\n"
            else:
                yield _value(key)
                yield " = [\n"
                for item in value:
                    yield "  "
                    yield _value(item)
                    yield ",\n"
                yield "]\n"


def ssh_config(*, blocks: Any, header: Any, renewed: Any, title: Any) -> Iterator[str]:
    """Yield the text of `ssh_config.j2` in parts."""
    yield "# "
    yield _value(header)
    yield ("\n# ")
    yield _value(title)
    yield ("\nIgnoreUnknown KnownHostsCommand,UseKeychain\n")
    for criteria in renewed:
        yield ("\n# Renews the certificate before a connection if it is due.\nMatch ")
        yield _value(criteria)
        yield "\n"
    for block in blocks:
        yield "\n"
        for comment in block.comments:
            yield "# "
            yield _value(comment)
            yield "\n"
        if block.is_match:
            yield "Match host "
            yield _value(",".join(block.names))
            if block.criterion:
                yield " "
                yield _value(block.criterion)
            yield "\n"
        else:
            if block.names:
                yield "Host "
                yield _value(" ".join(block.names))
                yield "\n"
        for keyword, value in block.settings:
            yield "    "
            yield _value(keyword)
            yield " "
            yield _value(value)
            yield "\n"
