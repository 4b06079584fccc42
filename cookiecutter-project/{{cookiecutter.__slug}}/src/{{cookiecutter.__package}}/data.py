# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Data between this machine and the site, over the shared connection: sizes are shown, and there is a limit."""

import base64
import shlex
from pathlib import Path

import dagster as dg
import dagster_slurm as ds

from .connection import Connection

LIMIT = 100 * 10**6
"""Bytes that a file may have."""


def fetch(ssh: ds.SSHConnectionResource, path: str, target: Path, limit: int) -> Path:
    """Copy a file from the site to this machine, and return its path here.

    Raises:
        Failure: it is not a file, is larger than the limit, or changed while it was copied.
    """
    with Connection(ssh) as connection:
        file = quoted(path)
        answer = connection.run(f"[ -f {file} ] && stat -L -c %s {file} || true").strip()
        if not answer:
            raise dg.Failure(f"{path}: is not a file at {ssh.host}")
        size = int(answer)
        if size > limit:
            raise dg.Failure(f"{path}: has {megabytes(size)}, and the limit is {megabytes(limit)}: pass limit={size}")
        dg.get_dagster_logger().info(f"fetching {path} from {ssh.host}: {megabytes(size)}")
        content = base64.b64decode(connection.run(f"head -c {size + 1} {file} | base64"))
    if len(content) != size:
        raise dg.Failure(f"{path}: changed while it was copied")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(content)
    return partial.replace(target)


def send(ssh: ds.SSHConnectionResource, source: Path, path: str, limit: int) -> None:
    """Copy a file from this machine to the site.

    Raises:
        Failure: it is larger than the limit.
    """
    size = source.stat().st_size
    if size > limit:
        raise dg.Failure(f"{source}: has {megabytes(size)}, and the limit is {megabytes(limit)}")
    dg.get_dagster_logger().info(f"sending {path} to {ssh.host}: {megabytes(size)}")
    with Connection(ssh) as connection:
        # scp(1) expands no $HOME.
        connection.upload_file(str(source), connection.run(f"readlink -m {quoted(path)}").strip())


def quoted(path: str) -> str:
    """Return a path for a shell at the site, which expands only a $HOME at its start."""
    rest = path.removeprefix("$HOME")
    return shlex.quote(rest) if rest == path else f'"$HOME"{shlex.quote(rest)}'


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size:,} bytes" if size < 10**5 else f"{size / 10**6:,.1f} MB"
