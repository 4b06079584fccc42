"""The token that the CA takes, by OAuth2 client credentials in the way of authentik: with an app password."""

from generator.errors import GenError
from generator.renewal.http import Answer, Http, address
from generator.renewal.secret import Secret
from generator.renewal.settings import Oidc

_REFUSED = {400, 401, 403}
_CODES = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
}


class RefusedError(GenError):
    """The provider does not take the app password."""


def token(http: Http, oidc: Oidc, app_password: Secret) -> Secret:
    """Return a token for the CA.

    Raises:
        RefusedError: the app password is wrong or has ended.
        UnreachableError: no answer in time.
        GenError: an answer that holds no token.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": oidc.client_id or "",
        "username": oidc.username or "",
        "password": app_password.reveal(),
        "scope": oidc.scope,
    }
    answer = http.send("POST", oidc.token_url, form=form)
    place = address(oidc.token_url)
    reason = _reason(answer)
    if reason == "invalid_client":
        raise GenError(
            f"{place}: does not know the client id {oidc.client_id}; see client_id in your profile"
        )
    if answer.status in _REFUSED:
        raise RefusedError(
            f"{place}: refuses the app password {app_password.tail()} of {oidc.username} ({reason or answer.status}); "
            "make a new one at the provider (an App Password, no Token)"
        )
    if answer.status != 200:
        raise GenError(
            f"{place}: answers {answer.status} instead of a token; is the address right?"
        )
    found = answer.data().get(oidc.token_field)
    if not isinstance(found, str) or not found:
        raise GenError(
            f"{place}: its answer holds no {oidc.token_field}; the token_field of the spec names another"
        )
    return Secret(found, place)


def _reason(answer: Answer) -> str | None:
    """Return the error code of a refusal (RFC 6749, section 5.2), if it is one; never what else an answer says."""
    try:
        code = answer.data().get("error")
    except GenError:
        return None
    return code if code in _CODES else None
