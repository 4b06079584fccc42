"""Compilations kept from one run to the next: compiling is a pure function, and validating takes most of a run's time.

An entry's name is the digest of everything that goes in, the tool's own code included; so an entry is never wrong,
only unused. The folder is the user's own (`$XDG_CACHE_HOME/gen`); without a writable one gen is slower, no more.
"""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path, PurePosixPath

from generator import resources
from generator.artifact import Artifact, Owner
from generator.compilation import Compilation, FirstLogin, Gap, Unpinned
from generator.disk import replace
from generator.inputs import File, Inputs

_MOST = 50


def recalled(inputs: Inputs, build: Callable[[Inputs], Compilation]) -> Compilation:
    """Return the compilation of these inputs, from the cache or else from `build`, which may raise."""
    entry = _folder() / f"{_key(inputs)}.json"
    try:
        return _parsed(entry.read_bytes())
    except (OSError, ValueError, KeyError, TypeError):
        made = build(inputs)
    _keep(entry, made)
    return made


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gen"


def _key(inputs: Inputs) -> str:
    """Return a digest of the inputs and of the code and templates that work on them (by size and time)."""
    folders = (resources.PACKAGE, resources.TEMPLATES)
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".j2")]
    code = [(stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, files)]
    texts = [_text(inputs.spec), _text(inputs.profile) if inputs.profile else None]
    known = [str(resources.PACKAGE), code, texts, dict(inputs.options), inputs.changes]
    return sha256(json.dumps(known).encode()).hexdigest()


def _text(file: File) -> tuple[str, str]:
    return str(file.path), file.content.hex()


def _keep(entry: Path, made: Compilation) -> None:
    try:
        entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old = sorted(entry.parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in old[: max(0, len(old) - _MOST + 1)]:
            path.unlink(missing_ok=True)
        replace(entry, json.dumps(asdict(made), default=_plain).encode(), 0o600)
    except OSError:
        return


def _plain(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(content: bytes) -> Compilation:
    record = json.loads(content)
    login = record["first_login"]
    return Compilation(
        site=record["site"],
        title=record["title"],
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
