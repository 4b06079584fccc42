"""Our cookiecutter template, rendered by cookiecutter; nothing of the user's is read or run for it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from generator.resources import PROJECT


def files(name: str, package: str, site: str, login: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield the path of each file of a project, from its folder, and its bytes; `login` is what ssh calls the site.

    `~/.cookiecutterrc` and replays belong to cookiecutter's command, which is not used; hooks are not run.
    """
    from cookiecutter.generate import generate_context, generate_files  # takes its time

    answers = {"name": name, "site": site, "__slug": name, "__package": package, "__login": login}
    context = generate_context(str(PROJECT / "cookiecutter.json"), extra_context=answers)
    with tempfile.TemporaryDirectory(prefix="gen-") as scratch:
        folder = Path(generate_files(str(PROJECT), context, scratch, accept_hooks=False))
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:  # pip compiles what it installs
                yield PurePosixPath(path.relative_to(folder)), path.read_bytes()
