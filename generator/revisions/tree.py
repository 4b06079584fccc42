"""The files of a repository, at a commit or in the work tree: one side of a review."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from generator.files import read_plain
from generator.revisions import git
from generator.revisions.git import TreeEntry

# ELOOP of Linux: the kernel gives up after so many links (path_resolution(7)).
_MOST_LINKS = 40
_SPECIAL = "000000"


class Tree:
    """Every file of one side, by its path from the current directory.

    Links are followed inside the tree only, by their text: nothing outside the repository is
    ever read.
    """

    def __init__(self, files: Mapping[str, TreeEntry], contents: Mapping[str, bytes]) -> None:
        """Take files by their paths from the top of the repository."""
        # Once, because a process of git for each path would take most of the time of a review.
        self._prefix = git.prefix()
        self.files = _from_here(files, self._prefix)
        self._contents = dict(contents)

    @cached_property
    def directories(self) -> set[str]:
        """Every directory with a file in it."""
        directories: set[str] = set()
        for path in self.files:
            parent = _parent(path)
            while parent not in directories:
                directories.add(parent)
                parent = _parent(parent)
        return directories

    @cached_property
    def links(self) -> list[str]:
        """The paths of the symbolic links."""
        return [path for path, entry in self.files.items() if entry.is_link]

    def is_outside(self, path: str) -> bool:
        """Return whether a path, links followed, leads out of the repository."""
        from_top = os.path.normpath(os.path.join(self._prefix, self.resolved(path)))  # noqa: PTH118
        return from_top.startswith("/") or from_top.split("/")[0] == ".."

    def paths_in(self, directory_name: str) -> dict[str, str]:
        """Return the files right below every directory of a name, each with its own path.

        A link of that name to a directory counts: programs find its files there too. So does a name
        in capitals, which is the same directory on the file systems of macOS and Windows.
        """
        names_by_target: dict[str, list[str]] = {}
        for link in self.links:
            if link.rpartition("/")[2].casefold() == directory_name:
                names_by_target.setdefault(self.resolved(link), []).append(link)
        paths = {}
        for path in self.files:
            parent, _, name = path.rpartition("/")
            if parent.rpartition("/")[2].casefold() == directory_name:
                paths[path] = path
            for link in names_by_target.get(parent or ".", ()):
                paths[f"{link}/{name}"] = path
        return paths

    def load(self, paths: Iterable[str]) -> None:
        """Read the contents of many files with one process; links are followed."""
        names = []
        for path in paths:
            for file in {path, self.resolved(path)}:
                entry = self.files.get(file)
                if entry and not entry.is_submodule and entry.name not in self._contents:
                    names.append(entry.name)
        self._contents.update(git.blobs(names))

    def content(self, path: str) -> bytes | None:
        """Return the content of a file, or the target of a link; ``None`` if there is none."""
        entry = self.files.get(path)
        if entry is None or entry.is_submodule or entry.mode == _SPECIAL:
            return None
        if entry.name not in self._contents:
            # Not `load`, which follows links by this very method.
            self._contents.update(git.blobs([entry.name]))
        return self._contents.get(entry.name)

    def resolved(self, path: str) -> str:
        """Return the path with its links followed; it need not exist."""
        current = path
        for _ in range(_MOST_LINKS):
            link = self._first_link(current)
            if link is None:
                return current
            # git stores the target of a link as its content.
            target = (self.content(link) or b"").decode(errors="surrogateescape")
            below_link = current[len(link) :].lstrip("/")
            joined = os.path.join(_parent(link), target, below_link)  # noqa: PTH118
            current = os.path.normpath(joined)
        return current

    def real_content(self, path: str) -> bytes | None:
        """Return the content of a file, links followed inside the tree."""
        return self.content(self.resolved(path))

    def real_name(self, path: str) -> str:
        """Return the name of the content of a file, links followed; empty if there is none."""
        entry = self.files.get(self.resolved(path))
        return entry.name if entry else ""

    def submodule_of(self, path: str) -> str | None:
        """Return the submodule that holds a path, if one does."""
        for parent in PurePosixPath(path).parents:
            entry = self.files.get(str(parent))
            if entry and entry.is_submodule:
                return str(parent)
        return None

    def _first_link(self, path: str) -> str | None:
        if not self.links:
            return None
        # From the top, since a link to a directory decides about everything below it.
        candidates = [*reversed(PurePosixPath(path).parents), PurePosixPath(path)]
        for candidate in candidates:
            entry = self.files.get(str(candidate))
            if entry and entry.is_link:
                return str(candidate)
        return None


def committed(revision: str) -> Tree:
    """Return the files of a commit."""
    return Tree(git.files_of(revision), {})


def work_tree() -> Tree:
    """Return the files of the work tree: those that git tracks as they are now, and new ones.

    Files that git ignores are not part of a change.
    """
    root = Path(git.top())
    files = git.files_of_index()
    contents: dict[str, bytes] = {}
    # A repository has one hash function: names of 40 digits are SHA-1 (git-init(1),
    # --object-format).
    is_sha1 = all(len(entry.name) == 40 for entry in files.values())
    for path in [*git.modified_files(), *git.untracked_files()]:
        tracked = files.pop(path, None)
        if tracked and tracked.is_submodule:
            files[path] = TreeEntry(tracked.mode, git.submodule_head(root / path) or tracked.name)
            continue
        entry_and_content = _on_disk(root, path, is_sha1)
        if entry_and_content:
            files[path], content = entry_and_content
            contents[files[path].name] = content
    return Tree(files, contents)


def _on_disk(root: Path, path: str, is_sha1: bool) -> tuple[TreeEntry, bytes] | None:
    full_path = root / path
    # git takes a file behind a link as deleted, as it would be after a commit.
    parent = os.path.realpath(full_path.parent)
    if Path(parent) != Path(os.path.realpath(root)) / PurePosixPath(path).parent:
        return None
    if full_path.is_symlink():
        target = os.fsencode(full_path.readlink())
        return TreeEntry("120000", _name(target, is_sha1)), target
    if full_path.is_dir() or not full_path.exists():
        return None
    plain = read_plain(str(full_path))
    if plain is None:
        return TreeEntry(_SPECIAL, f"special:{path}"), b""
    content, mode = plain
    return TreeEntry("100755" if mode & 0o100 else "100644", _name(content, is_sha1)), content


def _name(content: bytes, is_sha1: bool) -> str:
    """Return the name that git gives a content (gitformat-pack(5))."""
    header = b"blob %d\0" % len(content)
    if is_sha1:
        return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(header + content).hexdigest()


def _from_here(files: Mapping[str, TreeEntry], prefix: str) -> dict[str, TreeEntry]:
    """Return the same files by their paths from the current directory, as every report has them."""
    if not prefix:
        return dict(files)
    return {os.path.relpath(path, prefix): entry for path, entry in files.items()}


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
