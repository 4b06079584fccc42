"""The files of a repository that programs read and act on, whoever wrote them."""

import re

_ANY_DIRECTORY = {
    "ssh": "ssh",
    ".ssh": "ssh",
    "gen.d": "ssh",
    "ssh_config.d": "ssh",
    "sshd_config.d": "ssh",
    "systemd": "systemd",
    "environment.d": "systemd",
    "launchd": "launchd",
    "launchagents": "launchd",
    "launchdaemons": "launchd",
    ".gen": "gen",
    # They may name another ssh configuration, set variables, and run commands when a user opens
    # the directory.
    ".vscode": "editors",
    ".devcontainer": "editors",
    ".idea": "editors",
    ".zed": "editors",
    ".mise": "shells",
    ".gitlab": "CI",
    ".circleci": "CI",
    ".buildkite": "CI",
    ".woodpecker": "CI",
}
_NAMES = (
    (re.compile(r"\.env.*|.+\.env"), "shells, systemd, docker and Dagster"),
    (
        re.compile(
            r"\.(?:bash|z|direnv)rc|\.(?:bash_)?profile|\.bash_\w+|\.z(?:shenv|profile|login)"
        ),
        "shells",
    ),
    # mise and asdf set variables and PATH in a directory.
    (re.compile(r"\.?mise(?:\.\w+)*\.toml|\.tool-versions"), "shells"),
    (re.compile(r"(?:docker-)?compose.*\.ya?ml"), "docker"),
    (re.compile(r"(?:docker|container)file.*|.+\.(?:docker|container)file"), "docker"),
    (re.compile(r"dagster\.ya?ml|workspace\.ya?ml|dagster_cloud\.ya?ml"), "Dagster"),
    (re.compile(r"sshd?_config.*|authorized_keys.*|.*known_hosts.*"), "ssh"),
    # The last two are of Quadlet: systemd makes a service of each (podman-systemd.unit(5)).
    (
        re.compile(r".+\.(?:service|timer|socket|path|target|(?:auto)?mount|container|kube)"),
        "systemd",
    ),
    (re.compile(r".+\.plist"), "launchd"),
    # An attribute has git write other bytes at a checkout than it stores (gitattributes(5)).
    (re.compile(r"\.git(?:modules|attributes)|\.lfsconfig"), "git"),
    # These run the checks, say who approves a change, or both.
    (re.compile(r"action\.ya?ml|codeowners|\.pre-commit-config\.ya?ml"), "CI"),
    (re.compile(r"\.gitlab-ci.*|\.travis\.yml|jenkinsfile|(?:azure|bitbucket)-pipelines.*"), "CI"),
)
_WORKFLOW = re.compile(r"(?:.*/)?\.(?:github|gitea|forgejo)/(?:workflows|actions)/.+")
_DEPENDENCY_LIST = re.compile(
    r".*(?:requirements|constraints)[^/]*\.(?:txt|in)|environment.*\.ya?ml"
    r"|pyproject\.toml|setup\.(?:cfg|py)|pipfile|(?:uv|poetry|pixi|pipfile|pdm)\.lock"
    r"|pixi\.toml|pylock.*\.toml|uv\.toml|pip\.(?:conf|ini)|\.?condarc"
)
_SITE_FILE = re.compile(r"(?:.*/)?sites/[^/]+\.toml")


def reader(path: str) -> str | None:
    """Return the programs that read a file at this path, ``None`` if none of them looks for it.

    Capitals count as small letters, and so does the long s: on the file systems of macOS and
    Windows, `SSH/config` is `ssh/config`. Windows leaves out dots and blanks at the end of a name.
    """
    parts = [part.rstrip(". ") for part in path.casefold().split("/")]
    # The last part too: a link or a submodule in place of a directory is a file to git.
    for part in parts:
        if part in _ANY_DIRECTORY:
            return _ANY_DIRECTORY[part]
    for pattern, programs in _NAMES:
        if pattern.fullmatch(parts[-1]):
            return programs
    plain_path = "/".join(parts)
    if _WORKFLOW.fullmatch(plain_path):
        return "CI"
    if _SITE_FILE.fullmatch(plain_path):
        return "the Dagster project"
    return None


def is_dependency_list(path: str) -> bool:
    """Return whether pip, uv, conda or their like read packages from a file; gen may be one."""
    return _DEPENDENCY_LIST.fullmatch(path.casefold().rpartition("/")[2]) is not None
