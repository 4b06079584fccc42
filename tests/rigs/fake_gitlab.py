"""A fake of GitLab's API: the notes of one merge request, over plain HTTP on the loopback.

The fake follows GitLab's documentation ("Notes API"); no test shows that GitLab still behaves so.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "glpat-of-the-project"  # noqa: S105 - of the fake
USER = 4
PROJECT, NUMBER = 12, 7
_NOTES = f"/api/v4/projects/{PROJECT}/merge_requests/{NUMBER}/notes"


@dataclass
class GitLab:
    """A running fake."""

    url: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """The requests that change something: method and path."""
    status: int = 200
    """Another status is the answer to every request."""
    location: str = ""
    """The target of a redirect, which is the answer to every request if it is set."""
    tokens: list[str] = field(default_factory=list)
    """The tokens of all requests."""

    def note(self, author: int, body: str) -> None:
        """Add a note of a user."""
        self.notes.append({"id": 1000 + len(self.notes), "author": {"id": author}, "body": body})


@contextmanager
def fake_gitlab() -> Iterator[GitLab]:
    """Run the fake during the block."""
    gitlab = GitLab()

    class BoundHandler(_NotesHandler):
        fake = gitlab

    with ThreadingHTTPServer(("127.0.0.1", 0), BoundHandler) as server:
        gitlab.url = f"http://127.0.0.1:{server.server_address[1]}/api/v4"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield gitlab
        finally:
            server.shutdown()
            thread.join()


class _NotesHandler(BaseHTTPRequestHandler):
    fake: GitLab

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/api/v4/user":
            self._answer(200, {"id": USER})
        elif parts.path == _NOTES:
            query = parse_qs(parts.query)
            # docs.gitlab.com, REST API, offset-based pagination: pages count from 1.
            size, page = int(query["per_page"][0]), int(query["page"][0])
            self._answer(200, self.fake.notes[size * (page - 1) : size * page])
        else:
            self._answer(404, {"message": "404 Not found"})

    def do_POST(self) -> None:
        body = self._body()
        if self.path != _NOTES:
            self._answer(404, {"message": "404 Not found"})
        elif self._answer(201, {}):
            self.fake.note(USER, body)
            self.fake.writes.append("POST")

    def do_PUT(self) -> None:
        body = self._body()
        match = re.fullmatch(rf"{_NOTES}/([0-9]+)", self.path)
        if not match:
            self._answer(404, {"message": "404 Not found"})
        elif self._answer(200, {}):
            for note in self.fake.notes:
                if note["id"] == int(match[1]):
                    note["body"] = body
            self.fake.writes.append(f"PUT {match[1]}")

    def _body(self) -> str:
        return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

    def _answer(self, status: int, value: object) -> bool:
        """Answer, and return whether the request was allowed."""
        # Recorded even for a refused request: a token must not go to the target of a redirect.
        token = self.headers["PRIVATE-TOKEN"]
        self.fake.tokens.append(token)
        if self.fake.location:
            status = 302
        elif self.fake.status != 200:
            status = self.fake.status
        elif token != TOKEN:
            status = 401
        content = json.dumps(value).encode()
        self.send_response(status)
        if self.fake.location:
            self.send_header("Location", self.fake.location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return status < 300

    def log_message(self, format: str, *values: Any) -> None:
        """Do not log."""
