"""The file of a site for this machine, which ssh reads before the site's own.

The ssh configuration of a site is the same on every machine. This file has what must differ on one.
"""

from pathlib import Path

from generator import paths
from generator.install import sharing

_MESSAGE = "# "


def machine_config(home: Path, site: str, conf: bytes) -> bytes | None:
    """Return the content of the file; ``None`` if nothing differs on this machine."""
    # Imported only here, because it imports pydantic.
    from generator.install import old_client

    # First the one with an IgnoreUnknown, which holds for the lines below it.
    text = [*old_client.machine_lines(home, site, conf), *sharing.machine_lines(home, conf)]
    if not text:
        return None
    return "\n".join([f"{_MESSAGE}{paths.header(site, 'gen install')}", *text, ""]).encode()


def messages_of(content: bytes) -> list[str]:
    """Return the decisions that the file holds: its comments below the header."""
    messages: list[str] = []
    for line in content.decode(errors="replace").split("\n")[1:]:
        if line.startswith(_MESSAGE):
            messages.append(line.removeprefix(_MESSAGE))
    return messages
