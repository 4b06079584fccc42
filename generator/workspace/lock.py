"""`.gen/SITE.lock`: what was generated last time, and from what. JSON, a line for each value, so that git merges it.

A lock comes from git, so from anybody: what it says is checked like any input.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from generator import paths
from generator.compiler.artifact import Artifact, Owner
from generator.compiler.digests import digest
from generator.errors import GenError
from generator.schema.names import SLUG
from generator.schema.project import Project

FORMAT = 1
_CATALOGUE = "catalogue:"


@dataclass(frozen=True)
class Recipe:
    """Everything that went into a generation: enough to do it again, and to say what has moved since."""

    gen: str
    """Version of the tool."""
    templates: str
    """Digest of its templates."""
    spec: str
    """`catalogue:NAME`, or the path of the spec from the output folder."""
    spec_digest: str
    """SHA-256 of the spec's bytes."""
    keys: Mapping[str, str]
    """Digest of every value of the spec, by its keys."""
    profile: Mapping[str, str | bool]
    """The person's values."""
    changes: tuple[str, ...]
    """The changes to the spec, as `--set` takes them."""
    project: Project | None = None
    """The Dagster project that the site is wired into."""

    @property
    def catalogue(self) -> str | None:
        """Name of the site in the catalogue, if that is where the spec is from."""
        return self.spec.removeprefix(_CATALOGUE) if self.spec.startswith(_CATALOGUE) else None


@dataclass(frozen=True)
class Written:
    """A file as it was written: the SHA-256 of its bytes, its mode, and whose it is."""

    digest: str
    mode: int
    owner: Owner


@dataclass(frozen=True)
class Lock:
    """A generation: of which site, from what, and the files that came of it."""

    site: str
    recipe: Recipe
    files: Mapping[PurePosixPath, Written] = field(default_factory=dict)


def catalogue(name: str) -> str:
    """Return how a recipe names a spec of the catalogue."""
    return f"{_CATALOGUE}{name}"


def of(site: str, artifacts: Iterable[Artifact], recipe: Recipe) -> bytes:
    """Return the bytes of the lock that goes with these artifacts; what is seeded is the user's, and not in it."""
    files = {
        str(artifact.path): {
            "sha256": digest(artifact.content),
            "mode": f"{artifact.mode:04o}",
            "owner": artifact.owner,
        }
        for artifact in artifacts
        if artifact.owner is Owner.MANAGED
    }
    inputs = {
        "gen": recipe.gen,
        "templates": recipe.templates,
        "spec": {"path": recipe.spec, "sha256": recipe.spec_digest, "keys": dict(recipe.keys)},
        "profile": dict(recipe.profile),
        "set": list(recipe.changes),
    }
    if project := recipe.project:
        inputs["project"] = {
            "folder": str(project.folder),
            "package": project.package,
            "alone": project.alone,
        }
    record = {"format": FORMAT, "site": site, "inputs": inputs, "files": files}
    return (json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def parse(
    content: bytes,
    name: str,
    made: Callable[[str], list[PurePosixPath]] = paths.generated_files,
) -> Lock:
    """Read a lock; `made` tells which files there may be for a site.

    Raises:
        GenError: it is not one of ours, or names a file that is never made for its site.
    """
    if conflicted(content):
        raise GenError(f"{name}: has a merge conflict; gen site --all --out DIR makes it anew")
    try:
        record = json.loads(content)
        if record["format"] != FORMAT:
            raise GenError(
                f"{name}: is of format {record['format']!r}, this gen reads {FORMAT}; use the gen that wrote it"
            )
        site = _slug(record["site"])
        recipe = _recipe(record["inputs"])
        possible = [str(path) for path in made(site)]
        if recipe.project:
            possible.append(str(recipe.project.wiring(site)))
        files = {_of(possible, key): _written(value) for key, value in record["files"].items()}
        return Lock(site, recipe, files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise GenError(
            f"{name}: is no lock that gen wrote; gen site SITE --force makes it anew"
        ) from None


def conflicted(content: bytes) -> bool:
    """Tell whether git left the markers of a merge conflict in a lock."""
    return any(line.startswith((b"<<<<<<< ", b">>>>>>> ")) for line in content.splitlines())


def ours(content: bytes) -> bytes:
    """Return our side of a merge conflict: the lines before each `=======`, and those outside conflicts."""
    kept, theirs = [], False
    for line in content.splitlines(keepends=True):
        if line.startswith((b"=======", b"|||||||")):
            theirs = True
        elif line.startswith(b">>>>>>> "):
            theirs = False
        elif not theirs and not line.startswith(b"<<<<<<< "):
            kept.append(line)
    return b"".join(kept)


def _recipe(inputs: Mapping[str, Any]) -> Recipe:
    spec = inputs["spec"]
    texts = [inputs["gen"], inputs["templates"], spec["path"], spec["sha256"], *inputs["set"]]
    texts += [text for pair in spec["keys"].items() for text in pair] + list(inputs["profile"])
    texts += [value for value in inputs["profile"].values() if not isinstance(value, bool)]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise TypeError(inputs)
    return Recipe(
        gen=inputs["gen"],
        templates=inputs["templates"],
        spec=spec["path"],
        spec_digest=spec["sha256"],
        keys=dict(spec["keys"]),
        profile=dict(inputs["profile"]),
        changes=tuple(inputs["set"]),
        project=_project(inputs["project"]) if "project" in inputs else None,
    )


def _project(value: Mapping[str, Any]) -> Project:
    if not value["package"].isidentifier():
        raise ValueError(value)
    folder = PurePosixPath(value["folder"])
    if folder.is_absolute() or ".." in folder.parts or not value["folder"].isprintable():
        raise ValueError(value)
    return Project(folder, value["package"], bool(value["alone"]))


def _written(value: Mapping[str, str]) -> Written:
    return Written(str(value["sha256"]), int(value["mode"], 8), Owner(value["owner"]))


def _slug(text: str) -> str:
    if not re.fullmatch(SLUG, text):
        raise ValueError(text)
    return text


def _of(made: list[str], text: str) -> PurePosixPath:
    """Refuse what is never made for a site: else a lock could have any file shown in a patch, or taken away."""
    if text not in made:
        raise ValueError(text)
    return PurePosixPath(text)
