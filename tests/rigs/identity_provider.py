"""An OpenID provider over TLS on the loopback that behaves as authentik, with its token API.

It answers as authentik does (`authentik/providers/oauth2/views/token.py`,
`authentik/core/api/tokens.py`); the models of authentik's own client package judge each request to
that API, and make each answer. `step` makes certificates, JWTs.
"""

import base64
import hashlib
import importlib
import importlib.util
import json
import re
import secrets
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "/application/o/token/"  # noqa: S105 - a path
DEVICE = "/application/o/device/"
API = "/api/v3/"
TOKENS = f"{API}core/tokens/"
# authentik answers 403 to other faults too, so a test needs its own words for this one.
NOT_ONE_OF_ITS = "Token invalid/expired"
"""The answer of authentik to a bearer that is not a valid API token."""

# The field is a SlugField (authentik/core/models.py), of 255 characters.
_SLUG = re.compile("[-a-zA-Z0-9_]{1,255}")

Form = dict[str, str]


def certificate(folder: Path, name: str, root: Path, *hosts: str) -> Path:
    """Make a TLS certificate for the loopback and further hosts, and return its path.

    The key lies beside it as `.key`.
    """
    path = folder / f"{name}.crt"
    signed = ["--profile", "leaf", "--ca", str(root), "--ca-key", str(root.with_suffix(".key"))]
    names = []
    for host in ("localhost", "127.0.0.1", *hosts):
        names += ["--san", host]
    step(
        "certificate",
        "create",
        name,
        path,
        path.with_suffix(".key"),
        *signed,
        *names,
        *_OPEN,
        *_LONG,
    )
    return path


def root_certificate(folder: Path, name: str) -> Path:
    """Make the root certificate of an authority of a test's own."""
    path = folder / f"{name}.crt"
    step(
        "certificate",
        "create",
        name,
        path,
        path.with_suffix(".key"),
        "--profile",
        "root-ca",
        *_OPEN,
        *_LONG,
    )
    return path


_OPEN = ("--no-password", "--insecure", "--force")
# Made long ago, as those of real servers are: a clock that is wrong by days still finds them valid.
_LONG = ("--not-before=-240h", "--not-after=2400h")


def step(*arguments: str | Path, **options: Any) -> str:
    """Run step, which must succeed, and return its output."""
    command = ["step", *map(str, arguments)]
    result: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def model(name: str) -> Any:
    """Return a model of authentik's client package by its name, as in `TokenRequest`."""
    _without_the_rest()
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip(
        "_"
    )
    return getattr(importlib.import_module(f"authentik_client.models.{snake}"), name)


@cache
def _without_the_rest() -> None:
    """Replace the package's `__init__`, which builds nine hundred models and takes 15 seconds."""
    spec = importlib.util.find_spec("authentik_client")
    assert spec and spec.submodule_search_locations
    for name in ("authentik_client", "authentik_client.models"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(Path(spec.submodule_search_locations[0], *name.split(".")[1:]))]


@dataclass(frozen=True)
class HeldToken:
    """A token or an app password that the provider has issued."""

    identifier: str
    intent: str
    """`api` or `app_password`."""
    key: str
    expires: datetime
    pk: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True)
