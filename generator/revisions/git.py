"""Read files of a git repository at a revision.

Nothing here changes the repository or runs a hook of it.
"""

import os
from pathlib import PurePosixPath

from generator import programs
from generator.errors import GenError
from generator.paths import LOCKS
from generator.programs import Outcome

_SECONDS = 120
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
        f"{revision}: there is no such revision here; fetch it with git fetch"
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


def specs(revision: str, directory: str) -> dict[str, bytes]:
    """Return the specs in a directory at a commit, by their paths from the current directory."""
    paths = _paths(revision, "--", f"{directory}/")
    return {path: blob(revision, path) or b"" for path in paths if path.endswith(".yaml")}


def locks(revision: str) -> dict[str, bytes]:
    """Return every lock in or below the current directory at a commit."""
    contents = {}
    for path in _paths(revision, "-r"):
        if PurePosixPath(path).match(str(LOCKS)):
            contents[path] = blob(revision, path) or b""
    return contents


def blob(revision: str, path: str) -> bytes | None:
    """Return the content of a file at a commit, if it existed."""
    # `./` makes the path relative to the current directory (gitrevisions(7)).
    outcome = _git("cat-file", "blob", f"{revision}:./{path}")
    if outcome.status != 0:
        return None
    return outcome.stdout


def _paths(revision: str, *arguments: str) -> list[str]:
    # -z: without it, git puts names with special characters in quotes (git-ls-tree(1)).
    outcome = _git("ls-tree", "-z", "--name-only", revision, *arguments)
    return outcome.stdout.decode(errors="surrogateescape").split("\0")


def _git(*arguments: str) -> Outcome:
    # LC_ALL: `commit` reads a message. GIT_NO_LAZY_FETCH: a partial clone would fetch what it
    # lacks.
    environment = {**os.environ, "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1"}
    return programs.run(
        ["git", *arguments],
        seconds=_SECONDS,
        environment=environment,
        output_limit=_OUTPUT_LIMIT,
    )
