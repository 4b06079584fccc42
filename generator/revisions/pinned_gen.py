"""The entries of a list of packages that say which gen is installed, and from which index."""

import re

_NAME = re.compile(r"hpc[-_.]sitegen", re.IGNORECASE)
# Options of pip (requirements file format), keys of pip.conf, uv.toml and .condarc.
_INDEX = re.compile(
    r"\s*(?:-[if]\b|--(?:extra-)?index-url\b|--find-links\b|--trusted-host\b"
    r"|(?:extra-)?index(?:-url)?s?\s*=|find-links\s*=|trusted-host\s*=|channel\w*\s*[:=])"
)
_INDEX_TABLE = re.compile(r"\s*\[\[?(?:tool\.\w+\.)?(?:index|source)(?:es|s)?\]")


def pinned_gen(content: bytes | None) -> list[str]:
    """Return the entries about gen in a list of packages, each in one line.

    An entry goes on below a backslash (requirements.txt), and up to an empty line in the lock
    of uv or poetry.
    """
    entries = []
    for paragraph in _paragraphs(content):
        # In these, every line belongs to one entry.
        is_entry = paragraph.lstrip().startswith("[[package]]")
        for line in [paragraph] if is_entry else paragraph.split("\n"):
            if _NAME.search(line):
                entries.append(" ".join(line.split()))
    return entries


def indexes(content: bytes | None) -> list[str]:
    """Return the entries that say where packages are from: one version may differ between two."""
    entries = []
    for paragraph in _paragraphs(content):
        is_entry = _INDEX_TABLE.match(paragraph) is not None
        for line in [paragraph] if is_entry else paragraph.split("\n"):
            if is_entry or _INDEX.match(line):
                entries.append(" ".join(line.split()))
    return entries


def _paragraphs(content: bytes | None) -> list[str]:
    text = (content or b"").decode(errors="replace").replace("\r\n", "\n").replace("\\\n", " ")
    return re.split(r"\n\s*\n", text)
