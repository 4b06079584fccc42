"""HTTP requests that always end: each has a time limit, and all of a run share a deadline.

TLS is verified against the system's certificates or the user's own bundle; plain http is for the
loopback only. Proxies come from the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY).
A request that may have a secret follows no redirect: the secret is meant for the address in the
settings, and for no other.
"""

import errno
import json
import queue
import random
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import urllib3

from generator import codec, formatting
from generator.clock import Deadline
from generator.errors import GenError
from generator.files import is_regular
from generator.renewal.failures import PassingError, UnreachableError
from generator.renewal.secret import Secret

T = TypeVar("T")

# With their pauses, four attempts at a server that answers at once take about four seconds: a
# connection may wait for them.
_ATTEMPTS = 4
# Overload, or a proxy in front of a server that restarts. Any other status would stay the same.
_RETRY_STATUSES = {429, 500, 502, 503, 504}
# For a provider behind an ssh tunnel, and for tests.
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_SIZE_LIMIT = 1024 * 1024  # bytes
_LONGEST_ATTEMPT = 15.0  # seconds
_CHUNK = 64 * 1024  # bytes
# A network that is down, and one without a way to the server. Linux has the third for a loopback
# that is down.
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN}
_MOST_REDIRECTS = 5
# A date in Retry-After by a wrong clock must not stop renewals for years.
_LONGEST_PAUSE = 86_400  # seconds


class _NoAnswer(Exception):  # noqa: N818 - one attempt failed, which is not an error yet
    pass


@dataclass(frozen=True)
class Answer:
    """The answer to one request; its content is never part of a message."""

    url: str
    status: int
    content: bytes
    location: str = ""
    """Where a redirect leads; empty without one."""

    def data(self) -> Mapping[str, Any]:
        """Return the JSON object in the answer."""
        if self.content.lstrip().startswith(b"<"):
            raise PassingError(
                f"{address(self.url)}: a web page answers in place of the server "
                f"({self.status}). On a network with a login page, log in first; otherwise ask "
                "the site"
            )
        try:
            value = codec.parse(self.content, "answer")
        except GenError:
            value = None
        if not isinstance(value, dict):
            raise GenError(f"{address(self.url)}: answers {self.status} without a JSON object")
        return value

    def decoded(self, kind: type[T]) -> T:
        """Return the JSON object as a dataclass, which may leave out keys of the answer."""
        return codec.decode(kind, self.data(), address(self.url), strict=False)


@dataclass(frozen=True)
class _Request:
    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    most: int = _SIZE_LIMIT
    """Size of the largest answer, in bytes."""


