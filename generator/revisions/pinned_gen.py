"""The entries of a list of packages that say which gen is installed."""

import re

_NAME = re.compile(r"hpc[-_.]sitegen", re.IGNORECASE)


def pinned_gen(content: bytes | None) -> list[str]:
    """Return the entries about gen in a list of packages, each in one line.

    An entry goes on below a backslash (requirements.txt), and up to an empty line in the lock
    of uv or poetry.
    """
    text = (content or b"").decode(errors="replace").replace("\r\n", "\n").replace("\\\n", " ")
    entries = []
    for paragraph in re.split(r"\n\s*\n", text):
        if not _NAME.search(paragraph):
            continue
        is_entry = paragraph.lstrip().startswith("[[package]]")
        lines = [paragraph] if is_entry else paragraph.split("\n")
        for line in lines:
            if _NAME.search(line):
                entries.append(" ".join(line.split()))
    return entries
