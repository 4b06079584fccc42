"""Requests that end: every one has a time limit, few repetitions, and one deadline for all of them.

TLS is verified against the system's certificates, or a bundle of the person's; plain http is for the loopback only.
No redirect is followed: what a request carries is meant for the address in the settings.
"""

import json
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from generator.errors import GenError
from generator.renewal.secret import Secret

if TYPE_CHECKING:
    import httpx

_TRIES = 4
_AGAIN = {429, 500, 502, 503, 504}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LARGEST = 1024 * 1024
_LONGEST_PAUSE = 86_400


class Deadline:
    """A moment by which everything has to be done, on a clock that nobody sets."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; none below zero."""
        return max(self._end - time.monotonic(), 0.0)


class UnreachableError(GenError):
    """No answer, or only ones that ask to try again."""

    def __init__(self, message: str, pause: int = 0) -> None:
        super().__init__(message)
        self.pause = pause
        """Seconds that the server asked to wait."""


@dataclass(frozen=True)
class Answer:
    """The answer to one request; its content is never part of a message."""

    url: str
    status: int
    content: bytes

    def data(self) -> Mapping[str, Any]:
        """Return the JSON object in it.

        Raises:
            GenError: it is none.
        """
        try:
            found = json.loads(self.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise GenError(
                f"{address(self.url)}: answers {self.status} with something else than a JSON object"
            )
        return found


@dataclass(frozen=True)
class Http:
    """A connection to the outside, for one run."""

    client: "httpx.Client"
    deadline: Deadline
    unit: float = 0.5
    """Seconds of the first pause between two tries; each further one is twice as long."""

    def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        bearer: Secret | None = None,
    ) -> Answer:
        """Return the first answer that is not to be tried again.

        Raises:
            UnreachableError: there was none in time.
            GenError: the address is no https one, or its certificate is not trusted.
        """
        _refuse_plain(url)
        headers = {"Authorization": f"Bearer {bearer.reveal()}"} if bearer else {}
        request = self.client.build_request(method, url, data=form, json=body, headers=headers)
        reason, pause, after = "no time is left", 0.0, 0
        for attempt in range(_TRIES):
            if self.deadline.left() <= pause:
                break
            time.sleep(pause)
            try:
                answer, after = self._once(request)
            except _Lost as lost:
                reason, after = str(lost), 0
            else:
                if answer.status not in _AGAIN:
                    return answer
                reason = f"answers {answer.status}"
            pause = max(after, self.unit * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        wait = f"; it asks to come back in {after} s" if after else ""
        raise UnreachableError(f"{address(url)}: {reason}{wait}; the next run tries again", after)

    def _once(self, request: "httpx.Request") -> tuple[Answer, int]:
        """Return an answer and the seconds that it asks to wait."""
        import httpx

        left = self.deadline.left()
        request.extensions["timeout"] = httpx.Timeout(
            min(10.0, left), connect=min(5.0, left)
        ).as_dict()
        end = Deadline(min(15.0, left))
        try:
            response = self.client.send(request, stream=True)
            try:
                content = b""
                for part in response.iter_raw():
                    content += part
                    if not end.left() or len(content) > _LARGEST:
                        raise _Lost("takes too long, or sends too much")
            finally:
                response.close()
        except httpx.TimeoutException:
            raise _Lost("no answer in time") from None
        except httpx.TransportError as error:
            raise _untrusted(str(request.url), error) or _Lost(_reason(error)) from None
        return Answer(str(request.url), response.status_code, content), _after(
            response.headers.get("Retry-After")
        )


class _Lost(Exception):  # noqa: N818 - an answer that did not come
    pass


@contextmanager
def connected(bundle: Path | None, deadline: Deadline) -> Iterator[Http]:
    """Open what requests are made with.

    Raises:
        GenError: the bundle cannot be read.
    """
    import httpx

    try:
        context = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    except (OSError, ssl.SSLError) as error:
        raise GenError(
            f"--ca-bundle {bundle}: {(error.strerror or 'holds no certificates').lower()}"
        ) from None
    # Answers come as they are: one that was compressed could grow beyond all bounds.
    try:
        client = httpx.Client(
            verify=context, follow_redirects=False, headers={"Accept-Encoding": "identity"}
        )
    except ImportError as error:
        raise GenError(
            f"the proxy that the environment names cannot be used: {_reason(error)}"
        ) from None
    except (ValueError, httpx.InvalidURL):  # their reason may hold the address, and that a password
        raise GenError(
            "the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) cannot be used: "
            "its address is not understood"
        ) from None
    with client:
        yield Http(client, deadline)


def address(url: str) -> str:
    """Return an address for a message: without what may stand in front of the host or behind the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _refuse_plain(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise GenError(f"{address(url)}: secrets go over https only")


def _untrusted(url: str, error: Exception) -> GenError | None:
    """Return what to tell of a certificate that is not trusted, which no second try would mend."""
    seen: BaseException | None = error
    while seen:
        if isinstance(seen, ssl.SSLCertVerificationError):
            reason = seen.verify_message
            of_time = "expired" in reason or "not yet valid" in reason
            mend = (
                "is this machine's clock right?"
                if of_time
                else "for a CA of your own say --ca-bundle FILE"
            )
            return GenError(
                f"{address(url)}: its TLS certificate is not trusted ({reason}); {mend}"
            )
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(error: Exception) -> str:
    words = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return words.partition("] ")[2].lower() if words.startswith("[Errno") else words.lower()


def _after(value: str | None) -> int:
    """Return the seconds of a Retry-After, which has a number or a date (RFC 9110, section 10.2.3)."""
    if not value:
        return 0
    if value.isdecimal() and len(value) < 10:
        return min(int(value), _LONGEST_PAUSE)
    from email.utils import parsedate_to_datetime

    try:
        return min(
            max(int(parsedate_to_datetime(value).timestamp() - time.time()), 0), _LONGEST_PAUSE
        )
    except (ValueError, TypeError, OverflowError):
        return 0