@dataclass(frozen=True)
class Http:
    """Connections to servers during one run."""

    direct: urllib3.PoolManager
    proxies: Mapping[str, urllib3.PoolManager]
    """By the scheme of the address: `http`, `https`, or `all`."""
    deadline: Deadline
    first_pause: float = 0.5
    """Seconds between the first two attempts; each further pause is twice as long."""
    report: Callable[[str], None] = lambda _: None
    """Gets the error of each attempt as the library words it."""

    def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        bearer: Secret | None = None,
    ) -> Answer:
        """Return the first answer that a retry would not change.

        Raises:
            UnreachableError: no such answer came in time.
        """
        _refuse_plain_http(url)
        request = _request(method, url, form, body, bearer)
        reason = "no time is left"
        pause = 0.0
        wait = 0
        for attempt in range(_ATTEMPTS):
            if self.deadline.left() <= pause:
                break
            time.sleep(pause)
            try:
                answer, wait = self._attempt(request)
            except _NoAnswer as failure:
                reason = str(failure)
                wait = 0
            else:
                if answer.status not in _RETRY_STATUSES:
                    return answer
                reason = f"answers {answer.status}"
            # The random part keeps machines that failed together from coming back together.
            jitter = random.uniform(0.5, 1.5)  # noqa: S311 - not a secret
            pause = max(wait, self.first_pause * 2**attempt * jitter)
        raise UnreachableError(f"{address(url)}: {reason}", wait)

    def download(self, url: str, most: int) -> bytes:
        """Return a public file of at most so many bytes; redirects are followed to https only."""
        current = url
        for _ in range(_MOST_REDIRECTS):
            if urlsplit(current).scheme != "https":
                raise GenError(
                    f"{address(url)}: redirects to {address(current)}, which is not https"
                )
            request = _Request("GET", current, None, {"Accept-Encoding": "identity"}, most)
            try:
                answer, _ = self._attempt(request)
            except _NoAnswer as failure:
                raise UnreachableError(f"{address(current)}: {failure}; try again later") from None
            if answer.status == 200:
                return answer.content
            if not answer.location:
                raise GenError(f"{address(current)}: answers {answer.status}; check the address")
            current = urljoin(current, answer.location)
        raise GenError(f"{address(url)}: redirects more than {_MOST_REDIRECTS} times")

    def _attempt(self, request: _Request) -> tuple[Answer, int]:
        """Send a request once; return the answer and the seconds that it asks to wait."""
        # Less time for the connection: a firewall that drops packets is the usual reason.
        left = self.deadline.left()
        limit = min(_LONGEST_ATTEMPT, left)
        return _within(limit + 1, lambda: self._exchange(request, Deadline(limit)))

    def _exchange(self, request: _Request, limit: Deadline) -> tuple[Answer, int]:
        left = limit.left()
        try:
            response = self._connections(request.url).urlopen(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=urllib3.Timeout(connect=min(5.0, left), read=min(10.0, left)),
                redirect=False,
                retries=False,
                # Read below, so that the size and the time of the answer are limited.
                preload_content=False,
                decode_content=False,
            )
            try:
                content = _content(response, limit, request.most)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            # The last cause is an error of the system: others may hold the password of a proxy.
            cause = list(_causes(error))[-1]
            self.report(f"{address(request.url)}: {type(cause).__name__}: {cause}")
            _refuse_untrusted(request.url, error)
            raise _NoAnswer(_reason(error)) from None
        location = response.headers.get("Location", "")
        answer = Answer(request.url, response.status, content, location)
        return answer, _retry_after(response.headers.get("Retry-After"))

    def _connections(self, url: str) -> urllib3.PoolManager:
        """Return the connections for an address: through a proxy unless NO_PROXY names the host."""
        parts = urlsplit(url)
        # NO_PROXY may name a host with its port.
        host = parts.netloc.rpartition("@")[2]
        if urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined]
            return self.direct
        return self.proxies.get(parts.scheme) or self.proxies.get("all") or self.direct


def _within(seconds: float, exchange: Callable[[], T]) -> T:
    """Return the result of an exchange with a server, and stop waiting for it after some seconds.

    It runs in a thread of its own: a name server that hangs cannot be interrupted, and http.client
    reads without end what comes before an answer (100 Continue) and after it (trailers).
    """
    results: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put(exchange())
        except Exception as error:  # raised again in the thread that waits
            results.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise _NoAnswer("the answer takes too long") from None
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def connected(
    bundle: Path | None, deadline: Deadline, report: Callable[[str], None] = lambda _: None
) -> Iterator[Http]:
    """Open the connections of a run; they are closed at the end of the block."""
    if bundle:
        is_regular(bundle)  # OpenSSL would read /dev/zero for ever
    try:
        context = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    except ssl.SSLError:
        raise GenError(f"--ca-bundle {bundle}: contains no PEM certificate") from None
    except OSError as error:
        raise GenError(f"--ca-bundle {bundle}: {(error.strerror or str(error)).lower()}") from None
    # A PoolManager knows no proxy of the environment; requests reads them, and also a ~/.netrc,
    # whose password it would send in place of the token.
    direct = urllib3.PoolManager(ssl_context=context)
    proxies = {}
    # Not getproxies(): on macOS that asks the system, which is not possible in a forked process.
    environment = urllib.request.getproxies_environment()
    for scheme in ("http", "https", "all"):
        if environment.get(scheme):
            proxies[scheme] = _proxy(environment[scheme], context)
    try:
        yield Http(direct, proxies, deadline, report=report)
    finally:
        for connections in (direct, *proxies.values()):
            connections.clear()


