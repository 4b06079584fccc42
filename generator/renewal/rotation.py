"""New credentials for old: made, proven, written, and only then are the old ones taken away.

At every moment the credentials file holds a set that works. Which tokens there may be besides is written down before
the first of them is made; whatever the file does not name is taken away by this run, or by the next one.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from generator.errors import GenError
from generator.renewal import credentials, oidc
from generator.renewal.authentik import Api, ForbiddenError, Issued
from generator.renewal.credentials import Credential, Kept
from generator.renewal.failures import UnreachableError
from generator.renewal.http import Http
from generator.renewal.secret import Secret
from generator.renewal.settings import Authentik, Oidc
from generator.renewal.state import DAY, State, Store


@dataclass(frozen=True)
class Rotation:
    """What the credentials of one site are rotated with."""

    store: Store
    authentik: Authentik
    oidc: Oidc
    http: Http
    scratch: str

    def run(self, api_token: Secret, now: int) -> Kept:
        """Rotate both credentials, and return the new ones.

        Raises:
            GenError: the old ones are still what the file holds, and work as before.
        """
        old = credentials.kept(self.authentik.credentials_file)
        api = Api(self.http, self.authentik.api_base, api_token)
        try:
            user = api.user()
        except ForbiddenError as error:
            raise self._explained(error, api_token) from None
        suffix = f"{datetime.fromtimestamp(now, UTC):%Y%m%d%H%M%S}-{secrets.token_hex(3)}"
        names = {kind: f"{self.authentik.identifier}-{kind}-{suffix}" for kind in ("app", "api")}
        self._remember(lambda state: replace(state, leftovers=_union(state, old, *names.values())))
        expires = now + self.authentik.expires_days * DAY
        try:
            app_password = api.create(names["app"], "app_password", user, expires)
            token = api.create(names["api"], "api", user, expires)
            self._prove(app_password, token)
            new = Kept(_credential(app_password), _credential(token))
            credentials.save(self.authentik.credentials_file, new, self.scratch)
        except GenError:
            self._take_away(old, api_token)
            raise
        self._remember(lambda state: replace(state, rotated=now))
        self.tidy(new, token.secret)
        return new

    def tidy(self, in_use: Kept, api_token: Secret | None) -> None:
        """Finish what was begun: write the second file, and take away every token that is written down but not in use.

        What cannot be taken away now is tried again in the next run.

        Raises:
            GenError: the second file cannot be written: the old app password lasts until it is.
        """
        if self.store.read().leftovers:
            self._output(in_use)
            self._take_away(in_use, api_token)

    def _take_away(self, in_use: Kept, api_token: Secret | None) -> None:
        rest = [name for name in self.store.read().leftovers if name not in in_use.identifiers()]
        if api_token and rest:
            rest = _deleted(Api(self.http, self.authentik.api_base, api_token), rest)
        self._remember(lambda state: replace(state, leftovers=tuple(rest)))

    def _prove(self, app_password: Issued, token: Issued) -> None:
        """Use each of the new credentials once for what it is for."""
        oidc.token(self.http, self.oidc, app_password.secret)
        Api(self.http, self.authentik.api_base, token.secret).user()

    def _output(self, new: Kept) -> None:
        """Write the app password to the second file that people may have asked for."""
        path, secret = self.authentik.app_password_file, new.app_password.secret
        if path and secret and new.app_password.identifier:
            credentials.write(path, f"{secret.reveal()}\n", self.scratch)

    def _remember(self, change: Callable[[State], State]) -> None:
        self.store.write(change(self.store.read()))

    def _explained(self, error: ForbiddenError, api_token: Secret) -> GenError:
        """Say what kind of secret it is, where the provider itself tells: the other kind opens the token endpoint."""
        mistaken = False
        if urlsplit(self.oidc.token_url).netloc == urlsplit(self.authentik.api_base).netloc:
            try:
                oidc.token(self.http, self.oidc, api_token)
                mistaken = True
            except GenError:
                pass
        what = "it is an App Password" if mistaken else "it has ended, or is an App Password"
        return GenError(
            f"{error}: {what}; in authentik's user settings make a Token (intent API) and use that one"
        )


def _deleted(api: Api, identifiers: list[str]) -> list[str]:
    """Take tokens away, and return those that are left: all the rest, where the provider does not answer."""
    left = list(identifiers)
    for identifier in identifiers:
        try:
            api.delete(identifier)
        except UnreachableError:
            break
        except GenError:
            continue
        left.remove(identifier)
    return left


def _credential(issued: Issued) -> Credential:
    return Credential(issued.secret, issued.identifier, issued.expires)


def _union(state: State, old: Kept, *new: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*state.leftovers, *sorted(old.identifiers()), *new]))
