"""Keep one note on a GitLab merge request: `python -I gitlab_note.py REPORT…`.

The job of `gitlab.yml` runs this if the variable GEN_NOTE_TOKEN is set. It imports only the
standard library, and whatever happens it ends with 0: the job's status is the verdict.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

MARKER = "<!-- gen:review -->"
# GitLab refuses a longer note (docs.gitlab.com, "Notes API"); a report of gen is far below.
_MAX_NOTE = 1_000_000
_PAGE = 100
# A merge request with more notes than these has no note of ours among the first: we add one.
_MAX_PAGES = 100
_MAX_ANSWER = 32 * 1024 * 1024
_SECONDS = 30


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: urllib would send the token to the other host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request, so that urllib raises the answer as an error."""


def _request(method: str, path: str, values: dict[str, str] | None = None) -> Any:
    """Return the answer of GitLab's API as JSON."""
    url = f"{os.environ['CI_API_V4_URL']}/{path}"
    headers = {
        "PRIVATE-TOKEN": os.environ["GEN_NOTE_TOKEN"],
        "Content-Type": "application/json",
    }
    body = json.dumps(values).encode() if values else None
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - GitLab's own
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
        return json.loads(answer.read(_MAX_ANSWER))


def _our_note(notes: str) -> int | None:
    """Return the number of the note that an earlier run wrote.

    Others could write the marker too, so its author counts.
    """
    user = _request("GET", "user")["id"]
    for page in range(1, _MAX_PAGES + 1):
        listed = _request("GET", f"{notes}?sort=asc&per_page={_PAGE}&page={page}")
        for note in listed:
            if note["author"]["id"] == user and note["body"].startswith(MARKER):
                return int(note["id"])
        if len(listed) < _PAGE:
            break
    return None


def _text(reports: list[str]) -> str:
    """Return the note: the reports below the marker by which the next run finds it."""
    parts = []
    for name in reports:
        report = Path(name).read_text() if Path(name).exists() else ""
        fallback = f"gen wrote no {Path(name).name}; the log of the job says why.\n"
        parts.append(report.removeprefix(f"{MARKER}\n") or fallback)
    return f"{MARKER}\n" + "\n".join(parts)


def main(reports: list[str]) -> None:
    """Update our note, or write one if there is something to say."""
    # The project of the target: a merge request from a fork may run in the fork.
    project = os.environ["CI_MERGE_REQUEST_PROJECT_ID"]
    notes = f"projects/{project}/merge_requests/{os.environ['CI_MERGE_REQUEST_IID']}/notes"
    text = _text(reports)[:_MAX_NOTE]
    try:
        number = _our_note(notes)
        if number is not None:
            _request("PUT", f"{notes}/{number}", {"body": text})
        # A finding is an item of a list; a report without any says so in a sentence.
        elif "\n- **" in text or "gen wrote no" in text:
            _request("POST", notes, {"body": text})
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        problem = type(error).__name__
        if isinstance(error, urllib.error.HTTPError):
            problem = f"HTTP {error.code}"
        # Nothing of the answer is printed: it may repeat the token.
        sys.stderr.write(
            f"gen: no note was written ({problem}); GEN_NOTE_TOKEN needs the scope api"
            " and the role Reporter\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
