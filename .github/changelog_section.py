"""Print the section of CHANGELOG.md for a tag; refuse a tag that is not the version of the package.

The release workflow runs it: first as a check, then for the text of the release.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def version() -> str:
    """Return the version of the package, read from its source: it need not be installed."""
    source = (ROOT / "generator/__init__.py").read_text()
    match = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    if match is None:
        raise ValueError("generator/__init__.py has no __version__")
    return match[1]


def section(changelog: str, wanted: str) -> str:
    """Return the text below the heading of a version.

    Raises:
        ValueError: the changelog has no such section, or nothing in it.
    """
    pattern = rf"^## {re.escape(wanted)} — \d{{4}}-\d{{2}}-\d{{2}}\n(.*?)(?=^## |\Z)"
    match = re.search(pattern, changelog, re.MULTILINE | re.DOTALL)
    if match is None or not match[1].strip():
        raise ValueError(f"CHANGELOG.md has no section '## {wanted} — DATE' with a text")
    return match[1].strip() + "\n"


def main(tag: str) -> int:
    """Print the section of a tag, and return the exit status."""
    try:
        if tag != f"v{version()}":
            raise ValueError(f"the tag is {tag}, and the version of the package {version()}")
        text = section((ROOT / "CHANGELOG.md").read_text(), version())
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
