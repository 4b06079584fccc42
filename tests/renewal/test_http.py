"""Requests end, whatever the other side does; the other side is a real server on the loopback."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest

from generator.errors import GenError
from generator.renewal.http import Deadline, Http, UnreachableError, address, connected
from generator.renewal.secret import Secret

TOKEN = Secret("a-token-that-nobody-sees", "a test")
Reply = tuple[int, Mapping[str, str], bytes]


class Server:
    """A server that gives one answer after the other, and keeps what it was asked."""

    def __init__(self, *answers: Reply | Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []
        self.times: list[float] = []
        self.url = ""

    @contextmanager
    def running(self, certificate: Path | None = None) -> Iterator["Server"]:
        """Serve on the loopback, with TLS where there is a certificate with its key."""
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                ours.times.append(time.monotonic())
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                ours.asked.append((self.command, self.path, dict(self.headers), body))
                answer = ours.answers.pop(0) if len(ours.answers) > 1 else ours.answers[0]
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

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if certificate:
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def http(seconds: float = 20, unit: float = 0.01, bundle: Path | None = None) -> Iterator[Http]:
    with connected(bundle, Deadline(seconds)) as opened:
        yield Http(opened.client, opened.deadline, unit)


GOOD: Reply = (200, {}, b'{"good": 1}')


def test_what_is_sent_arrives_and_the_answer_comes_back() -> None:
    with Server(GOOD).running() as server, http() as client:
        answer = client.send("POST", f"{server.url}/token/", form={"a": "b&c"}, bearer=TOKEN)
    [(method, path, headers, body)] = server.asked
    assert (answer.status, answer.data()) == (200, {"good": 1})
    assert (method, path, body) == ("POST", "/token/", b"a=b%26c")
    assert headers["Authorization"] == f"Bearer {TOKEN.reveal()}"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with Server((status, {}, b""), (status, {}, b""), GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 307, 400, 401, 403, 404])
def test_what_does_not_pass_is_not_tried_again_and_no_redirect_followed(status: int) -> None:
    with Server((status, {"Location": "/elsewhere"}, b"")).running() as server, http() as client:
        assert client.send("GET", server.url, bearer=TOKEN).status == status
    assert len(server.asked) == 1


def test_tries_are_few_and_further_and_further_apart() -> None:
    with (
        Server((503, {}, b"")).running() as server,
        http(unit=0.1) as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.send("GET", f"{server.url}/x")
    first, second, third = (
        after - before for before, after in zip(server.times, server.times[1:], strict=False)
    )
    assert len(server.asked) == 4
    assert 0.05 <= first < 0.5 and third > 0.2
    assert str(caught.value) == f"{server.url}/x: answers 503; the next run tries again"
    assert caught.value.pause == 0
    assert second >= 0.1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_is_asked_for_is_kept(form: str) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(429)
        handler.send_header(
            "Retry-After", "2" if form == "seconds" else formatdate(time.time() + 3, usegmt=True)
        )
        handler.end_headers()

    with Server(busy, GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200
    assert server.times[1] - server.times[0] >= 1.9


def test_a_wait_beyond_the_deadline_is_told_and_not_waited_for() -> None:
    begun = time.monotonic()
    with (
        Server((429, {"Retry-After": "3600"}, b"")).running() as server,
        http(5) as client,
        pytest.raises(UnreachableError) as caught,
    ):
        client.send("GET", server.url)
    assert time.monotonic() - begun < 5
    assert (len(server.asked), caught.value.pause) == (1, 3600)
    assert "asks to come back in 3600 s" in str(caught.value)


def test_a_wait_that_makes_no_sense_is_none() -> None:
    with Server((503, {"Retry-After": "soon"}, b""), GOOD).running() as server, http() as client:
        assert client.send("GET", server.url).status == 200


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass  # the client has had enough


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drips, id="one byte after the other"),
        pytest.param(lambda _: time.sleep(3), id="silence"),
    ],
)
def test_who_is_slow_does_not_take_longer_than_the_deadline(
    answer: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    begun = time.monotonic()
    with Server(answer).running() as server, http(1) as client, pytest.raises(UnreachableError):
        client.send("GET", server.url)
    assert time.monotonic() - begun < 8


def test_an_answer_without_end_is_cut_off() -> None:
    with (
        Server((200, {}, b" " * 2_000_000)).running() as server,
        http(3) as client,
        pytest.raises(UnreachableError),
    ):
        client.send("GET", server.url)


def test_nobody_there_is_told_in_a_line() -> None:
    with Server(GOOD).running() as server:
        pass
    with http() as client, pytest.raises(UnreachableError) as caught:
        client.send("GET", server.url)
    assert str(caught.value) == f"{server.url}: connection refused; the next run tries again"


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://example.org/token", id="another host"),
        pytest.param("http://127.0.0.1.example.org/", id="a name that starts like the loopback"),
        pytest.param("http://localhost@example.org/", id="a user called localhost"),
        pytest.param("ftp://127.0.0.1/", id="another scheme"),
    ],
)
def test_plain_http_is_for_the_loopback_only(url: str) -> None:
    with http() as client, pytest.raises(GenError, match="secrets go over https only"):
        client.send("GET", url, bearer=TOKEN)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("nonsense://ada:hidden@proxy", id="of another kind"),
        pytest.param("http://ada:hidden/@proxy", id="with a sign that is not quoted"),
    ],
)
def test_a_proxy_that_is_none_is_told_without_its_password(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    with (
        pytest.raises(
            GenError, match=r"proxy that the environment names .* cannot be used"
        ) as told,
        http(),
    ):
        pass
    assert "hidden" not in str(told.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TLS certificate that nobody trusts, with its key beside it."""
    path = tmp_path_factory.mktemp("tls") / "server.crt"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -addext"
    subprocess.run(
        [
            "openssl",
            *words.split(),
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            path.with_suffix(".key"),
            "-out",
            path,
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )
    return path


def test_who_is_not_trusted_gets_nothing_and_a_bundle_makes_the_difference(
    certificate: Path,
) -> None:
    with Server(GOOD).running(certificate) as server:
        with http() as client, pytest.raises(GenError) as caught:
            client.send("POST", server.url, form={"password": TOKEN.reveal()})
        assert server.asked == []
        assert "its TLS certificate is not trusted (self-signed certificate)" in str(caught.value)
        assert "--ca-bundle FILE" in str(caught.value)
        with http(bundle=certificate) as client:
            assert client.send("GET", server.url).status == 200


def test_a_bundle_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("missing", "empty"):
        with (
            pytest.raises(GenError, match=f"--ca-bundle {tmp_path}/{name}: "),
            http(bundle=tmp_path / name),
        ):
            pass


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'"text"', b"\xff"])
def test_what_is_no_object_is_told_without_its_content(content: bytes) -> None:
    with (
        Server((200, {}, content)).running() as server,
        http() as client,
        pytest.raises(GenError) as caught,
    ):
        client.send("GET", server.url).data()
    assert str(caught.value) == f"{server.url}: answers 200 with something else than a JSON object"


def test_an_address_is_told_without_what_may_be_secret_in_it() -> None:
    assert address("https://ada:pw@example.org:1/a/?token=x#y") == "https://example.org:1/a/"
    assert json.dumps(address("https://example.org")) == '"https://example.org"'
