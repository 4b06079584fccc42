"""The extracts of the Public Suffix List are what their script makes of it."""

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from generator import resources

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "tools/shared_domains.py"))
EXTRACTS: Callable[[str], Mapping[str, str]] = SCRIPT["extracts"]
DEBIAN_LIST: Path = SCRIPT["DEBIAN_LIST"]
LICENCE = (
    "# This file is subject to the Mozilla Public License, v. 2.0: https://mozilla.org/MPL/2.0/."
)
LIST = """\
// VERSION: 2026-10-22_08-36-41_UTC
// ===BEGIN ICANN DOMAINS===
// at : https://www.nic.at/
at
ac.at
*.kobe.jp
!city.kobe.jp
\u7f51\u7edc.cn  until a blank
// ===END ICANN DOMAINS===
// ===BEGIN PRIVATE DOMAINS===
github.io
*.0e.vc
// ===END PRIVATE DOMAINS===
"""


def shipped(name: str) -> str:
    return (resources.PACKAGE / "compiler" / name).read_text(encoding="utf-8")


def domains(content: str) -> list[str]:
    return [line for line in content.splitlines() if not line.startswith("#")]


def test_the_rules_of_each_section_are_in_its_file() -> None:
    contents = EXTRACTS(LIST)
    assert {name: domains(content) for name, content in contents.items()} == {
        "registry_domains.txt": ["*.kobe.jp", "ac.at", "xn--io0a7i.cn"],
        "shared_domains.txt": ["0e.vc", "github.io"],
    }
    for content in contents.values():
        assert "version 2026-10-22_08-36-41_UTC.\n" in content


@pytest.mark.parametrize("name", ["registry_domains.txt", "shared_domains.txt"])
def test_the_files_state_their_source_and_licence(name: str) -> None:
    content = shipped(name)
    header = [line for line in content.splitlines() if line.startswith("#")]
    empty = EXTRACTS(LIST)[name].splitlines()[: len(header)]
    assert header == empty
    assert header[-1] == LICENCE
    assert domains(content) == sorted(set(domains(content)))


@pytest.mark.parametrize("name", ["registry_domains.txt", "shared_domains.txt"])
def test_the_files_are_those_of_the_list_of_this_machine(name: str) -> None:
    if not DEBIAN_LIST.exists():
        pytest.skip(f"needs {DEBIAN_LIST} (package publicsuffix)")
    content = EXTRACTS(DEBIAN_LIST.read_text(encoding="utf-8"))[name]
    version = content.partition("version ")[2].partition("\n")[0]
    if version in shipped(name):
        assert content == shipped(name)
    # Another version of the list: from 2023 to 2026, one rule in eight went.
    of_machine = set(domains(content))
    assert len(of_machine & set(domains(shipped(name)))) > 0.7 * len(of_machine)
