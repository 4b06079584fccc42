"""`gen uninstall --purge` offers to revoke the tokens of a site at the provider."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from homes import spec
from running import Gen

TOKENS = "/api/v3/core/tokens/"


@dataclass
class Provider:
    """The token API of authentik, as far as a deletion needs it."""

    url: str = ""
    status: int = 204
    deleted: list[tuple[str, str | None]] = field(default_factory=list)
    """The path and the authorization of each request."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            provider.deleted.append((self.path, self.headers["Authorization"]))
            self.send_response(provider.status)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield provider
        server.shutdown()


@pytest.fixture
def credentials(gen: Gen, home: Path, provider: Provider) -> Path:
    """Install a site with rotated credentials, and return their file."""
    auth = {
        "method": "step",
        "ca_url": "https://ca.example.org",
        "ca_fingerprint": "0" * 64,
        "context": "ca",
        "oidc": {"token_url": f"{provider.url}/token"},
        "authentik": {"api_base": provider.url, "credentials_file": "~/.config/ours/auth.env"},
    }
    path = spec(Path(), auth=auth)
    assert gen("install", str(path), "--yes", "--user", "ada").status == 0
    file = home / ".config/ours/auth.env"
    file.parent.mkdir(parents=True)
    file.write_text(
        'ASC_AUTHENTIK_API_TOKEN="hush"\nASC_AUTHENTIK_API_TOKEN_ID="t-api"\n'
        'ASC_OIDC_APP_PASSWORD="other"\nASC_OIDC_APP_PASSWORD_ID="t-app"\n'
    )
    file.chmod(0o600)
    return file


def answer(monkeypatch: pytest.MonkeyPatch, *, revoke: bool) -> list[str]:
    """Answer the questions in a terminal, and return them."""
    questions: list[str] = []

    def agreed(question: str) -> bool:
        questions.append(question)
        return revoke or not question.startswith("Revoke")

    monkeypatch.setattr("generator.cli.uninstall.agreed", agreed)
    monkeypatch.setattr("generator.cli.output.agreed", agreed)
    monkeypatch.setattr("generator.cli.uninstall.on_terminal", lambda: True)
    return questions


def commands(provider: Provider) -> str:
    text = ""
    for name in ("t-app", "t-api"):
        text += (
            f'  curl -X DELETE -H "Authorization: Bearer $TOKEN" {provider.url}{TOKENS}{name}/\n'
        )
    return text


def test_in_a_terminal_the_tokens_are_revoked_after_an_answer(
    gen: Gen, credentials: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = answer(monkeypatch, revoke=True)
    result = gen("uninstall", "ours", "--purge")
    assert result.status == 0
    assert f"Revoke 2 tokens of ours at {provider.url}?" in questions
    # The API token is the last, since it deletes the other one.
    assert provider.deleted == [
        (f"{TOKENS}t-app/", "Bearer hush"),
        (f"{TOKENS}t-api/", "Bearer hush"),
    ]
    assert f"ours: 2 tokens revoked at {provider.url}\n" in result.err
    assert not credentials.exists()


@pytest.mark.parametrize("options", [["--yes"], []], ids=["--yes", "the answer is no"])
def test_otherwise_nothing_is_sent_and_the_commands_are_printed(
    gen: Gen,
    credentials: Path,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
) -> None:
    answer(monkeypatch, revoke=False)
    result = gen("uninstall", "ours", "--purge", *options)
    assert (result.status, provider.deleted) == (0, [])
    message = f"ours: still valid at {provider.url}: 2 tokens; to revoke, run:\n"
    assert message + commands(provider) in result.err
    assert "hush" not in result.err
    assert not credentials.exists()


def test_a_provider_that_refuses_does_not_prevent_an_uninstallation(
    gen: Gen, credentials: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, revoke=True)
    provider.status = 403
    result = gen("uninstall", "ours", "--purge")
    assert result.status == 0
    assert f"ours: still valid at {provider.url}: 2 tokens (" in result.err
    assert commands(provider) in result.err
    assert not credentials.exists()


def test_without_purge_or_for_credentials_that_stay_nothing_is_asked(
    gen: Gen, credentials: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = answer(monkeypatch, revoke=True)
    assert gen("uninstall", "ours").status == 0
    assert credentials.exists()
    # Now the file existed before the installation, so the site may not even read it.
    assert gen("install", "./ours.yaml", "--yes", "--user", "ada").status == 0
    assert gen("uninstall", "ours", "--purge").status == 0
    assert credentials.exists()
    assert [question for question in questions if question.startswith("Revoke")] == []
    assert provider.deleted == []
