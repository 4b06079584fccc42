"""Digests of files, and of each value of a spec."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    return sha256(content).hexdigest()


def leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of nested mappings with its keys from the top, dots between."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def key_digests(values: Mapping[str, Any]) -> dict[str, str]:
    """Return a short digest of every value of a spec, by its keys from the top with dots between."""
    return {keys: digest(json.dumps(value).encode())[:12] for keys, value in leaves(values)}
