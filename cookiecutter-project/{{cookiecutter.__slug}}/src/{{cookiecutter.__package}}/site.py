# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""The selected site: its facts from `sites/`, and your values from the environment (see .env.example)."""

import os
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster_slurm as ds

SITES = Path(__file__).parent / "sites"
PROJECT = Path(__file__).parents[2]
FORMAT = 2
"""The format of the files in `sites/` that these modules read."""
SSH = {
    "host": "SLURM_EDGE_NODE_HOST",
    "port": "SLURM_EDGE_NODE_PORT",
    "user": "SLURM_EDGE_NODE_USER",
    "key_path": "SLURM_EDGE_NODE_KEY_PATH",
}


def setting(name: str) -> str | None:
    """Return a variable for the selected site: NAME_SITE (as in …_USER_MILA), else NAME. An empty one counts as unset."""
    site = selected()
    special = variable(f"{name}_{site.upper().replace('-', '_')}") if site else None
    return special or variable(name)


def variable(name: str) -> str | None:
    """Return a variable of the environment. An empty one counts as unset."""
    return os.environ.get(name, "").strip() or None


def selected() -> str | None:
    """Return the name of the site, or None if there is none, or several and none is selected."""
    return variable("SLURM_SUPERCOMPUTER_SITE") or (names()[0] if len(names()) == 1 else None)


def names() -> list[str]:
    """Return the sites where this project can run."""
    return sorted(path.stem for path in SITES.glob("*.toml"))


def chosen() -> dict[str, Any]:
    """Return the facts of the site, or nothing if there is none, or several and none is selected.

    Raises:
        ValueError: the project has no site of the name SLURM_SUPERCOMPUTER_SITE, or its file has another format.
    """
    name = selected()
    if name is None:
        return {}
    if name not in names():
        known = f"the sites are {', '.join(names())}" if names() else "there is no site yet"
        raise ValueError(f"SLURM_SUPERCOMPUTER_SITE={name}: {known} (README.md explains how to add one)")
    return facts(name)


def facts(name: str) -> dict[str, Any]:
    """Return the content of the file of a site.

    Raises:
        ValueError: its format is not the one of these modules.
    """
    text = (SITES / f"{name}.toml").read_text()
    content = tomllib.loads(text)
    if content.get("format") == FORMAT:
        return content
    # The first line ends with the command that writes the file and these modules.
    command = text.partition("\n")[0].rpartition("run: ")[2]
    where = "in the parent directory" if command.startswith("gen project") else "in the directory of its .gen/"
    raise ValueError(
        f"sites/{name}.toml has format {content.get('format', 1)}, and this project reads {FORMAT}; {where}, run: {command}"
    )


def directory(name: str) -> str | None:
    """Return the directory `base_path` or `data_path` at the site: of the environment, else of `sites/` with your name."""
    own = setting({"base_path": "SLURM_DEPLOYMENT_BASE_PATH", "data_path": "SLURM_DATA_PATH"}[name])
    template = chosen().get("deployment", {}).get(name)
    if own or template is None:
        return own
    user, account = setting("SLURM_EDGE_NODE_USER"), setting("SLURM_ACCOUNT")
    if user is None or ("{account}" in template and account is None):
        return None
    return str(template.format(user=user, initial=user[:1].lower(), account=account))


def missing(site: dict[str, Any], deployment: str) -> Iterator[str]:
    """Yield everything that a deployment at a site still needs."""
    if not site:
        yield f"SLURM_SUPERCOMPUTER_SITE, one of {', '.join(names()) or 'the sites that you add (see README.md)'}"
        return
    if "impossible" in site:
        yield f"another site: {site['impossible']}"
    yield from (name for name in site["needs"] if not setting(name))
    host = setting("SLURM_EDGE_NODE_HOST")
    if host and host not in site.get("login_nodes", [host]):
        yield f"no SLURM_EDGE_NODE_HOST={host}, which is not a login node of this site: remove it and the port from .env"
    if not setting("CI_DEPLOYED_ENVIRONMENT_PATH"):
        yield from without_environment(deployment)
    key = fields(site["ssh"], SSH).get("key_path")
    if key and not Path(key).expanduser().exists():
        yield f"the key {key} (or set SLURM_EDGE_NODE_KEY_PATH to another)"


def without_environment(deployment: str) -> Iterator[str]:
    """Yield what is missing where no environment is deployed: production needs one, staging packs one with pixi."""
    if deployment.startswith("production"):
        yield "CI_DEPLOYED_ENVIRONMENT_PATH, the directory at the site with activate.sh and env/"
        return
    if not shutil.which("pixi"):
        yield "pixi, which packs the environment (https://pixi.sh), or CI_DEPLOYED_ENVIRONMENT_PATH"
    if not (PROJECT / "pixi.lock").exists():
        yield "pixi.lock, the versions of the environment; make it with: pixi lock"


def fields(facts: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
    """Return facts, replaced by the variables that are set."""
    return facts | {field: value for field, name in variables.items() if (value := setting(name))}


def connection(site: dict[str, Any]) -> ds.SSHConnectionResource:
    """Return the connection to the login node. A jump host has the site's user and key unless it has its own."""
    ssh = fields(site["ssh"], SSH)
    if jump := ssh.pop("jump_host", None):
        own = {name: ssh[name] for name in ("user", "key_path") if name in ssh}
        ssh["jump_host"] = ds.SSHConnectionResource(**own | jump)
    return ds.SSHConnectionResource(**ssh | {"port": int(ssh["port"])})


def master(ssh: ds.SSHConnectionResource) -> str:
    """Return the command that opens the connection that dagster-slurm shares."""
    socket = ["-M", "-N", "-f", "-o", f"ControlPath={ssh.control_socket_path()}", "-o", "ControlPersist=yes"]
    options = [*ssh.get_common_ssh_opts(), *ssh.get_proxy_command_opts(), *ssh.get_key_auth_opts(batch_mode=False)]
    return shlex.join(["ssh", *socket, *options, "-p", str(ssh.port), f"{ssh.user}@{ssh.host}"])
