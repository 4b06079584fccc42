"""Render the cookiecutter template of the Dagster project.

gen replaces the placeholders itself, because importing cookiecutter takes nine times as long as
Python needs to start. So the template uses no more of Jinja than `{{ cookiecutter.NAME }}`. A test
compares all files with those that the `cookiecutter` command makes.
"""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from generator.resources import PROJECT

_PLACEHOLDER = re.compile(r"\{\{ ?cookiecutter\.(\w+) ?\}\}")
_JINJA = re.compile(r"\{[{%#]")


def files(name: str, package: str, site: str, login: str) -> dict[PurePosixPath, bytes]:
    """Return the content of each file of a project by its path relative to the project.

    `login` is the alias of the site's usual host.
    """
    answers = {"name": name, "site": site, "__slug": name, "__package": package, "__login": login}
    copied = json.loads((PROJECT / "cookiecutter.json").read_bytes())["_copy_without_render"]
    [root] = PROJECT.glob("{{*}}")
    rendered: dict[PurePosixPath, bytes] = {}
    for source in root.rglob("*"):
        # pip compiles the Python files of the template when it installs gen.
        if not source.is_file() or "__pycache__" in source.parts:
            continue
        content = source.read_bytes()
        template_path = source.relative_to(PROJECT).as_posix()
        if not any(fnmatchcase(template_path, pattern) for pattern in copied):
            content = filled(content.decode(), answers).encode()
        path = filled(source.relative_to(root).as_posix(), answers)
        rendered[PurePosixPath(path)] = content
    return dict(sorted(rendered.items()))


def filled(text: str, answers: Mapping[str, str]) -> str:
    """Return a text of the template with its placeholders replaced."""
    if _JINJA.search(_PLACEHOLDER.sub("", text)):
        raise ValueError("the project template uses more of Jinja than {{ cookiecutter.NAME }}")
    return _PLACEHOLDER.sub(lambda match: answers[match[1]], text)
