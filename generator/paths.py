"""Every fixed path of gen, and the header line by which gen recognizes its own files.

A path is relative: to the home directory for what `gen install` and `gen refresh` write
(constants, and functions that begin with `installed_` or `renewal_`), to an output directory for
what `gen site` writes.
"""

import re
from pathlib import PurePosixPath

# Below the home directory.
SSH = PurePosixPath(".ssh")
# ssh reads these if UserKnownHostsFile names no others (ssh_config(5)).
KNOWN_HOSTS = (SSH / "known_hosts", SSH / "known_hosts2")
SSH_CONFIG = SSH / "config"
SITE_CONFIGS = SSH / "gen.d"
REVOKED = "REVOKED "
"""Begins a comment about a revoked key in a site's ssh configuration."""
PUBLIC_KEY_ENDS = "PUBLIC KEY accepted for "
"""Begins a comment about a key that the site accepts for some time, with that time and its path."""
CONTROL_SOCKET_PREFIX = "gen-"
POLICY_LETTERS = 10
"""Length of the part of a socket's name that stands for a policy.

A socket's path has 107 bytes at most, so it is short; 50 bits are not equal by chance.
"""
STATE = PurePosixPath(".local/state/gen")
HOME_BACKUPS = STATE / "backup"
INSTALL_RECORDS = STATE / "install"
INSTALL_RECORD = INSTALL_RECORDS / "home.json"
"""The record of the changes that belong to no single site."""
INSTALL_LOCK = INSTALL_RECORDS / "busy"
"""Locked while gen changes the home directory."""
USER_CONFIG = PurePosixPath(".config")
"""The usual XDG_CONFIG_HOME."""
PROFILE = PurePosixPath("gen/profile.yaml")
"""The profile, below the XDG configuration directory."""
INSTALLED_SPECS = PurePosixPath(".config/gen/site_specs")
USER_SOURCES = PurePosixPath(".config/gen")
"""Has the sources of the user; those of a repository are in OUTPUT_STATE."""
LOCAL_PROGRAMS = PurePosixPath(".local/bin")
"""The directory of the user's programs that units and ssh search (file-hierarchy(7))."""
SYSTEMD_UNITS = PurePosixPath(".config/systemd/user")
LAUNCHD_AGENTS = PurePosixPath("Library/LaunchAgents")
UNIT_PREFIX = "gen-cert-"
RENEWAL_TRACES = (
    (SYSTEMD_UNITS, UNIT_PREFIX, ".timer"),
    (LAUNCHD_AGENTS, UNIT_PREFIX, ".plist"),
    (STATE, "", ".json"),
    (STATE, "", ".due"),
)
"""Directory, and the start and end of a file name, by which a site is known to have a renewal."""

# Below an output directory.
OUTPUT_STATE = PurePosixPath(".gen")
LOCKS = OUTPUT_STATE / "*.lock"
"""Matches the lock of every site, and the record of published specs."""
ACCEPTED_DRIFT = OUTPUT_STATE / "accepted.yaml"
SOURCES_LOCK = PurePosixPath("sources.lock")
"""The record of published specs, below USER_SOURCES or OUTPUT_STATE."""
SOURCES = PurePosixPath("sources")
"""Has the specs of each source, beside the record."""
SOURCES_BUSY = PurePosixPath("sources.busy")
"""Locked while gen changes the record."""
PROJECT_LOCK = OUTPUT_STATE / "project.json"
"""The lock of a Dagster project, below its own directory."""
REPOSITORY_CONFIG = OUTPUT_STATE / "config.yaml"
OUTPUT_BACKUPS = OUTPUT_STATE / "backup"

_HEADER_START = "Made by gen for "
# A unit or a plist has its header below a line of its own, so the header need not be the first
# line.
_HEADER = re.compile(rb"^(?:# |<!-- )" + _HEADER_START.encode(), re.MULTILINE)
HEADER_WITHIN = 400
"""gen looks for its header line in so many bytes at the start of a file."""
# The directory and the name of a generated file. The name alone would not do: many tools write a
# `.env.NAME`.
_GENERATED_PATH = re.compile(
    r".*/\.env\.[a-z0-9-]+"
    r"|ssh/[a-z0-9-]+\.(?:conf|known_hosts)"
    rf"|(?:systemd|launchd)/{UNIT_PREFIX}.*"
    r"|sites/[a-z0-9-]+\.toml"
)


def env_file(site: str) -> PurePosixPath:
    """Return the path of a site's `.env` file."""
    return PurePosixPath(f".env.{site}")


def ssh_config(site: str) -> PurePosixPath:
    """Return the path of a site's ssh configuration."""
    return PurePosixPath(f"ssh/{site}.conf")


def known_hosts(site: str) -> PurePosixPath:
    """Return the path of a site's known_hosts file."""
    return PurePosixPath(f"ssh/{site}.known_hosts")


def service_unit(site: str) -> PurePosixPath:
    """Return the path of the systemd service that renews a site's certificate."""
    return PurePosixPath("systemd") / service_name(site)


def timer_unit(site: str) -> PurePosixPath:
    """Return the path of the systemd timer that starts the service."""
    return PurePosixPath("systemd") / timer_name(site)


