"""Compilations kept from one run to the next: compiling is a pure function, and validating takes most of a run's time.

An entry's name is the digest of everything that goes in: the inputs, the tool's own code, Python, and the packages that
are installed. The folder is the user's own (`$XDG_CACHE_HOME/gen`); without a writable one gen is slower, no more.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path, PurePosixPath

from generator import resources
from generator.artifact import Artifact, Owner
from generator.compilation import Compilation, FirstLogin, Gap, Unpinned
from generator.disk import keep
from generator.inputs import File, Inputs, xdg

_MOST = 50


def recalled(inputs: Inputs, build: Callable[[Inputs], Compilation], *, keep_it: bool = True) -> Compilation:
    """Return the compilation of these inputs, from the cache or else from `build`, which may raise."""
    folder = xdg("XDG_CACHE_HOME", ".cache")
    if folder is None:
        return build(inputs)
    entry = folder / "gen" / f"{_key(inputs)}.json"
    try:
        return _parsed(entry.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        made = build(inputs)
    if keep_it:
        _keep(entry, made)
    return made


def _key(inputs: Inputs) -> str:
    """Return a digest of the inputs and of all that works on them: code and templates by size and time."""
    folders = (resources.PACKAGE, resources.TEMPLATES, resources.PROJECT)
    # What Python keeps of modules comes and goes while others run.
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts]
    code = [(stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, files)]
    texts = [_text(inputs.spec), _text(inputs.profile) if inputs.profile else None]
    known = [sys.version, *_installed(), str(resources.PACKAGE), code, texts, dict(inputs.options), inputs.changes]
    known.append(str(inputs.project))
    return sha256(json.dumps(known).encode()).hexdigest()


def _installed() -> Iterator[str]:
    """Yield the packages that Python finds, each with its version, as installing names their folders.

    Asking `importlib.metadata` would take longer than recalling does.
    """
    for place in sys.path:
        try:
            names = os.listdir(place)  # noqa: PTH208 - a path for each of some hundred names would take longer
            yield from sorted(name for name in names if name.endswith((".dist-info", ".egg-info")))
        except OSError:  # a zip file, or nothing
            continue


def _text(file: File) -> tuple[str, str]:
    return str(file.path), file.content.hex()


def _keep(entry: Path, made: Compilation) -> None:
    with suppress(OSError):
        keep(entry, json.dumps(asdict(made), default=_plain).encode(), _MOST)


def _plain(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(content: bytes) -> Compilation:
    record = json.loads(content)
    login = record["first_login"]
    return Compilation(
        site=record["site"],
        title=record["title"],
        status=record["status"],
        person=record["person"],
        changes=tuple(record["changes"]),
        keys=record["keys"],
        templates=record["templates"],
        artifacts=tuple(_artifact(item) for item in record["artifacts"]),
        gaps=tuple(Gap(**item) for item in record["gaps"]),
        unpinned=tuple(Unpinned(**item) for item in record["unpinned"]),
        first_login=FirstLogin(**{**login, "credential": tuple(login["credential"])}),
    )


def _artifact(item: dict[str, str]) -> Artifact:
    place = item["install_to"]
    return Artifact(
        path=PurePosixPath(item["path"]),
        content=item["content"].encode(),
        mode=int(item["mode"]),
        install_to=PurePosixPath(place) if place else None,
        owner=Owner(item["owner"]),
    )
