"""Mask secrets that a user typed into a generated file, so that no diff shows them."""

import re

_MASK = "********"
_NAMED = re.compile(
    r"(?i)(?P<name>"
    r"(?:passw(?:or)?d|passphrase|secret|token|credential"
    r"|(?:api|access|private)_?key|_pat\b|bearer)"
    # ssh_config has keywords such as PasswordAuthentication, whose yes or no hides nothing.
    r"[^\s=:]*[\s=:]+)(?!(?:yes|no)\b)\S.*"
)
_ASSIGNED = re.compile(r"(?P<name>^[^#=]*=)\S.*")
# https://user:password@host, as in the address of a proxy (RFC 3986, section 3.2.1).
_IN_ADDRESS = re.compile(r"(?P<name>://[^/\s:@]*:)[^/\s@]+(?=@)")
# PEM (RFC 7468); OpenSSH's own format has these lines too.
_KEY_START = re.compile("-----BEGIN .*PRIVATE KEY")
_KEY_END = "-----END "


def masked(lines: list[str], generated: list[str], is_env_file: bool) -> list[str]:
    """Return the lines with everything masked that looks like a secret.

    `generated` are the lines that gen writes.

    In a `.env` file, the value of every variable that gen does not write is masked: users put
    secrets there.
    """
    own_names = {line.partition("=")[0] for line in generated}
    result = []
    in_key = False
    for line in lines:
        in_key = in_key or bool(_KEY_START.search(line))
        if line in generated:
            result.append(line)
        else:
            is_foreign = is_env_file and line.partition("=")[0] not in own_names
            result.append(_mask(line, in_key, is_foreign))
        # The last line of a key is masked too, so this comes after it.
        in_key = in_key and _KEY_END not in line
    return result


def _mask(line: str, in_key: bool, is_foreign: bool) -> str:
    text = line.rstrip("\r\n")
    line_end = line[len(text) :]
    if in_key:
        return _MASK + line_end
    patterns = [_NAMED, _IN_ADDRESS]
    if is_foreign:
        patterns.append(_ASSIGNED)
    for pattern in patterns:
        text = pattern.sub(rf"\g<name>{_MASK}", text)
    return text + line_end
