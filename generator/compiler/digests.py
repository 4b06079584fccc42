"""Digests of files, and of each value of a spec."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    return sha256(content).hexdigest()


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings with its key path, as in `slurm.partition`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def key_digests(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a short digest of every value of a spec, by its key path."""
    # 12 digits are enough to notice a change; the lock has one digest for every value of a spec.
    return {path: digest(json.dumps(value).encode())[:12] for path, value in leaves(values)}