def launchd_agent(site: str) -> PurePosixPath:
    """Return the path of the launchd agent that renews a site's certificate."""
    return PurePosixPath("launchd") / f"{agent_label(site)}.plist"


def lock(site: str) -> PurePosixPath:
    """Return the path of a site's lock."""
    return OUTPUT_STATE / f"{site}.lock"


def sourced_spec(source: str, version: int, site: str) -> PurePosixPath:
    """Return the path of a spec of a source, beside the record; each version has a directory."""
    return SOURCES / source / str(version) / f"{site}.yaml"


def generated_files(site: str) -> list[PurePosixPath]:
    """Return every path that gen may write for a site outside its Dagster project."""
    return [
        env_file(site),
        ssh_config(site),
        known_hosts(site),
        service_unit(site),
        timer_unit(site),
        launchd_agent(site),
    ]


def is_generated_path(directory: str, name: str) -> bool:
    """Return whether gen writes files of this name in a directory of this name."""
    return _GENERATED_PATH.fullmatch(f"{directory}/{name}") is not None


def project_name(site: str) -> str:
    """Return the usual name of a site's Dagster project."""
    return f"{site}-pipelines"


def service_name(site: str) -> str:
    """Return the name by which systemctl knows the service of a site."""
    return f"{UNIT_PREFIX}{site}.service"


def timer_name(site: str) -> str:
    """Return the name by which systemctl knows the timer of a site."""
    return f"{UNIT_PREFIX}{site}.timer"


def agent_label(site: str) -> str:
    """Return the label by which launchctl knows the agent of a site."""
    return f"{UNIT_PREFIX}{site}"


def installed_ssh_config(site: str) -> PurePosixPath:
    """Return the path of an installed site's ssh configuration."""
    return SITE_CONFIGS / f"{site}.conf"


def installed_machine_config(site: str) -> PurePosixPath:
    """Return the path of what differs for an installed site on this machine.

    ssh reads the files of a directory in the order of their bytes, so it reads this one before
    those of all sites, whose names begin with a letter or digit.
    """
    return SITE_CONFIGS / f"+{site}.conf"


def installed_known_hosts(site: str) -> PurePosixPath:
    """Return the path of an installed site's known_hosts file."""
    return SITE_CONFIGS / f"{site}.known_hosts"


def installed_service_unit(site: str) -> PurePosixPath:
    """Return the path of an installed site's systemd service."""
    return SYSTEMD_UNITS / service_name(site)


def installed_timer_unit(site: str) -> PurePosixPath:
    """Return the path of an installed site's systemd timer."""
    return SYSTEMD_UNITS / timer_name(site)


def installed_launchd_agent(site: str) -> PurePosixPath:
    """Return the path of an installed site's launchd agent."""
    return LAUNCHD_AGENTS / f"{agent_label(site)}.plist"


def installed_spec(site: str) -> PurePosixPath:
    """Return the path of the spec that gen keeps of an installed site outside the catalogue."""
    return INSTALLED_SPECS / f"{site}.yaml"


def installed_lock(site: str) -> PurePosixPath:
    """Return the path of an installed site's lock."""
    return INSTALL_RECORDS / f"{site}.lock"


def installed_spec_copy(site: str) -> PurePosixPath:
    """Return the path of the copy of the spec from which a site was installed."""
    return INSTALL_RECORDS / f"{site}.yaml"


def installed_files(site: str) -> list[PurePosixPath]:
    """Return every path that `gen install` may write for a site, without its lock."""
    return [
        installed_ssh_config(site),
        installed_machine_config(site),
        installed_known_hosts(site),
        installed_service_unit(site),
        installed_timer_unit(site),
        installed_launchd_agent(site),
        installed_spec(site),
    ]


def systemd_traces(site: str) -> list[PurePosixPath]:
    """Return the files that systemd writes for a timer (systemd.timer(5), `Persistent=`)."""
    timer = timer_name(site)
    return [
        SYSTEMD_UNITS / "timers.target.wants" / timer,
        PurePosixPath(f".local/share/systemd/timers/stamp-{timer}"),
    ]


def renewal_due(site: str) -> PurePosixPath:
    """Return the path of the file with the second from which a site's certificate is due.

    The shell command of `Match exec` reads it: there, the site is `$0`.
    """
    return STATE / f"{site}.due"


def renewal_files(site: str) -> list[PurePosixPath]:
    """Return the files that may stay after a renewal: its due time, state, locks and secrets."""
    names = [f"{site}.json", f"{site}.lock", f"{site}.holder", f"{site}.secrets"]
    return [renewal_due(site), *[STATE / name for name in names]]


def control_socket(policy: str, directory: str = "~/.ssh") -> str:
    """Return the ControlPath of shared connections, as ssh_config(5) writes it.

    `policy` stands for how a connection is let in.
    """
    return f"{directory}/{CONTROL_SOCKET_PREFIX}{policy}-%C"


def header(site: str, command: str = "gen site") -> str:
    """Return the header line of a generated file: which program made it, and how to change it."""
    return (
        f"{_HEADER_START}{site}; do not edit. "
        f"Change the spec or your profile, then run: {command} {site}"
    )


def has_header(content: bytes) -> bool:
    """Return whether a file, or its first HEADER_WITHIN bytes, has our header line."""
    return _HEADER.search(content[:HEADER_WITHIN]) is not None
