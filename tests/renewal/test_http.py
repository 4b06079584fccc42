"""Requests end whatever the server does. The server is a real one on the loopback."""

import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest

from generator.clock import Deadline
from generator.errors import GenError
from generator.renewal.failures import PassingError, UnreachableError
from generator.renewal.http import Http, address, connected
from generator.renewal.secret import Secret

TOKEN = Secret("a-token-that-stays-hidden", "a test")
Reply = tuple[int, Mapping[str, str], bytes]
Script = Reply | Callable[[BaseHTTPRequestHandler], None]
GOOD: Reply = (200, {}, b'{"good": 1}')


class Server:
    """A server that gives its answers in order, repeats the last one, and records requests."""

    def __init__(self, *answers: Script) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.times: list[float] = []
        self.url = ""

    def next_answer(self) -> Script:
        """Return the answer to the next request."""
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0]

    @contextmanager
    def running(self, certificate: Path | None = None) -> Iterator["Server"]:
        """Serve on the loopback during the block, with TLS if there is a certificate."""
        handler = type("Bound", (_Handler,), {"script": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        scheme = "http"
        if certificate:
            scheme = "https"
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    script: Server

    def _answer(self) -> None:
        self.script.times.append(time.monotonic())
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.script.requests.append((self.command, self.path, dict(self.headers), body))
        answer = self.script.next_answer()
        if callable(answer):
            answer(self)
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def http(
    seconds: float = 20, first_pause: float = 0.01, bundle: Path | None = None
) -> Iterator[Http]:
    with connected(bundle, Deadline(seconds)) as client:
        yield replace(client, first_pause=first_pause)


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_form_arrives_and_the_answer_comes_back() -> None:
    with Server(GOOD).running() as server, http() as client:
        answer = client.send("POST", f"{server.url}/token/", form={"a": "b&c"}, bearer=TOKEN)
    [(method, path, headers, body)] = server.requests
    assert (answer.status, answer.data()) == (200, {"good": 1})
    assert (method, path, body) == ("POST", "/token/", b"a=b%26c")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Authorization"] == f"Bearer {TOKEN.reveal()}"


def test_a_json_body_arrives() -> None:
    with Server(GOOD).running() as server, http() as client:
        client.send("POST", server.url, body={"a": [1, None]})
    [(_, _, headers, body)] = server.requests
    assert (headers["Content-Type"], body) == ("application/json", b'{"a": [1, null]}')


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_status_that_may_pass_is_retried(status: int) -> None:
    with Server((status, {}, b""), (status, {}, b""), GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200
    assert len(server.requests) == 3


# A redirect could lead to another host, which would get the token.
@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 400, 401, 403, 404])
def test_a_final_status_is_not_retried_and_no_redirect_is_followed(status: int) -> None:
    with Server((status, {"Location": "/elsewhere"}, b"")).running() as server, http() as client:
        assert client.send("GET", server.url, bearer=TOKEN).status == status
    assert len(server.requests) == 1


def test_there_are_four_attempts_with_growing_pauses() -> None:
    with (
        Server((503, {}, b"")).running() as server,
        http(first_pause=0.1) as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.send("GET", f"{server.url}/x")
    first, second, third = (after - before for before, after in pairwise(server.times))
    assert len(server.requests) == 4
    assert 0.05 <= first < 0.5
    assert second >= 0.1
    assert third > 0.2
    assert str(caught.value) == f"{server.url}/x: answers 503"
    assert caught.value.pause == 0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_retry_after_within_the_deadline_is_waited_for(form: str) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        wait = "1"
        if form == "date":
            # A date has whole seconds: this one is between one and two seconds ahead.
            wait = formatdate(time.time() + 2, usegmt=True)
        handler.send_response(429)
        handler.send_header("Retry-After", wait)
        handler.end_headers()

    with Server(busy, GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200
    # The usual pause is 0.01 s here, so the wait is that of the header.
    assert server.times[1] - server.times[0] >= 0.9


def test_a_retry_after_beyond_the_deadline_is_reported_at_once() -> None:
    begin = time.monotonic()
    with (
        Server((429, {"Retry-After": "3600"}, b"")).running() as server,
        http(5) as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.send("GET", server.url)
    assert time.monotonic() - begin < 5
    assert (len(server.requests), caught.value.pause) == (1, 3600)
    assert str(caught.value) == (f"{server.url}: answers 429")


def test_a_retry_after_that_is_not_a_time_is_ignored() -> None:
    with Server((503, {"Retry-After": "soon"}, b""), GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass  # the client has closed the connection, as it should


def repeat(start: bytes, part: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return an answer with a part that comes again and again until the client has gone."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        end = time.monotonic() + 10
        try:
            handler.wfile.write(start)
            while time.monotonic() < end:
                handler.wfile.write(part)
                time.sleep(0.001)
        except OSError:
            pass

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        # A time limit for each read of the socket never passes here: every read returns something.
        pytest.param(drip, id="one byte after the other"),
        pytest.param(repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), id="no answer yet"),
        pytest.param(repeat(CHUNKED, b"Name: value\r\n"), id="lines behind the answer"),
        pytest.param(repeat(b"HTTP/1.1 200 OK\r\nName: ", b"x"), id="a header without end"),
        pytest.param(lambda _: time.sleep(3), id="silence"),
    ],
)
def test_a_slow_server_does_not_take_longer_than_the_deadline(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    begin = time.monotonic()
    with Server(answer).running() as server, http(0.5) as client, pytest.raises(UnreachableError):
        client.send("GET", server.url)
    # Far above the deadline, for a busy machine, and below the ten seconds of the servers above.
    assert time.monotonic() - begin < 8


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{}")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        # The largest right answer has a few KiB.
        pytest.param((200, {}, b" " * 2_000_000), "the answer is larger than 1 MiB", id="endless"),
        pytest.param(cut_short, "the answer was cut short", id="cut short"),
    ],
)
def test_an_unusable_answer_is_retried_and_reported(answer: Script, reason: str) -> None:
    with (
        Server(answer).running() as server,
        http() as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.send("GET", server.url)
    assert str(caught.value) == f"{server.url}: {reason}"
    assert len(server.requests) == 4


def test_an_answer_of_one_mebibyte_is_read_whole() -> None:
    with Server((200, {}, b" " * 2**20)).running() as server, http() as client:
        assert len(client.send("GET", server.url).content) == 2**20


# The port was in use a moment ago, so no other program has it.
def test_a_closed_port_is_reported_in_one_line() -> None:
    with Server(GOOD).running() as server:
        pass
    with http() as client, pytest.raises(UnreachableError) as caught:
        client.send("GET", server.url)
    assert str(caught.value) == f"{server.url}: the server does not answer (connection refused)"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://example.org/token", id="another host"),
        pytest.param("http://127.0.0.1.example.org/", id="a name that starts like the loopback"),
        # A check of the start of the address would take this for the loopback.
        pytest.param("http://localhost@example.org/", id="a user called localhost"),
        pytest.param("ftp://127.0.0.1/", id="another scheme"),
    ],
)
def test_plain_http_is_for_the_loopback_only(url: str) -> None:
    with http() as client, pytest.raises(GenError, match="secrets are sent over https only"):
        client.send("GET", url, bearer=TOKEN)


class TestProxy:
    """Proxies come from the environment, as curl reads it."""

    def test_plain_http_goes_through_http_proxy_with_its_password(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(GOOD).running() as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//ada:p%40ss@"))
            with http() as client:
                assert client.send("GET", "http://localhost:9/x").status == 200
        [(_, path, headers, _)] = proxy.requests
        assert path == "http://localhost:9/x"
        assert headers["proxy-authorization"] == "Basic YWRhOnBAc3M="  # ada:p@ss

    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    def test_each_spelling_counts(self, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with Server(GOOD).running() as proxy:
            monkeypatch.setenv(variable, proxy.url.removeprefix("http://"))
            with http() as client:
                client.send("GET", "http://localhost:9/x")
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize("exceptions", ["127.0.0.1", "example.org, 127.0.0.1", "*"])
    def test_no_proxy_names_hosts_that_are_reached_directly(
        self, exceptions: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(GOOD).running() as proxy, Server(GOOD).running() as server:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            monkeypatch.setenv("NO_PROXY", exceptions)
            with http() as client:
                client.send("GET", server.url)
        assert (len(proxy.requests), len(server.requests)) == (0, 1)

    def test_https_is_tunnelled_and_the_proxy_sees_no_secret(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Server(tunnel).running() as proxy, Server(GOOD).running(certificate) as server:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            with http(bundle=certificate) as client:
                assert client.send("GET", server.url, bearer=TOKEN).status == 200
        [(method, path, headers, _)] = proxy.requests
        assert (method, path) == ("CONNECT", server.url.removeprefix("https://"))
        # The token travels inside TLS; the proxy is a machine of others.
        assert "Authorization" not in headers
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        "proxy_address",
        [
            pytest.param("nonsense://ada:hidden@proxy", id="unknown scheme"),
            # urllib3 takes the slash for the end of the host, so `ada:hidden` is host and port in
            # its message.
            pytest.param("http://ada:hidden/@proxy", id="unquoted slash in the password"),
        ],
    )
    def test_a_bad_address_is_reported_without_its_password(
        self, proxy_address: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", proxy_address)
        with pytest.raises(GenError) as caught, http():
            pass
        assert str(caught.value) == (
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: "
            "its address is not http://HOST:PORT"
        )

    def test_a_socks_proxy_names_the_package_that_it_needs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # None makes the import fail, whether or not pysocks is installed here.
        monkeypatch.setitem(__import__("sys").modules, "socks", None)
        monkeypatch.setenv("ALL_PROXY", "socks5h://ada:hidden@proxy:1080")
        with pytest.raises(GenError) as caught, http():
            pass
        assert str(caught.value) == (
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) is a SOCKS "
            "proxy, which needs "
            "another package: pip install pysocks"
        )


def tunnel(handler: BaseHTTPRequestHandler) -> None:
    """Do as a proxy does that is asked to CONNECT: pass bytes both ways until one side closes."""
    host, _, port = handler.path.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as server:
        handler.send_response(200)
        handler.end_headers()
        opposite = {server: handler.connection, handler.connection: server}
        while True:
            readable, _, _ = select.select([*opposite], [], [], 10)
            for side in readable:
                content = side.recv(65536)
                if not content:
                    return
                opposite[side].sendall(content)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed TLS certificate, with its key beside it."""
    path = tmp_path_factory.mktemp("tls") / "server.crt"
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    options = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_suffix(".key"))]
    subprocess.run(
        ["openssl", *request.split(), *options, "-out", str(path)],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return path


def test_an_untrusted_server_gets_nothing_and_the_message_names_the_option(
    certificate: Path,
) -> None:
    with (
        Server(GOOD).running(certificate) as server,
        http() as client,
        pytest.raises(GenError) as caught,
    ):
        client.send("POST", server.url, form={"password": TOKEN.reveal()})
    assert server.requests == []
    assert str(caught.value) == (
        f"{server.url}: its TLS certificate is not trusted (self-signed certificate). "
        "On a network with a login page, log in first; for a CA of your own, use --ca-bundle FILE"
    )


def test_a_bundle_makes_a_server_trusted(certificate: Path) -> None:
    with Server(GOOD).running(certificate) as server, http(bundle=certificate) as client:
        assert client.send("GET", server.url).status == 200


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "no such file or directory"), ("empty", "contains no PEM certificate")],
)
def test_an_unusable_bundle_is_reported(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "empty").write_text("")
    with pytest.raises(GenError) as caught, http(bundle=tmp_path / name):
        pass
    assert str(caught.value) == f"--ca-bundle {tmp_path}/{name}: {reason}"


# It never ends, so to read it would fill the memory.
def test_a_device_as_a_bundle_is_refused() -> None:
    with pytest.raises(GenError) as caught, http(bundle=Path("/dev/zero")):
        pass
    assert str(caught.value) == "/dev/zero: is a device; move it away, then try again"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"\xff", id="bytes"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
    ],
)
def test_an_answer_without_a_json_object_is_reported_without_its_content(content: bytes) -> None:
    with (
        Server((200, {}, content)).running() as server,
        http() as client,
        pytest.raises(GenError) as caught,
    ):
        client.send("GET", server.url).data()
    assert str(caught.value) == f"{server.url}: answers 200 without a JSON object"


def test_a_web_page_in_place_of_the_server_may_be_gone_later() -> None:
    with (
        Server((200, {}, b"\n<!DOCTYPE html>")).running() as server,
        http() as client,
        pytest.raises(PassingError) as caught,
    ):
        client.send("GET", server.url).data()
    assert str(caught.value) == (
        f"{server.url}: a web page answers in place of the server (200). On a network with a login "
        "page, log in first; otherwise ask the site"
    )


def test_an_address_is_shown_without_user_password_and_query() -> None:
    # Errors and logs have the address, and user, password and query may be secrets.
    assert address("https://ada:pw@example.org:1/a/?token=x#y") == "https://example.org:1/a/"
