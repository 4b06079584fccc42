"""Secrets that somebody typed into a file of ours: shown to nobody who reads a diff."""

import re

_MASK = "********"
_ASSIGNED = re.compile(
    r"(?i)^(?P<name>[^=:]*(?:passw(?:or)?d|passphrase|secret|token|credential|api_?key|private_?key)[^=:]*[=:]\s*)\S.*"
)
_IN_ADDRESS = re.compile(r"(?P<name>://[^/\s:@]*:)[^/\s@]+(?=@)")
_KEY_STARTS, _KEY_ENDS = "-----BEGIN ", "-----END "


def masked(lines: list[str], ours: set[str]) -> list[str]:
    """Return the lines with what looks like a secret masked, but for those that gen itself writes: it writes none."""
    result, inside = [], False
    for line in lines:
        inside = inside or (line.startswith(_KEY_STARTS) and "PRIVATE KEY" in line)
        result.append(line if line in ours else _mask(line, inside))
        inside = inside and not line.startswith(_KEY_ENDS)
    return result


def _mask(line: str, inside_key: bool) -> str:
    text = line.rstrip("\r\n")
    hidden = _MASK if inside_key else _IN_ADDRESS.sub(rf"\g<name>{_MASK}", _ASSIGNED.sub(rf"\g<name>{_MASK}", text))
    return hidden + line[len(text) :]
