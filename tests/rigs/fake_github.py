"""A fake of GitHub's API: the comments of one pull request, over plain HTTP.

The client is the real `gh`. It uses plain HTTP only for `github.localhost`, at port 80. So the fake
runs as a program in a network namespace of its own, where that name is this machine; `fake_github`
starts it. The fake follows GitHub's documentation; no test shows that GitHub still behaves so.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

PROGRAMS = ("gh", "git", "ip", "mount", "nsenter", "unshare")
TOKEN = "token-of-the-job"  # noqa: S105 - of the fake
REPOSITORY = "ada/deploy"
NUMBER = 7

_START = 'ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"'
# Comments on a page. GitHub has up to 100; with two, a few comments already need several pages.
_PAGE = 2
_COMMENTS, _REQUESTS, _FORBIDDEN = "comments.json", "requests.json", "forbidden"


@dataclass(frozen=True)
class GitHub:
    """A running fake, and the directory of its data."""

    folder: Path
    process: int

    def inside(self, *command: str) -> list[str]:
        """Return a command that runs in the network of the fake, and reaches nothing else."""
        return ["nsenter", "--net", "--mount", f"--target={self.process}", "--wd=.", *command]

    @property
    def comments(self) -> list[dict[str, Any]]:
        """The comments of the pull request."""
        return list(_read(self.folder / _COMMENTS))

    def comment(self, author: str, body: str) -> None:
        """Add a comment of a user."""
        comments = self.comments
        _write(
            self.folder / _COMMENTS,
            [*comments, {"id": 3_000_000_001 + len(comments), "author": author, "body": body}],
        )

    @property
    def writes(self) -> list[str]:
        """The requests that change something: method and path."""
        return [line for line in _read(self.folder / _REQUESTS) if not line.endswith("/graphql")]

    def forbid(self) -> None:
        """Make the token read-only, as it is for a pull request from a fork."""
        (self.folder / _FORBIDDEN).touch()


@contextmanager
def fake_github(folder: Path) -> Iterator[GitHub]:
    """Run the fake during the block."""
    folder.mkdir()
    # gh takes github.localhost for a GitHub of its developers, and speaks plain http to it.
    (folder / "hosts").write_text("127.0.0.1 localhost github.localhost api.github.localhost\n")
    _write(folder / _COMMENTS, [])
    _write(folder / _REQUESTS, [])
    server = [sys.executable, "-I", __file__, str(folder)]
    command = [
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        _START,
        "sh",
        str(folder / "hosts"),
        *server,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            # Without it the first request could come before the server listens.
            assert process.stdout.readline() == "ready\n"
            yield GitHub(folder, process.pid)
        finally:
            process.kill()


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


class _Handler(BaseHTTPRequestHandler):
    folder: Path

    def do_POST(self) -> None:
        if self.path == "/graphql":
            self._answer(200, self._list(self._body()["variables"]))
        elif self.path == f"/repos/{REPOSITORY}/issues/{NUMBER}/comments":
            self._change(None)
        else:
            self._answer(404, {"message": "Not Found"})

    def do_PATCH(self) -> None:
        match = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/([0-9]+)", self.path)
        if match:
            self._change(int(match[1]))
        else:
            self._answer(404, {"message": "Not Found"})

    def _list(self, variables: dict[str, Any]) -> object:
        assert (f"{variables['owner']}/{variables['name']}", variables["number"]) == (
            REPOSITORY,
            NUMBER,
        )
        start = int(variables.get("endCursor") or 0)
        comments = _read(self.folder / _COMMENTS)
        pull_request = f"http://github.localhost/{REPOSITORY}/pull/{NUMBER}"
        nodes = [
            {
                "url": f"{pull_request}#issuecomment-{comment['id']}",
                "body": comment["body"],
                "viewerDidAuthor": comment["author"] == "github-actions",
            }
            for comment in comments[start : start + _PAGE]
        ]
        page = {"hasNextPage": start + _PAGE < len(comments), "endCursor": str(start + _PAGE)}
        return {
            "data": {
                "repository": {"pullRequest": {"comments": {"nodes": nodes, "pageInfo": page}}}
            }
        }

    def _change(self, number: int | None) -> None:
        body = self._body()["body"]
        if (self.folder / _FORBIDDEN).exists():
            # As GitHub answers a token that may only read.
            self._answer(403, {"message": "Resource not accessible by integration"})
            return
        comments = _read(self.folder / _COMMENTS)
        if number is None:
            number = 3_000_000_001 + len(comments)
            comments.append({"id": number, "author": "github-actions", "body": body})
        for comment in comments:
            if comment["id"] == number:
                comment["body"] = body
        _write(self.folder / _COMMENTS, comments)
        self._answer(201 if self.command == "POST" else 200, {"id": number, "body": body})

    def _body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, value: object) -> None:
        if self.headers["Authorization"] != f"token {TOKEN}":
            # A token in another place, or none, must not pass.
            status, value = 401, {"message": "Bad credentials"}
        log = self.folder / _REQUESTS
        _write(log, [*_read(log), f"{self.command} {self.path}"])
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *values: Any) -> None:
        """Do not log."""


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    server = HTTPServer(("127.0.0.1", 80), _Handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()
