"""Write the extracts of the Public Suffix List by which gen knows the owners of a name.

`python tools/shared_domains.py [LIST]` reads the list of Debian's package publicsuffix, or another
copy of https://publicsuffix.org/list/public_suffix_list.dat.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

DEBIAN_LIST = Path("/usr/share/publicsuffix/public_suffix_list.dat")
TARGET = Path(__file__).parents[1] / "generator" / "compiler"
_SECTIONS = {
    "registry_domains.txt": (
        "ICANN",
        "Domains of registries: anybody can register a name below each of them. `*.ck` stands for\n"
        "# every name directly below `ck`. Domains of one label, such as `org`, are left out.",
    ),
    "shared_domains.txt": (
        "PRIVATE",
        "Domains of companies that give names away. A rule `*.NAME` of the list is NAME here, for\n"
        "# each name below it has its own owner too.",
    ),
}
_HEADER = """\
# {text}
# Source: https://publicsuffix.org/list/, the section {section} DOMAINS, version {version}.
# This file is subject to the Mozilla Public License, v. 2.0: https://mozilla.org/MPL/2.0/.
"""


def extracts(text: str) -> dict[str, str]:
    """Return the content of each file that is made from a list."""
    stated = re.search(r"^// VERSION: (\S+)", text, re.MULTILINE)
    version = stated[1] if stated else "not stated"
    contents: dict[str, str] = {}
    for name, (section, description) in _SECTIONS.items():
        header = _HEADER.format(text=description, section=section, version=version)
        domains = set(_domains(text, section))
        contents[name] = header + "".join(f"{domain}\n" for domain in sorted(domains))
    return contents


def _domains(text: str, section: str) -> Iterator[str]:
    _, _, rest = text.partition(f"===BEGIN {section} DOMAINS===")
    rules, _, _ = rest.partition(f"===END {section} DOMAINS===")
    for line in rules.splitlines():
        # Only the text up to the first blank is a rule; an exception (`!`) is the name of one owner
        # (publicsuffix.org/list, format).
        rule = line.partition(" ")[0]
        if not rule or rule.startswith(("//", "!")):
            continue
        # ssh and its configuration have such names in ASCII.
        rule = rule.encode("idna").decode()
        if section == "PRIVATE":
            yield rule.removeprefix("*.")
        elif "." in rule:
            yield rule


def main(path: Path) -> None:
    """Write both files."""
    for name, content in extracts(path.read_text(encoding="utf-8")).items():
        (TARGET / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEBIAN_LIST)
