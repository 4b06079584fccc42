"""The files of a repository that commands of its sites name, such as a script for ProxyCommand."""

import re
from collections.abc import Iterable, Iterator, Sequence

from generator.errors import GenError
from generator.loading import validate, yaml_document
from generator.revisions.facts import meaning
from generator.revisions.sides import Side
from generator.schema.meta import Weight

_FILE_NAME = re.compile(rb"[\w.+@~-]+")
# A shell ends a word at each of these.
_WORD_END = re.compile(r"[\s\"'`;|&()<>=,]+")


def naming_specs(sides: Sequence[Side], directory: str, paths: Sequence[str]) -> dict[str, str]:
    """Return the spec or lock of either side that names a file, for each of these files."""
    naming: dict[str, str] = {}
    if not paths:
        return naming
    names = {path.rpartition("/")[2].encode(errors="surrogateescape") for path in paths}
    for side in sides:
        for source, word in _words(side, directory, names):
            for path in paths:
                # A command may name it from a home directory or from `/`, where the repository
                # is checked out.
                if word == path or word.endswith(f"/{path}"):
                    naming.setdefault(path, source)
    return naming


def _words(side: Side, directory: str, names: set[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the words of the commands of each site, with the path of its spec or lock."""
    specs = side.specs(directory)
    side.tree.load(specs)
    for path in specs:
        content = side.spec_content(path) or b""
        # To validate a spec takes time, and hardly any has the name of a changed file in it.
        if names.isdisjoint(_FILE_NAME.findall(content)):
            continue
        for text in _trusted_texts(path, content):
            for word in _split(text):
                yield path, word
    # --set in a lock changes commands as a spec does.
    for path, lock_file in side.locks.items():
        for override in lock_file.lock.inputs.overrides:
            for word in _split(override):
                yield path, word


def _trusted_texts(path: str, content: bytes) -> Iterator[str]:
    try:
        site = validate.spec(yaml_document.parse(content, path), path)
    except GenError:
        return  # its faults are findings
    for block in meaning(site).values():
        for fact in block.values():
            if fact.weight is Weight.TRUST:
                yield from fact.value


def _split(text: str) -> Iterable[str]:
    for word in _WORD_END.split(text):
        # An address is of a server, and no file of the repository.
        if word and "://" not in word:
            yield word.removeprefix("./")
