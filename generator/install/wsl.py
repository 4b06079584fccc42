"""The copy of a site's ssh file for the Windows side of WSL, without what Windows' ssh lacks."""

import re

from generator.ssh.config_lines import Line, lines

# Win32-OpenSSH shares no connections, and Windows has no /bin/sh that could check a pin.
_SHARING = {"controlmaster", "controlpath", "controlpersist"}
_PINNING = {"knownhostscommand", "userknownhostsfile", "globalknownhostsfile"}


def is_wsl(kernel: str) -> bool:
    """Return whether the content of /proc/version names the kernel of WSL."""
    return "microsoft" in kernel.lower()


def windows_copy(conf: bytes) -> bytes:
    """Return a site's ssh file as Windows' ssh can use it.

    Where the site pins a host key, Windows' ssh asks the user instead; the fingerprints to compare
    are in comments.
    """
    numbered_lines = _with_block_numbers(conf)
    pinned: set[int] = set()
    for block, line in numbered_lines:
        if line.keyword == "knownhostscommand":
            pinned.add(block)
    copy = b""
    copied = 0  # offset of the first byte that is not in the copy yet
    for block, line in numbered_lines:
        copy += conf[copied : line.start]
        copy += _for_windows(line, conf[line.start : line.end], block in pinned)
        copied = line.end
    return copy + conf[copied:]


def _with_block_numbers(conf: bytes) -> list[tuple[int, Line]]:
    """Return each line with the number of its Host or Match block."""
    numbered_lines: list[tuple[int, Line]] = []
    block = 0
    for line in lines(conf):
        if line.keyword in ("host", "match"):
            block += 1
        numbered_lines.append((block, line))
    return numbered_lines


def _for_windows(line: Line, text: bytes, is_pinned: bool) -> bytes:
    if line.keyword in _SHARING:
        return b""
    # With "yes" and no pin, ssh would refuse every host that Windows' known_hosts lacks.
    if is_pinned and line.keyword == "stricthostkeychecking":
        return text.replace(b"yes", b"ask")
    if is_pinned and line.keyword in _PINNING:
        comments = b""
        for fingerprint in re.findall(rb"SHA256:[A-Za-z0-9+/]+", text):
            comments += b"    # compare before you answer yes: %s\n" % fingerprint
        return comments
    return text
