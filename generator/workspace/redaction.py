"""Mask secrets that a user typed into a generated file, so that a diff is less likely to show them.

This is a help and no promise: a secret that looks like any other word is shown.
"""

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
# https://user:password@host, as in the address of a proxy (RFC 3986, section 3.2.1). The password
# ends at the last `@` before a blank: users forget to escape one. Digits before a slash are a port.
_IN_ADDRESS = re.compile(r"(?P<name>://[^/\s:@]*:)(?!\d+/)\S+(?=@)")
_TOKEN_IN_ADDRESS = re.compile(r"(?P<name>https?://)[^/\s:@]+(?=@)")
_SHELL_WORD = r"""(?:"[^"]*"|'[^']*'|\S)+"""
_COMMANDS = (
    # sshpass(1), mysql(1), docker-login(1): the password may follow the option without a blank.
    re.compile(
        r"(?P<name>\b(?:sshpass|mysql\w*|mariadb\w*|docker\s+login)\b(?:\s.*?)?\s-p\s*)"
        rf"{_SHELL_WORD}"
    ),
    # curl(1), wget(1), lftp(1)
    re.compile(
        rf"(?P<name>\b(?:curl|lftp)\b(?:\s.*?)?\s(?:-\w*[uU]|--(?:proxy-)?user)[\s=]*){_SHELL_WORD}"
    ),
    re.compile(r"(?i)(?P<name>\bauthorization:\s*)\S.*"),
)
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
    # Git for Windows converts line ends at a checkout (git-config(1), core.autocrlf).
    own_lines = {line.rstrip("\r\n") for line in generated}
    result = []
    in_key = False
    # How a masked value goes on in the next line: the quote that is open, or a backslash.
    open_value = ""
    for line in lines:
        in_key = in_key or bool(_KEY_START.search(line))
        if line.rstrip("\r\n") in own_lines:
            result.append(line)
            open_value = ""
        elif in_key or open_value:
            result.append(_whole(line))
            open_value = _after(open_value, line)
        else:
            is_foreign = is_env_file and line.partition("=")[0] not in own_names
            shown = _mask(line, is_foreign)
            result.append(shown)
            if shown != line:
                open_value = _opened(line)
        # The last line of a key is masked too, so this comes after it.
        in_key = in_key and _KEY_END not in line
    return result


def _whole(line: str) -> str:
    text = line.rstrip("\r\n")
    return _MASK + line[len(text) :] if text else line


def _mask(line: str, is_foreign: bool) -> str:
    text = line.rstrip("\r\n")
    line_end = line[len(text) :]
    patterns = [_NAMED, _IN_ADDRESS, _TOKEN_IN_ADDRESS, *_COMMANDS]
    if is_foreign:
        patterns.append(_ASSIGNED)
    for pattern in patterns:
        text = pattern.sub(rf"\g<name>{_MASK}", text)
    return text + line_end


def _opened(line: str) -> str:
    """Return the quote that a line leaves open, or the backslash at its end.

    It is empty if the line ends its value.
    """
    open_quote = ""
    is_escaped = False
    for char in line.rstrip("\r\n"):
        if is_escaped:
            is_escaped = False
        elif char == "\\" and open_quote != "'":
            is_escaped = True
        elif char == open_quote:
            open_quote = ""
        elif char in "\"'" and not open_quote:
            open_quote = char
    if is_escaped and not open_quote:
        return "\\"
    return open_quote


def _after(open_value: str, line: str) -> str:
    """Return how a value goes on below a line in its middle."""
    if open_value == "\\":
        return _opened(line)
    # The quote of the line is as if it stood in front of it.
    return _opened(open_value + line)
