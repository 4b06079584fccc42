"""Render the cookiecutter template of the Dagster project.

gen replaces the placeholders itself, because importing cookiecutter takes nine times as long as
Python needs to start. So the template uses no more of Jinja than `{{ cookiecutter.NAME }}`. A test
compares all files with those that the `cookiecutter` command makes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath

from generator.compiler.digests import digest
from generator.resources import PROJECT

_PLACEHOLDER = re.compile(r"\{\{ ?cookiecutter\.(\w+) ?\}\}")
_JINJA = re.compile(r"\{[{%#]")


# The Python package of the template has the glue beside these two and the packages of the user.
_PACKAGE = "src/{{cookiecutter.__package}}"
_SEEDED_MODULES = ("__init__.py", "definitions.py")


def files(name: str, package: str, site: str, login: str) -> dict[PurePosixPath, bytes]:
    """Return the content of each file that a project starts with, by its path in the project.

    The glue is not among them. `login` is the alias of the site's usual host.
    """
    answers = {"name": name, "site": site, "__slug": name, "__package": package, "__login": login}
    copied = json.loads((PROJECT / "cookiecutter.json").read_bytes())["_copy_without_render"]
    rendered: dict[PurePosixPath, bytes] = {}
    for relative, source in _sources():
        if _is_glue(relative):
            continue
        content = source.read_bytes()
        template_path = source.relative_to(PROJECT).as_posix()
        if not any(fnmatchcase(template_path, pattern) for pattern in copied):
            content = filled(content.decode(), answers).encode()
        rendered[PurePosixPath(filled(relative.as_posix(), answers))] = content
    return dict(sorted(rendered.items()))


@cache
def glue() -> Mapping[str, bytes]:
    """Return the modules that connect a project to its sites, by their file name.

    They hold nothing of a project or a site. gen manages them, so that a fix reaches every project.
    """
    modules: dict[str, bytes] = {}
    for source in sorted((_root() / _PACKAGE).glob("*.py")):
        if source.name not in _SEEDED_MODULES:
            modules[source.name] = source.read_bytes()
    return modules


@cache
def template_digest() -> str:
    """Return a digest of the files that a project starts with, before gen fills them in."""
    texts: list[bytes] = []
    for relative, source in _sources():
        if not _is_glue(relative):
            texts += [relative.as_posix().encode(), source.read_bytes()]
    return digest(b"\0".join(texts))[:12]


def _root() -> Path:
    [root] = PROJECT.glob("{{*}}")
    return root


def _sources() -> Iterator[tuple[Path, Path]]:
    """Yield the path of each file of the template in a project, and the file."""
    root = _root()
    for source in sorted(root.rglob("*")):
        # pip compiles the Python files of the template when it installs gen.
        if source.is_file() and "__pycache__" not in source.parts:
            yield source.relative_to(root), source


def _is_glue(relative: Path) -> bool:
    return relative.parent.as_posix() == _PACKAGE and relative.name not in _SEEDED_MODULES


def filled(text: str, answers: Mapping[str, str]) -> str:
    """Return a text of the template with its placeholders replaced."""
    if _JINJA.search(_PLACEHOLDER.sub("", text)):
        raise ValueError("the project template uses more of Jinja than {{ cookiecutter.NAME }}")
    return _PLACEHOLDER.sub(lambda match: answers[match[1]], text)
