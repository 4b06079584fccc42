"""authentik's token API (`/api/v3/core/tokens/`): what rotation makes, looks at and takes away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from generator.errors import GenError
from generator.renewal.http import Answer, Http, address
from generator.renewal.secret import Secret

Intent = Literal["app_password", "api"]


class ForbiddenError(GenError):
    """The API does not take the API token."""


@dataclass(frozen=True)
class Issued:
    """A token that was made: its identifier, the secret itself, and the second at which it ends."""

    identifier: str
    secret: Secret
    expires: int | None


@dataclass(frozen=True)
class Api:
    """The API as somebody who holds an API token."""

    http: Http
    base: str
    token: Secret

    def user(self) -> int:
        """Return the number of the user that the token is of: the cheapest proof that it works.

        Raises:
            ForbiddenError: it does not.
        """
        found = self._call("GET", "users/me/").data()
        user = found.get("user", found)
        number = user.get("pk") if isinstance(user, Mapping) else None
        if not isinstance(number, int):
            raise GenError(f"{self._url('users/me/')}: its answer holds no user")
        return number

    def create(self, identifier: str, intent: Intent, user: int, expires: int) -> Issued:
        """Make a token; how long it lasts is the provider's to say, and may differ from what was asked.

        A repetition of a request whose answer was lost meets its own token: that is no fault.
        """
        body = {
            "identifier": identifier,
            "intent": intent,
            "user": user,
            "expiring": True,
            "expires": datetime.fromtimestamp(expires, UTC).isoformat(),
            "description": "made by gen refresh",
        }
        answer = self._send("POST", "tokens/", body)
        refused = answer.data() if answer.status == 400 else {}
        there = "identifier" in refused
        if "expires" in refused:
            raise GenError(
                f"{address(answer.url)}: gives an {intent} less time; lower auth.authentik.expires_days"
            )
        if answer.status != 201 and not there:
            raise GenError(f"{address(answer.url)}: answers {answer.status} to a new {intent}")
        made = self._call("GET", f"tokens/{identifier}/").data() if there else answer.data()
        key = self._call("GET", f"tokens/{identifier}/view_key/").data().get("key")
        if not isinstance(key, str):
            raise GenError(f"{address(answer.url)}: does not show the key of {tail(identifier)}")
        return Issued(identifier, Secret(key, address(answer.url)), _second(made.get("expires")))

    def delete(self, identifier: str) -> None:
        """Take a token away; one that is gone already is no fault."""
        answer = self._send("DELETE", f"tokens/{identifier}/")
        if answer.status not in (204, 404):
            raise GenError(
                f"{address(self._url('tokens/'))}: answers {answer.status} to the end of {tail(identifier)}"
            )

    def _call(self, method: str, path: str) -> Answer:
        answer = self._send(method, path)
        if answer.status != 200:
            raise GenError(f"{address(answer.url)}: answers {answer.status}")
        return answer

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        answer = self.http.send(method, self._url(path), body=body, bearer=self.token)
        if answer.status in (401, 403):
            raise ForbiddenError(
                f"{address(answer.url)}: refuses the API token {self.token.tail()} ({answer.status})"
            )
        return answer

    def _url(self, path: str) -> str:
        return f"{self.base.rstrip('/')}/api/v3/core/{path}"


def tail(identifier: str) -> str:
    """Return the last four characters of an identifier, which is all that a log may show."""
    return f"…{identifier[-4:]}"


def _second(value: object) -> int | None:
    """Return a time of the API (RFC 3339) in seconds since 1970."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