class Answer:
    """An answer of the provider."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """A fault of the provider, permanent or for a number of requests."""

    answer: Answer | None = None
    """Sent in place of the correct one, unless it is None."""
    delay: float = 0
    """Seconds before an answer."""
    at: str = TOKEN
    """Start of the path of the requests that fail."""
    times: int = sys.maxsize

    def befalls(self, path: str) -> bool:
        """Return whether a request fails, and count it."""
        struck = path.startswith(self.at) and self.times > 0
        self.times -= struck
        return struck


@dataclass(frozen=True)
class Request:
    """A request without its secrets."""

    method: str
    path: str
    status: int
    moment: float = field(default_factory=time.monotonic)


class IdentityProvider:
    """A running provider, its one account, and the requests to it."""

    def __init__(self, folder: Path, username: str) -> None:
        """Make keys and certificate below a folder."""
        self.username = username
        self.clients = {"gen": "client-secret-of-step"}
        self.requests: list[Request] = []
        self.invalid: list[str] = []
        """Requests that the real one would not understand."""
        self.fault: Fault | None = None
        self.witness: Callable[[], None] = lambda: None
        """Called when a request has taken effect, before the answer is sent."""
        self.longest = timedelta(days=31)
        """How long an app password may last."""
        self.token_lifetime = timedelta(days=20)
        """How long an API token lasts, whatever is asked for."""
        self.held: dict[str, HeldToken] = {}
        self.issued: set[str] = set()
        """Every secret it ever gave away: keys, and JWTs."""
        self.root = root_certificate(folder, "provider-root")
        # Ends the pause of an answer when the test is over.
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._codes: dict[str, Form] = {}
        self._devices: dict[str, bool] = {}
        """Whether the user has agreed to a login on another device, by the code of the device."""
        self._jwk = folder / "jwk.json"
        self._jwks = folder / "jwk.pub.json"
        step(
            "crypto",
            "jwk",
            "create",
            self._jwks,
            self._jwk,
            "--kty",
            "EC",
            "--crv",
            "P-256",
            *_OPEN,
        )
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = certificate(folder, "provider", self.root)
        self._tls.load_cert_chain(leaf, leaf.with_suffix(".key"))
        self._server = self._listen(0)
        self.url = f"https://localhost:{self._server.server_port}"

    @property
    def issuer(self) -> str:
        """Its name in tokens; the discovery document lies below."""
        return f"{self.url}/application/o/step/"

    def count(self, path: str = TOKEN, method: str | None = None) -> int:
        """Return how often a path was asked for."""
        return sum(
            request.path.startswith(path) and method in (None, request.method)
            for request in self.requests
        )

    def hold(self, identifier: str, intent: str, lifetime: timedelta | None = None) -> HeldToken:
        """Issue a token or an app password."""
        ends = datetime.now(UTC) + (lifetime or self.token_lifetime)
        token = HeldToken(identifier, intent, f"{intent}-{secrets.token_hex(20)}", ends)
        self.held[identifier] = token
        self.issued.add(token.key)
        return token

    def delay(self, seconds: float) -> None:
        """Take some time for each token from now on."""
        self.fault = Fault(delay=seconds)

    def restore(self) -> None:
        """Forget all requests, tokens and faults; `issued` stays."""
        self.fault = None
        self.witness = lambda: None
        self.held.clear()
        self.requests.clear()
        self.invalid.clear()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Refuse every connection during the block."""
        self._close()
        try:
            yield
        finally:
            self._server = self._listen(self._server.server_port)

    @contextmanager
    def running(self) -> Iterator["IdentityProvider"]:
        """Serve during the block."""
        try:
            yield self
        finally:
            self.closing.set()
            self._close()

    def _listen(self, port: int) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(
            ("127.0.0.1", port), type("Bound", (_Connection,), {"provider": self})
        )
        server.daemon_threads = True
        # The handshake belongs to the thread of the connection: a client that is slow at it must
        # not stop the others.
        server.socket = self._tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return server

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request, or fail as the current fault says."""
        path = urlsplit(target).path
        with self._lock:
            fault = self.fault if self.fault and self.fault.befalls(path) else None
        if fault:
            self.closing.wait(fault.delay)
        answer = fault.answer if fault else None
        if answer is None:
            with self._lock:
                answer = self._right(method, target, headers, body)
        self.requests.append(Request(method, path, answer.status))
        self.witness()
        return answer

    def _right(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        url = urlsplit(target)
        if url.path.startswith(API):
            return self._api(method, url.path.removeprefix(API), headers, body, _form(url.query))
        match method, url.path:
            case "GET", "/application/o/step/.well-known/openid-configuration":
                return _json(200, self._discovery())
            case "GET", "/application/o/step/jwks/":
                return _json(200, {"keys": [json.loads(self._jwks.read_text())]})
            case "GET", "/application/o/authorize/":
                return self._authorize(_form(url.query))
            case "POST", path if path == TOKEN:
                return self._token(headers, _form(body.decode()))
            case "POST", path if path == DEVICE:
                return self._device()
            case "GET", "/device":
                return self._agree(_form(url.query)["code"])
        return self._wrong(f"{method} {url.path}", 404)

    def _wrong(self, problem: str, status: int = 400, answer: object = None) -> Answer:
        self.invalid.append(problem)
        return _json(status, answer or {"detail": problem})

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/application/o/authorize/",
            "token_endpoint": f"{self.url}{TOKEN}",
            "device_authorization_endpoint": f"{self.url}{DEVICE}",
            "jwks_uri": f"{self.issuer}jwks/",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def _authorize(self, query: Form) -> Answer:
        """Log a person in without a question, and send the browser back with a code."""
        code = secrets.token_hex(16)
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return Answer(302, headers={"Location": f"{query['redirect_uri']}?{back}"})

    def _device(self) -> Answer:
        """Begin a login on another device (RFC 8628; authentik's `views/device_backchannel.py`)."""
        code = secrets.token_hex(16)
        self._devices[code] = False
        # authentik has short codes for the user; one code for both keeps this short.
        page = {"verification_uri": f"{self.url}/device"}
        page["verification_uri_complete"] = f"{self.url}/device?code={code}"
        return _json(
            200, {"device_code": code, "user_code": code, **page, "expires_in": 60, "interval": 1}
        )

    def _agree(self, code: str) -> Answer:
        """Log the user in on another device."""
        self._devices[code] = True
        return Answer(200, b"Success")

    def _token(self, headers: Mapping[str, str], form: Form) -> Answer:
        if not headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            self.invalid.append(f"a form of {headers.get('Content-Type')}")
        client = form.get("client_id", "")
        if client not in self.clients:
            return _refused("invalid_client")
        nonce: dict[str, str] = {}
        match form.get("grant_type"):
            case "client_credentials":
                if not self._is_app_password(form):
                    return _refused("invalid_grant")
                scope = form.get("scope", "")
            case "authorization_code":
                request = self._codes.pop(form["code"])
                if not _proves(form["code_verifier"], request["code_challenge"]):
                    return _refused("invalid_grant")
                scope, nonce = request["scope"], {"nonce": request["nonce"]}
            case "urn:ietf:params:oauth:grant-type:device_code":
                if not self._devices.get(form["device_code"]):
                    return _refused("authorization_pending")
                scope = form.get("scope", "openid profile")
            case _:
                self.invalid.append(f"grant_type {form.get('grant_type')}")
                return _refused("unsupported_grant_type")
        tokens = {name: self._jwt(client, scope, nonce) for name in ("access_token", "id_token")}
        return _json(200, {**tokens, "token_type": "Bearer", "scope": scope, "expires_in": 300})

    def _is_app_password(self, form: Form) -> bool:
        token = self._valid_token(form.get("password", ""), "app_password")
        return token is not None and form.get("username") == self.username

    def _valid_token(self, key: str, intent: str) -> HeldToken | None:
        moment = datetime.now(UTC)
        for token in self.held.values():
            if (token.key, token.intent) == (key, intent) and token.expires > moment:
                return token
        return None

    def _jwt(self, client: str, scope: str, extra: Mapping[str, str]) -> str:
        second = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": hashlib.sha256(self.username.encode()).hexdigest(),
            "aud": client,
            "azp": client,
            "iat": second,
            "exp": second + 300,
            "jti": secrets.token_hex(8),
            **extra,
        }
        if "profile" in scope.split():
            claims |= {"preferred_username": self.username, "name": "Ada", "groups": []}
        if "email" in scope.split():
            claims |= {"email": f"{self.username}@example.org", "email_verified": True}
        token = step(
            "crypto", "jwt", "sign", "--key", self._jwk, "--subtle", input=json.dumps(claims)
        )
        self.issued.add(token)
        return token

    def _api(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Form
    ) -> Answer:
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        # An app password is no bearer for the API, which a user may mix up.
        if not self._valid_token(bearer, "api"):
            return _detail(
                403, NOT_ONE_OF_ITS if bearer else "Authentication credentials were not provided."
            )
        match method, path.split("/"):
            case "GET", ["core", "users", "me", ""]:
                return _made("SessionUser", {"user": self._self(), "users": [self._self()]})
            case "POST", ["core", "tokens", ""]:
                return self._create(json.loads(body))
            case "GET", ["core", "tokens", ""]:
                return self._list(query)
            case "GET", ["core", "tokens", identifier, ""] if identifier in self.held:
                return _made("Token", self._shown(self.held[identifier]))
            case "GET", ["core", "tokens", identifier, "view_key", ""] if identifier in self.held:
                return _made("TokenView", {"key": self.held[identifier].key})
            case "DELETE", ["core", "tokens", identifier, ""] if identifier in self.held:
                del self.held[identifier]
                return Answer(204)
            case "GET" | "DELETE", ["core", "tokens", _, ""] | [
                "core",
                "tokens",
                _,
                "view_key",
                "",
            ]:
                return _detail(404, "No Token matches the given query.")
        return self._wrong(f"{method} {path}", 404)

    def _create(self, values: dict[str, Any]) -> Answer:
        kind = model("TokenRequest")
        # authentik itself would ignore such a field, and hide a spelling mistake of gen.
        if unknown := set(values) - set(kind.model_fields):
            return self._wrong(f"a token with {sorted(unknown)}")
        try:
            request = kind.from_dict(values)
        except ValueError as error:
            return self._wrong(str(error))
        intent = (request.intent or model("IntentEnum").API).value
        if not _SLUG.fullmatch(request.identifier):
            fault = ["Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."]
            return self._wrong("an identifier", answer={"identifier": fault})
        if request.identifier in self.held:
            return _made(
                "ValidationError",
                {"identifier": ["Token with this identifier already exists."]},
                400,
            )
        # authentik would take it for its own time zone.
        if request.expires and request.expires.tzinfo is None:
            return self._wrong("a time without its zone")
        latest = datetime.now(UTC) + self.longest
        if intent == "app_password" and request.expires and request.expires > latest:
            fault = [f"Token expires exceeds maximum lifetime ({latest} UTC)."]
            return _made("ValidationError", {"expires": fault}, 400)
        # authentik sets the end of an API token itself, whatever is asked for.
        ends = request.expires if intent == "app_password" else None
        token = self.hold(request.identifier, intent, ends and ends - datetime.now(UTC))
        return _made("Token", self._shown(token), 201)

    def _list(self, query: Form) -> Answer:
        def fits(token: HeldToken) -> bool:
            return (
                query.get("identifier", token.identifier) == token.identifier
                and query.get("search", "") in token.identifier
                and query.get("intent", token.intent) == token.intent
            )

        results = [self._shown(token) for token in self.held.values() if fits(token)]
        number = len(results)
        page = {"next": 0, "previous": 0, "count": number, "current": 1, "total_pages": 1}
        pagination = page | {"start_index": min(1, number), "end_index": number}
        return _made(
            "PaginatedTokenList", {"pagination": pagination, "results": results, "autocomplete": {}}
        )

    def _person(self) -> dict[str, Any]:
        return {
            "pk": 7,
            "username": self.username,
            "name": "Ada",
            "is_active": True,
            "is_superuser": False,
            "email": f"{self.username}@example.org",
            "avatar": "data:,",
            "uid": hashlib.sha256(self.username.encode()).hexdigest(),
        }

    def _self(self) -> dict[str, Any]:
        session = {
            "is_current": True,
            "groups": [],
            "roles": [],
            "settings": {},
            "system_permissions": [],
        }
        return self._person() | session

    def _shown(self, token: HeldToken) -> dict[str, Any]:
        moment = datetime.now(UTC)
        dates = dict.fromkeys(("date_joined", "password_change_date", "last_updated"), moment)
        owner = (
            self._person()
            | dates
            | {"groups_obj": None, "roles_obj": None, "uuid": uuid.UUID(int=7)}
        )
        values = {
            "pk": token.pk,
            "identifier": token.identifier,
            "intent": token.intent,
            "user": 7,
            "user_obj": owner,
        }
        return values | {
            "description": "",
            "expires": token.expires,
            "expiring": True,
            "managed": None,
        }


