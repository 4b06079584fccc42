"""Each failure of the network, the CA and the provider in the words of gen, with the real step.

The texts are printed, and each stands in a table of docs/troubleshooting.md.
"""

import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from identity_provider import Answer, Fault, IdentityProvider, certificate, root_certificate, step
from step_ca import PREFIX, Authority, Member, clock, membership

DOCS = Path(__file__).parents[2] / "docs/troubleshooting.md"
# A name that never exists (RFC 6761), and an address without a machine (RFC 5737).
UNKNOWN = "https://ca.invalid:9000"
NO_MACHINE = "https://192.0.2.1:9000"

pytestmark = pytest.mark.system


@pytest.fixture
def member(provider: IdentityProvider, ca: Authority, tmp_path: Path) -> Iterator[Member]:
    """A user without a certificate, whose step does not know the CA."""
    with membership(tmp_path, provider, ca) as member:
        member.settle()
        yield member
        assert member.spilled() == []


def reported(line: str, beginning: str, text: str) -> None:
    """Check a message, and that the page about failures has its text."""
    sys.stdout.write(line)
    assert line.startswith(f"rig: {beginning}: {text}"), line
    # The page has the first part of a message, by which a user searches for it.
    head = re.split(r"[(;.]", text)[0].strip()
    assert f"`{head}" in DOCS.read_text()


