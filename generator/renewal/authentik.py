"""authentik's token API (`/api/v3/core/tokens/`), for the rotation of tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from generator.errors import GenError
from generator.renewal.credentials import Credential, timestamp
from generator.renewal.http import Answer, Http, address
from generator.renewal.secret import Secret

Intent = Literal["app_password", "api"]


class ForbiddenError(GenError):
    """The API does not accept the API token."""


@dataclass(frozen=True)
class _User:
    pk: int


@dataclass(frozen=True)
class _SessionUser:
    user: _User


@dataclass(frozen=True)
class _Token:
    expires: str | None = None


@dataclass(frozen=True)
class _TokenView:
    key: str


@dataclass(frozen=True)
class Api:
    """The API, used with an API token."""

    http: Http
    base: str
    token: Secret

    def user(self) -> int:
        """Return the number of the token's user: the cheapest proof that the token works.

        Raises:
            ForbiddenError: it does not.
        """
        return self._get("users/me/").decoded(_SessionUser).user.pk

    def create(self, identifier: str, intent: Intent, user: int, expires: int) -> Credential:
        """Create a token; the provider may give it another lifetime than requested.

        If the answer to an earlier attempt was lost, the token already exists. It is then read.
        """
        # authentik ignores `expires` unless `expiring` is set.
        body = {
            "identifier": identifier,
            "intent": intent,
            "user": user,
            "expiring": True,
            "expires": datetime.fromtimestamp(expires, UTC).isoformat(),
            "description": "made by gen refresh",
        }
        answer = self._send("POST", "tokens/", body)
        endpoint = address(answer.url)
        # A 400 names the fields that it refuses (Django REST framework, serializers).
        faults = answer.data() if answer.status == 400 else {}
        if "expires" in faults:
            raise GenError(
                f"{endpoint}: gives an {intent} less time; lower auth.authentik.expires_days"
            )
        if "identifier" in faults:
            answer = self._get(f"tokens/{identifier}/")
        elif answer.status != 201:
            raise GenError(f"{endpoint}: answers {answer.status} to the request for an {intent}")
        created = answer.decoded(_Token)
        # The answer to the creation does not have the key.
        key = self._get(f"tokens/{identifier}/view_key/").decoded(_TokenView).key
        return Credential(Secret(key, endpoint), identifier, timestamp(created.expires))

    def delete(self, identifier: str) -> None:
        """Delete a token; a token that does not exist is deleted already."""
        answer = self._send("DELETE", f"tokens/{identifier}/")
        if answer.status not in (204, 404):
            endpoint = address(self._url("tokens/"))
            raise GenError(
                f"{endpoint}: answers {answer.status} to the deletion of {tail(identifier)}"
            )

    def _get(self, path: str) -> Answer:
        answer = self._send("GET", path)
        if answer.status != 200:
            raise GenError(f"{address(answer.url)}: answers {answer.status}")
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        answer = self.http.send(method, self._url(path), body=body, bearer=self.token)
        if answer.status in (401, 403):
            raise ForbiddenError(
                f"{address(answer.url)}: refuses the API token {self.token.tail()} "
                f"({answer.status})"
            )
        return answer

    def _url(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/api/v3/core/{path}"


def tail(identifier: str) -> str:
    """Return the last four characters of an identifier, which is all that a log may show."""
    return f"…{identifier[-4:]}"
