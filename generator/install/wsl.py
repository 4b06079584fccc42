"""The copy of a site's ssh file for the Windows side of WSL: what Windows' ssh cannot do is left out."""

import re

from generator.ssh.config_lines import Line, lines

# Win32-OpenSSH shares no connections, and has no /bin/sh to check a pin by.
_SHARING = {"controlmaster", "controlpath", "controlpersist"}
_PINNING = {"knownhostscommand", "userknownhostsfile", "globalknownhostsfile"}


def is_wsl(version: str) -> bool:
    """Tell whether this is Linux on Windows, from the words of /proc/version."""
    return "microsoft" in version.lower()


def windows_copy(site: bytes) -> bytes:
    """Return a site's file as Windows' ssh can use it.

    Where a host key was pinned it asks, and keeps the answer; the fingerprints to compare stand in a comment.
    """
    pinned = {block for block, line in _blocks(site) if line.keyword == "knownhostscommand"}
    parts, done = list[bytes](), 0
    for block, line in _blocks(site):
        parts.append(site[done : line.start])
        parts.append(_for_windows(line, site[line.start : line.end], block in pinned))
        done = line.end
    return b"".join([*parts, site[done:]])


def _blocks(site: bytes) -> list[tuple[int, Line]]:
    """Return each line with the number of its Host block."""
    number, found = 0, list[tuple[int, Line]]()
    for line in lines(site):
        number += line.keyword == "host"
        found.append((number, line))
    return found


def _for_windows(line: Line, written: bytes, pinned: bool) -> bytes:
    if line.keyword in _SHARING:
        return b""
    if pinned and line.keyword == "stricthostkeychecking":
        return written.replace(b"yes", b"ask")
    if pinned and line.keyword in _PINNING:
        prints = re.findall(rb"SHA256:[A-Za-z0-9+/]+", written)
        return b"".join(b"    # compare before you say yes: %s\n" % one for one in prints)
    return written
