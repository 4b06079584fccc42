"""`.gen/SITE.lock`: what was generated last time, and from what. JSON, a line for each value, so that git merges it.

A lock comes from git, so from anybody: what it says is checked like any input.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from generator.artifact import Artifact, Owner
from generator.errors import GenError

FORMAT = 1


@dataclass(frozen=True)
class Written:
    """A file as it was written: the SHA-256 of its bytes, its mode, and whose it is."""

    digest: str
    mode: int
    owner: Owner


@dataclass(frozen=True)
class Lock:
    """The inputs of a generation, and the files that came of it."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[PurePosixPath, Written] = field(default_factory=dict)


def path(site: str) -> PurePosixPath:
    """Return where a site's lock lies in the output folder."""
    return PurePosixPath(f".gen/{site}.lock")


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    return sha256(content).hexdigest()


def of(site: str, artifacts: list[Artifact], inputs: Mapping[str, Any]) -> bytes:
    """Return the bytes of the lock that goes with these artifacts."""
    files = {
        str(artifact.path): {
            "sha256": digest(artifact.content),
            "mode": f"{artifact.mode:04o}",
            "owner": artifact.owner,
        }
        for artifact in artifacts
    }
    record = {"format": FORMAT, "site": site, "inputs": inputs, "files": files}
    return (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parse(content: bytes, name: str) -> Lock:
    """Read a lock.

    Raises:
        GenError: it is not one of ours, or names a file outside the folder.
    """
    try:
        record = json.loads(content)
        if record["format"] != FORMAT:
            raise GenError(
                f"{name}: is of format {record['format']!r}, this gen reads {FORMAT}; install the gen that wrote it"
            )
        files = {_inside(key): _written(value) for key, value in record["files"].items()}
        return Lock(dict(record["inputs"]), files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise GenError(f"{name}: is no lock that gen wrote (a merge conflict?); with --force it is made anew") from None


def _written(value: Mapping[str, str]) -> Written:
    return Written(str(value["sha256"]), int(value["mode"], 8), Owner(value["owner"]))


def _inside(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.parts or not text.isprintable():
        raise ValueError(text)
    return path
