"""A centre that publishes specs: its keys, its web server over TLS, and its git server."""

import http.server
import os
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from identity_provider import certificate, root_certificate
from running import Gen

from generator import resources

Answer = Callable[["PublisherHandler"], None]


def key(directory: Path, name: str) -> Path:
    """Make a key pair without a passphrase, and return the private key."""
    path = directory / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def fingerprint(private_key: Path) -> str:
    """Return the fingerprint of a key as ssh-keygen prints it."""
    command = ["ssh-keygen", "-l", "-f", f"{private_key}.pub"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return output.split()[1]


class Centre(NamedTuple):
    """The specs that a centre publishes, and the key that signs them."""

    specs: Path
    key: Path
    gen: Gen

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the key."""
        return fingerprint(self.key)

    def spec(self, site: str) -> Path:
        """Return the path of a spec."""
        return self.specs / f"{site}.yaml"

    def edit(self, site: str, old: str, new: str) -> None:
        """Change a text in a spec."""
        text = self.spec(site).read_text()
        assert old in text
        self.spec(site).write_text(text.replace(old, new))

    def sign(self, *options: str, key: Path | None = None) -> None:
        """Sign the index again."""
        result = self.gen(
            "source", "sign", str(self.specs), "--key", str(key or self.key), *options
        )
        assert result.status == 0, result.err

    def sign_as_a_stranger(self, key: Path, *options: str) -> None:
        """Sign the index with a key that nobody handed over to, which gen itself refuses."""
        (self.specs / "gen-source.json.sig").unlink()
        self.sign(*options, key=key)

    def add(self, *options: str) -> None:
        """Add it as a user who has compared the signer."""
        source = ("source", "add", str(self.specs), "--signer", self.fingerprint, "--yes")
        result = self.gen(*source, *options)
        assert result.status == 0, result.err


def centre_in(tmp_path: Path, gen: Gen) -> Centre:
    """Publish the specs of mila as `ours`, and of musica, as the source `asc`, signed once."""
    specs = tmp_path / "published"
    specs.mkdir()
    # Specs of the catalogue are long and valid, so an update shows real lines.
    text = (resources.CATALOGUE / "mila.yaml").read_text()
    (specs / "ours.yaml").write_text(text.replace("site: mila\n", "site: ours\n", 1))
    shutil.copy(resources.CATALOGUE / "musica.yaml", specs)
    centre = Centre(specs, key(tmp_path, "centre"), gen)
    centre.sign("--name", "asc")
    return centre


@dataclass
class WebServer:
    """Serves a directory over TLS, and git repositories in it by git's own program."""

    url: str
    bundle: Path
    """The CA that its certificate is from."""
    answers: dict[str, Answer] = field(default_factory=dict)
    """Other answers than the file, by the name of the file."""
    answers_at: dict[str, Answer] = field(default_factory=dict)
    """The same, by the whole path."""
    requests: list[str] = field(default_factory=list)


class PublisherHandler(http.server.SimpleHTTPRequestHandler):
    """Answers one connection."""

    def __init__(self, *arguments: object, web: WebServer, directory: str) -> None:
        self.web = web
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def handle(self) -> None:
        # gen hangs up in the middle of an answer that is too long.
        with suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        self.web.requests.append(self.path)
        name = self.path.rpartition("/")[2]
        answer = self.web.answers_at.get(self.path) or self.web.answers.get(name)
        if answer:
            answer(self)
        elif ".git/" in self.path:
            self._git()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self.web.requests.append(self.path)
        self._git()

    def _git(self) -> None:
        """Answer by git's own server program, as a web server does (git-http-backend(1))."""
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
        }
        command = ["git", "-c", "safe.directory=*", "http-backend"]
        done = subprocess.run(
            command, input=body, env=environment, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        self.send_response(200)
        for line in head.decode().splitlines():
            name, _, value = line.partition(": ")
            self.send_header(name, value)
        # Without it, the end of the connection would be the end of the answer, and GnuTLS takes
        # that for an attack.
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing: the test reads the output of gen."""


@contextmanager
def serving(directory: Path, tls: Path, *hosts: str) -> Iterator[WebServer]:
    """Serve a directory on the loopback; `tls` gets the CA and the certificate.

    `hosts` are further names in the certificate.
    """
    root = root_certificate(tls, "web-root")
    leaf = certificate(tls, "web", root, *hosts)
    web = WebServer("", root)
    handler = partial(PublisherHandler, web=web, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, leaf.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    web.url = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy for https: it relays to the hosts that clients name in `CONNECT`."""

    daemon_threads = True

    def __init__(self, routes: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.routes = routes
        """Where connections to some hosts and ports really go."""
        self.targets: list[str] = []
        """Host and port of each connection."""

    @property
    def port(self) -> int:
        """The port at which it listens."""
        return int(self.server_address[1])


class ProxyHandler(socketserver.StreamRequestHandler):
    """Relays one connection."""

    server: Proxy

    def handle(self) -> None:
        _, target, _ = self.rfile.readline().decode().split()
        while self.rfile.readline().strip():
            pass  # the headers
        self.server.targets.append(target)
        host, _, port = self.server.routes.get(target, target).rpartition(":")
        with socket.create_connection((host, int(port))) as upstream, suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self._relay(upstream)

    def _relay(self, upstream: socket.socket) -> None:
        ends = {self.connection: upstream, upstream: self.connection}
        while True:
            ready, _, _ = select.select(list(ends), [], [])
            for end in ready:
                content = end.recv(65536)
                if not content:
                    return
                ends[end].sendall(content)


@contextmanager
def proxy(routes: Mapping[str, str] = MappingProxyType({})) -> Iterator[Proxy]:
    """Run a proxy on the loopback; `routes` lead connections to some hosts elsewhere."""
    with Proxy(routes) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
