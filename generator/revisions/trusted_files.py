"""The files of a repository that programs read and act on, whoever wrote them."""

import re

_ANY_DIRECTORY = {
    "ssh": "ssh",
    ".ssh": "ssh",
    "gen.d": "ssh",
    "systemd": "systemd",
    "launchd": "launchd",
    "launchagents": "launchd",
    "launchdaemons": "launchd",
    ".gen": "gen",
    ".gitlab": "CI",
    ".circleci": "CI",
    ".buildkite": "CI",
    ".woodpecker": "CI",
}
_NAMES = (
    (re.compile(r"\.env.*|.+\.env"), "shells, systemd, docker and Dagster"),
    (re.compile(r"\.(?:bash|z|direnv)rc|\.(?:bash_)?profile|\.zshenv|\.zprofile"), "shells"),
    (re.compile(r"(?:docker-)?compose.*\.ya?ml|dockerfile.*|.+\.dockerfile"), "docker"),
    (re.compile(r"dagster\.ya?ml|workspace\.ya?ml|dagster_cloud\.ya?ml"), "Dagster"),
    (re.compile(r"sshd?_config.*|authorized_keys.*|.*known_hosts.*"), "ssh"),
    (re.compile(r".+\.(?:service|timer|socket|path|target|mount)"), "systemd"),
    (re.compile(r".+\.plist"), "launchd"),
    (re.compile(r"\.gitmodules"), "git"),
    # These run the checks, say who approves a change, or both.
    (re.compile(r"action\.ya?ml|codeowners|\.pre-commit-config\.ya?ml"), "CI"),
    (re.compile(r"\.gitlab-ci.*|\.travis\.yml|jenkinsfile|(?:azure|bitbucket)-pipelines.*"), "CI"),
)
_WORKFLOW = re.compile(r"(?:.*/)?\.(?:github|gitea|forgejo)/(?:workflows|actions)/.+")
_DEPENDENCY_LIST = re.compile(
    r".*(?:requirements|constraints)[^/]*\.(?:txt|in)|environment.*\.ya?ml"
    r"|pyproject\.toml|setup\.(?:cfg|py)|pipfile|(?:uv|poetry|pixi|pipfile|pdm)\.lock"
    r"|pixi\.toml|pylock.*\.toml"
)
_SITE_FILE = re.compile(r"(?:.*/)?sites/[^/]+\.toml")


def reader(path: str) -> str | None:
    """Return the programs that read a file at this path, ``None`` if none of them looks for it.

    Capitals count as small letters: on the file systems of macOS and Windows, `SSH/config` is
    `ssh/config`.
    """
    lowercase = path.lower()
    parts = lowercase.split("/")
    # The last part too: a link or a submodule in place of a directory is a file to git.
    for part in parts:
        if part in _ANY_DIRECTORY:
            return _ANY_DIRECTORY[part]
    for pattern, programs in _NAMES:
        if pattern.fullmatch(parts[-1]):
            return programs
    if _WORKFLOW.fullmatch(lowercase):
        return "CI"
    if _SITE_FILE.fullmatch(lowercase):
        return "the Dagster project"
    return None


def is_dependency_list(path: str) -> bool:
    """Return whether pip, uv, conda or their like read packages from a file; gen may be one."""
    return _DEPENDENCY_LIST.fullmatch(path.lower().rpartition("/")[2]) is not None