def _proxy(proxy_address: str, context: ssl.SSLContext) -> urllib3.PoolManager:
    if "://" not in proxy_address:
        proxy_address = f"http://{proxy_address}"
    if proxy_address.lower().startswith("socks"):
        return _socks_proxy(proxy_address, context)
    try:
        parts = urlsplit(proxy_address)
        headers = {}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=user)
        return urllib3.ProxyManager(
            proxy_address, proxy_headers=headers, proxy_ssl_context=context, ssl_context=context
        )
    except (ValueError, urllib3.exceptions.HTTPError):
        # Their own message may hold the address, and that a password.
        raise GenError(
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: "
            "its address is not http://HOST:PORT"
        ) from None


def _socks_proxy(proxy_address: str, context: ssl.SSLContext) -> urllib3.PoolManager:
    from importlib.util import find_spec

    if not find_spec("socks"):
        raise GenError(
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) "
            "is a SOCKS proxy, which needs another package: pip install pysocks"
        )
    from urllib3.contrib.socks import SOCKSProxyManager

    try:
        return SOCKSProxyManager(proxy_address, ssl_context=context)
    except (ValueError, urllib3.exceptions.HTTPError):
        raise GenError(
            "the proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: "
            "its address is not socks5h://HOST:PORT"
        ) from None


def _request(
    method: str,
    url: str,
    form: Mapping[str, str] | None,
    body: Mapping[str, Any] | None,
    bearer: Secret | None,
) -> _Request:
    # A compressed answer could grow beyond the size limit.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    content = None
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        content = urlencode(form).encode()
    elif body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body).encode()
    if bearer:
        headers["Authorization"] = f"Bearer {bearer.reveal()}"
    return _Request(method, url, content, headers)


def _content(response: urllib3.BaseHTTPResponse, limit: Deadline, most: int) -> bytes:
    """Read an answer, which may be neither too slow nor too large."""
    content = b""
    # read1 returns whatever has arrived; read would wait for a whole chunk, one slow byte after
    # the other.
    while part := response.read1(_CHUNK, decode_content=False):
        content += part
        if not limit.left():
            raise _NoAnswer("the answer takes too long")
        if len(content) > most:
            raise _NoAnswer(f"the answer is larger than {formatting.size(most)}")
    return content


def address(url: str) -> str:
    """Return an address for a message: without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _refuse_plain_http(url: str) -> None:
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if parts.scheme != "https" and not loopback:
        raise GenError(f"{address(url)}: secrets are sent over https only")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and those that led to it, the latest first."""
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _refuse_untrusted(url: str, error: Exception) -> None:
    """Report a TLS certificate that is not trusted: another attempt would not change that."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
            text = f"{address(url)}: its TLS certificate is not trusted ({reason})"
            if "expired" in reason or "not yet valid" in reason:
                raise GenError(f"{text}; is this machine's clock right?")
            # The login page of a network may be gone in a minute.
            raise PassingError(
                f"{text}. On a network with a login page, log in first; "
                "for a CA of your own, use --ca-bundle FILE"
            )


def _reason(error: Exception) -> str:
    """Return why there was no answer, and the remedy."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return "the name of the server is not known; check the network"
        if isinstance(cause, ConnectionRefusedError):
            return "the server does not answer (connection refused)"
        if isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
            return "the server cannot be reached (no route); check the network or the VPN"
    # urllib3 counts a refused connection as a timeout too, so this comes second.
    for cause in causes:
        if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
            return "the server did not answer in time; check the network or the VPN"
    return "the answer was cut short"


def _retry_after(value: str | None) -> int:
    """Return the seconds of a Retry-After header: a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return 0
    # Nine digits are 31 years; Python refuses to convert numbers of thousands of digits.
    if value.isdecimal() and len(value) < 10:
        return min(int(value), _LONGEST_PAUSE)
    from email.utils import parsedate_to_datetime

    try:
        seconds = int(parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0
    return min(max(seconds, 0), _LONGEST_PAUSE)