@contextmanager
def page(leaf: Path, body: bytes = b"<html>Welcome to Hotel Wifi</html>") -> Iterator[str]:
    """Serve one page over TLS for every request, as the login page of a network does."""

    class LoginPage(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class LoginPageServer(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing: a client that does not trust the certificate hangs up."""

    server = LoginPageServer(("127.0.0.1", 0), LoginPage)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf, leaf.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class TestCA:
    """The CA, as step and step-ca report its faults."""

    def test_that_is_down(self, member: Member) -> None:
        # Port 1 is for a service that no machine runs today.
        member.settle(ca_url="https://localhost:1")
        reported(
            member.refused(),
            "https://localhost:1",
            "the CA does not answer (connection refused); try again later, or ask the site",
        )

    def test_whose_name_is_not_known(self, member: Member) -> None:
        member.settle(ca_url=UNKNOWN)
        reported(
            member.refused(),
            UNKNOWN,
            "the name of the CA is not known; check the network, then try again",
        )

    def test_that_no_network_leads_to(self, member: Member) -> None:
        member.settle(ca_url=NO_MACHINE)
        # A network namespace has no way out.
        command = ("unshare", "--net", sys.executable, "-m", "generator", "refresh", "rig")
        reported(
            member.run(*command).stderr,
            NO_MACHINE,
            "the CA cannot be reached (no route); check the network or the VPN, then try again",
        )

    def test_with_another_root_than_the_spec_on_first_use(self, member: Member) -> None:
        member.settle(ca_fingerprint="0" * 64)
        reported(
            member.refused(),
            member.ca.url,
            "the CA has no root certificate with the fingerprint in the spec; ask the site for it",
        )

    def test_in_whose_place_a_login_page_answers_on_first_use(
        self, member: Member, tmp_path: Path
    ) -> None:
        leaf = certificate(tmp_path, "hotel", root_certificate(tmp_path, "hotel-root"))
        with page(leaf) as url:
            member.settle(ca_url=url)
            reported(
                member.refused(),
                url,
                "the CA reports an internal error, or the login page of a network answers in its "
                "place; log in to the network, or ask the site",
            )

    def test_in_whose_place_another_server_answers(self, member: Member, tmp_path: Path) -> None:
        member.renewed()
        leaf = certificate(tmp_path, "hotel", root_certificate(tmp_path, "hotel-root"))
        with page(leaf) as url:
            member.settle(ca_url=url)
            reported(
                member.refused("--force"),
                url,
                "another server than the CA answers: its TLS certificate is not from the root in "
                "the spec. On a network with a login page, log in first; otherwise ask the site",
            )

    def test_whose_tls_certificate_is_not_valid_at_the_time(
        self, member: Member, tmp_path: Path
    ) -> None:
        """By a clock that is ahead; step reads no faked time, so the certificate is an old one."""
        member.renewed()
        root = member.ca.user_key.with_name("ca-root.crt")
        leaf = tmp_path / "old.crt"
        options = ("--no-password", "--insecure", "--not-before=-240h", "--not-after=-1h")
        signed = ("--ca", root, "--ca-key", root.with_suffix(".key"), "--san", "localhost")
        step("certificate", "create", "old", leaf, leaf.with_suffix(".key"), *signed, *options)
        with page(leaf) as url:
            member.settle(ca_url=url)
            reported(
                member.refused("--force"),
                url,
                "the TLS certificate of the CA is not valid at this machine's time; is its clock "
                "right?",
            )

    def test_verbose_prints_the_words_of_step_too(self, member: Member) -> None:
        member.settle(ca_url="https://localhost:1")
        raw, message = member.refresh("--verbose").stderr.rsplit("\n", 2)[:2]
        assert raw.startswith("step ca bootstrap: ")
        assert "dial tcp" in raw
        assert message.startswith("rig: https://localhost:1: the CA does not answer")
        assert "dial tcp" not in member.gen("status", "rig").stdout


class TestProvider:
    """The provider, which gen asks itself."""

    def test_that_is_down(self, member: Member, provider: IdentityProvider) -> None:
        with provider.down():
            reported(
                member.refused(),
                f"{provider.url}/application/o/token/",
                "the server does not answer (connection refused); the next run tries again",
            )

    def test_whose_name_is_not_known(self, member: Member) -> None:
        member.settle(oidc={"token_url": "https://auth.invalid/token/"})
        reported(
            member.refused(),
            "https://auth.invalid/token/",
            "the name of the server is not known; check the network; the next run tries again",
        )

    def test_that_no_network_leads_to(self, member: Member) -> None:
        # Once step knows the CA, the provider is asked first.
        member.renewed()
        member.settle(oidc={"token_url": "https://192.0.2.1/token/"})
        options = ("-m", "generator", "refresh", "rig", "--force")
        reported(
            member.run("unshare", "--net", sys.executable, *options).stderr,
            "https://192.0.2.1/token/",
            "the server cannot be reached (no route); check the network or the VPN; the next run "
            "tries again",
        )

    @pytest.mark.long
    def test_that_hangs(self, member: Member, provider: IdentityProvider) -> None:
        provider.delay(300)
        reported(
            member.refused(timeout=200),
            f"{provider.url}/application/o/token/",
            "the server did not answer in time; check the network or the VPN; the next run tries "
            "again",
        )

    def test_in_whose_place_a_web_page_answers(
        self, member: Member, provider: IdentityProvider
    ) -> None:
        provider.fault = Fault(Answer(200, b"<!DOCTYPE html><html>"))
        reported(
            member.refused(),
            f"{provider.url}/application/o/token/",
            "a web page answers in place of the server (200). On a network with a login page, log "
            "in first; otherwise ask the site",
        )

    def test_whose_tls_certificate_is_not_trusted(self, member: Member) -> None:
        bundle = str(member.ca.user_key.with_name("ca-root.crt"))
        line = member.refused(GEN_CA_BUNDLE=bundle)
        # The reason in parentheses is OpenSSL's, whose versions differ.
        reported(
            line,
            f"{member.provider.url}/application/o/token/",
            "its TLS certificate is not trusted (",
        )
        assert line.endswith(
            "). On a network with a login page, log in first; for a CA of your own, use "
            "--ca-bundle FILE\n"
        )

    def test_whose_tls_certificate_is_not_valid_at_the_time(
        self, member: Member, need: Callable[..., None]
    ) -> None:
        need("faketime")
        reported(
            member.refused(**clock("+900d")),
            f"{member.provider.url}/application/o/token/",
            "its TLS certificate is not trusted (certificate has expired); is this machine's clock "
            "right?",
        )

    def test_that_refuses_the_app_password(
        self, member: Member, provider: IdentityProvider
    ) -> None:
        secret = provider.held.pop("first-app_password").key
        provider.held.pop("first-api")
        line = member.refused(**{f"{PREFIX}_AUTHENTIK_API_TOKEN": ""})
        sys.stdout.write(line)
        assert secret not in line

    def test_verbose_prints_the_error_of_each_attempt(
        self, member: Member, provider: IdentityProvider
    ) -> None:
        with provider.down():
            *raw, message = member.refresh("--verbose").stderr.splitlines()
        assert len(raw) == 4
        for line in raw:
            assert line.startswith(f"{provider.url}/application/o/token/: ConnectionRefusedError: ")
        assert message.startswith("rig: ")
