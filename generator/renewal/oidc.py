"""The token for the CA: OAuth2 client credentials as authentik grants them, for an app password."""

from generator.errors import GenError
from generator.renewal.http import Answer, Http, address
from generator.renewal.secret import Secret
from generator.renewal.settings import Settings

_REFUSED = {400, 401, 403}
# RFC 6749, section 5.2
_ERROR_CODES = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
}


class RefusedError(GenError):
    """The provider does not accept the app password."""


def token(http: Http, settings: Settings, app_password: Secret) -> Secret:
    """Return a token for the CA.

    Raises:
        RefusedError: the app password is wrong or has expired.
        UnreachableError: no answer came in time.
    """
    oidc = settings.oidc
    if not oidc:
        raise GenError(f"{settings.site}: the spec has no auth.oidc, which a token needs")
    form = {
        "grant_type": "client_credentials",
        "client_id": settings.client_id or "",
        "username": settings.username or "",
        "password": app_password.reveal(),
        "scope": oidc.scope,
    }
    answer = http.send("POST", oidc.token_url, form=form)
    endpoint = address(oidc.token_url)
    # A wrong client id is a 400 too, and no new app password would help.
    code = _error_code(answer)
    if code == "invalid_client":
        raise GenError(
            f"{endpoint}: does not know the client id {settings.client_id}; "
            "fix client_id in your profile"
        )
    if answer.status in _REFUSED:
        raise RefusedError(
            f"{endpoint}: refuses the app password {app_password.tail()} of {settings.username} "
            f"({code or answer.status}): it has expired, another machine has rotated it, or it is "
            "another user's; create a new App Password (not a Token) at the provider"
        )
    if answer.status != 200:
        raise GenError(
            f"{endpoint}: answers {answer.status} instead of a token; "
            "check auth.oidc.token_url in the spec"
        )
    value = answer.data().get(oidc.token_field)
    if not isinstance(value, str) or not value:
        raise GenError(
            f"{endpoint}: its answer has no {oidc.token_field}; "
            "check auth.oidc.token_field in the spec"
        )
    return Secret(value, endpoint)


def _error_code(answer: Answer) -> str | None:
    """Return the error code of a refusal; nothing else of an answer is shown."""
    try:
        code = answer.data().get("error")
    except GenError:
        return None
    # A list or an object cannot be looked up in a set.
    if isinstance(code, str) and code in _ERROR_CODES:
        return code
    return None
