"""Secrets that somebody typed into a file of ours: shown to nobody who reads a diff."""

import re

_MASK = "********"
_NAMED = re.compile(
    r"(?i)(?P<name>(?:passw(?:or)?d|passphrase|secret|token|credential|(?:api|access|private)_?key|_pat\b|bearer)"
    r"[^\s=:]*[\s=:]+)(?!(?:yes|no)\b)\S.*"
)
_ASSIGNED = re.compile(r"(?P<name>^[^#=]*=)\S.*")
_IN_ADDRESS = re.compile(r"(?P<name>://[^/\s:@]*:)[^/\s@]+(?=@)")
_KEY_STARTS, _KEY_ENDS = re.compile("-----BEGIN .*PRIVATE KEY"), "-----END "


def masked(lines: list[str], ours: list[str], assigned: bool) -> list[str]:
    """Return the lines with what looks like a secret masked, but for those that gen itself writes: it writes none.

    With `assigned`, so does the value of every variable that gen does not write: people put them into `.env` files.
    """
    known = {line.partition("=")[0] for line in ours}
    result, inside = [], False
    for line in lines:
        inside = inside or bool(_KEY_STARTS.search(line))
        foreign = assigned and line.partition("=")[0] not in known
        result.append(line if line in ours else _mask(line, inside, foreign))
        inside = inside and _KEY_ENDS not in line
    return result


def _mask(line: str, inside_key: bool, foreign: bool) -> str:
    text = line.rstrip("\r\n")
    hidden = _MASK if inside_key else text
    for pattern in (_NAMED, _IN_ADDRESS, *([_ASSIGNED] if foreign else [])):
        hidden = pattern.sub(rf"\g<name>{_MASK}", hidden)
    return hidden + line[len(text) :]
