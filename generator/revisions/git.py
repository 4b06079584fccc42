"""Read files of a git repository at a revision.

Nothing here changes the repository, or runs a program that its settings name.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from generator import programs
from generator.errors import GenError
from generator.formatting import printable
from generator.programs import Outcome

_SECONDS = 120
# As large as the largest lock; specs and generated files are smaller.
_LARGEST = 4 * 1024 * 1024
_MOST_TOGETHER = 48 * 1024 * 1024
# The longest answer is the list of all files of a large repository.
_OUTPUT_LIMIT = 256 * 1024 * 1024


def commit(revision: str) -> str:
    """Return the commit that a revision names."""
    # A pull request may name its branch `--upload-pack=…`: --end-of-options keeps git from reading
    # such a name as an option (gitcli(7)).
    outcome = _git("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if outcome.status == 0:
        return outcome.text.strip()
    if "not a git repository" in outcome.errors:
        raise GenError(
            "gen review compares revisions of a git repository, and this directory is not in one"
        )
    raise GenError(
        f"{revision}: this clone has no such revision; fetch it with: git fetch"
        " (in CI, check out the whole history)"
    )


def top() -> str:
    """Return the top directory of the work tree."""
    outcome = _git("rev-parse", "--show-toplevel")
    if outcome.status != 0:
        raise GenError(
            "gen review needs the files of a repository, and this directory is in no work tree;"
            " make one with: git worktree add ../review && cd ../review"
        )
    # A directory name may end in spaces, so only git's own line end is removed.
    return outcome.stdout.decode(errors="surrogateescape").removesuffix("\n")


def fork(name: str, base: str, head: str) -> str:
    """Return the last common commit, from which a pull request starts.

    Without it, the changes of the target branch would look as if this branch took them back.
    `name` is the user's name for the base, for messages.
    """
    # What `git diff base...head` compares with (git-diff(1)), as pull requests do.
    outcome = _git("merge-base", base, head)
    if outcome.status == 0:
        return outcome.text.strip()
    if _git("rev-parse", "--is-shallow-repository").text.strip() == "true":
        raise GenError(
            f"{name}: this clone is shallow and lacks the commit where the branch started; fetch"
            " the history with: git fetch --unshallow (in CI, add fetch-depth: 0 to the checkout)"
        )
    raise GenError(
        f"{name}: has no commit in common with the branch under review; start the branch from"
        f" there with: git rebase --onto {name} --root"
    )


@dataclass(frozen=True)
class TreeEntry:
    """A file as git lists it: its mode in octal, and the name of its content."""

    mode: str
    name: str

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link, with the target as its content."""
        return self.mode == "120000"

    @property
    def is_submodule(self) -> bool:
        """Whether it is the commit of a submodule."""
        return self.mode == "160000"


def prefix() -> str:
    """Return the current directory below the top of the work tree; empty at the top."""
    output = _git("rev-parse", "--show-prefix").stdout
    return output.decode(errors="surrogateescape").removesuffix("\n")


def files_of(revision: str) -> dict[str, TreeEntry]:
    """Return every file of a commit, by its path from the top of the repository."""
    # `--format` came with git 2.36; the usual output has mode, type, name and path.
    entries = {}
    for record in _records("ls-tree", "-r", "-z", "--full-tree", revision):
        facts, _, path = record.partition("\t")
        mode, _, name = facts.split(" ")
        entries[path] = TreeEntry(mode, name)
    return entries


def files_of_index() -> dict[str, TreeEntry]:
    """Return every file that git tracks in the work tree, as the index has it."""
    entries = {}
    for record in _records("ls-files", "--stage", "-z", "--full-name", ":/"):
        facts, _, path = record.partition("\t")
        mode, name, _ = facts.split(" ")
        entries[path] = TreeEntry(mode, name)
    return entries


def modified_files() -> list[str]:
    """Return the tracked files that may differ from the index.

    Unlike git-diff, this writes nothing.
    """
    options = ("--name-only", "-z", "--no-relative", "--no-ext-diff", "--ignore-submodules=dirty")
    return _records(*_without_filters(), "diff-files", *options)