class _Connection(BaseHTTPRequestHandler):
    provider: IdentityProvider
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            # A client that is killed sends half a request; the real server drops it too.
            raise ConnectionAbortedError("somebody was killed while asking")
        answer = self.provider.answer(self.command, self.path, dict(self.headers), body)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names that http.server looks for

    # Without this, socketserver prints a traceback for each client that was killed.
    def handle(self) -> None:
        """Serve a connection; a client may hang up early, or not trust the certificate."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing; `requests` has it."""


def _form(text: str) -> Form:
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _json(status: int, value: object) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _made(name: str, value: dict[str, Any], status: int = 200) -> Answer:
    """Answer with a model of authentik's client package, which refuses impossible values."""
    kind = model(name)
    # This model has fields of any name, which only from_dict takes.
    answer = kind.from_dict(value) if name == "ValidationError" else kind.model_validate(value)
    text = answer.to_json() if name == "ValidationError" else answer.model_dump_json(by_alias=True)
    return Answer(status, text.encode(), {"Content-Type": "application/json"})


def _detail(status: int, text: str) -> Answer:
    return _made("GenericError", {"detail": text}, status)


def _refused(error: str) -> Answer:
    """Answer as authentik's token endpoint does when it refuses (RFC 6749, section 5.2)."""
    return _json(
        400, {"error": error, "error_description": "It is refused.", "request_id": uuid.uuid4().hex}
    )


def _proves(verifier: str, challenge: str) -> bool:
    """Return whether a verifier belongs to a challenge (RFC 7636)."""
    hashed = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == challenge