def _without_filters() -> list[str]:
    """Return options that turn off the filters which the settings of the repository define.

    A filter is a program (gitattributes(5)). git runs it to compare a file with the index, if the
    file has the time of the index. The filters in the settings of the user stay, as for git-lfs.
    """
    question = ("--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\.")
    answer = iter(_records("config", *question))
    options: list[str] = []
    for scope, key in zip(answer, answer, strict=True):
        if scope not in ("local", "worktree"):
            continue
        if "=" in key:
            # git ends the key of an option at the first equals sign.
            raise GenError(
                f"{printable(key)}: gen cannot turn this filter of the repository off; "
                f"delete it with: git config --unset-all {shlex.quote(key)}"
            )
        # As an empty program does nothing, to be `required` would be an error.
        value = "false" if key.endswith(".required") else ""
        options += ["-c", f"{key}={value}"]
    return options


def untracked_files() -> list[str]:
    """Return the files that git neither tracks nor ignores."""
    paths = []
    for path in _records("ls-files", "--others", "--exclude-standard", "-z", "--full-name", ":/"):
        # A path that ends so is another repository, of which git lists no files.
        if not path.endswith("/"):
            paths.append(path)
    return paths


def blobs(names: Iterable[str]) -> dict[str, bytes]:
    """Return contents by their names in git, with few processes for all of them.

    A pull request may have files that fill the memory. In place of a large content, and of those
    after very much together, is a short one that is not text.
    """
    unique_names = list(dict.fromkeys(names))
    if not unique_names:
        return {}
    contents: dict[str, bytes] = {}
    batches: list[list[str]] = [[]]
    together = in_batch = 0
    for name, size in _sizes(unique_names).items():
        if size > _LARGEST or together + size > _MOST_TOGETHER:
            contents[name] = f"\0{name}, {size} bytes".encode()
            continue
        if in_batch + size > _LARGEST:
            batches.append([])
            in_batch = 0
        batches[-1].append(name)
        together += size
        in_batch += size
    for batch in batches:
        contents |= _batch(batch)
    return contents


def _batch(names: list[str]) -> dict[str, bytes]:
    output = _git("cat-file", "--batch", stdin=_lines(names)).stdout
    contents: dict[str, bytes] = {}
    position = 0
    for name in names:
        line_end = output.index(b"\n", position)
        size = int(output[position:line_end].split(b" ")[2])
        position = line_end + 1
        contents[name] = output[position : position + size]
        position += size + 1  # git ends each content with a line feed
    return contents


def _sizes(names: list[str]) -> dict[str, int]:
    """Return the sizes of contents; without those that a partial clone lacks."""
    output = _git("cat-file", "--batch-check", stdin=_lines(names)).stdout
    sizes = {}
    for name, line in zip(names, output.splitlines(), strict=True):
        if not line.endswith(b" missing"):
            sizes[name] = int(line.split(b" ")[2])
    return sizes


def _lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def submodule_head(directory: Path) -> str | None:
    """Return the commit that is checked out in a submodule, if it is checked out."""
    outcome = _git("-C", str(directory), "rev-parse", "--verify", "HEAD")
    return outcome.text.strip() if outcome.status == 0 else None


def submodule_blob(directory: Path, revision: str, path: str) -> bytes | None:
    """Return a file of a submodule at a commit, if the objects of the submodule are here."""
    outcome = _git("-C", str(directory), "cat-file", "blob", f"{revision}:{path}")
    return outcome.stdout if outcome.status == 0 else None


def _records(*arguments: str) -> list[str]:
    output = _git(*arguments).stdout.decode(errors="surrogateescape")
    return output.split("\0")[:-1]


def _git(*arguments: str, stdin: bytes = b"") -> Outcome:
    return programs.git(arguments, seconds=_SECONDS, stdin=stdin, output_limit=_OUTPUT_LIMIT)
