"""Rotation of the credentials: create, test and store new ones, then delete the old ones.

At every moment the credentials file holds a set that works. The identifiers of new tokens are
written into the state before the first of them is created. This run, or the next one, deletes
every token that the file does not name.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from generator.errors import GenError
from generator.renewal import credentials, oidc, pair_names
from generator.renewal.authentik import Api, ForbiddenError
from generator.renewal.credentials import Credential, Credentials
from generator.renewal.failures import UnreachableError
from generator.renewal.http import Http
from generator.renewal.secret import Secret
from generator.renewal.settings import DAY, Settings
from generator.renewal.state import Store
from generator.schema.auth import Authentik


@dataclass(frozen=True)
class Rotation:
    """The values that the rotation of one site's credentials needs."""

    store: Store
    settings: Settings
    authentik: Authentik
    credentials_file: Path
    http: Http

    @property
    def directory(self) -> Path:
        """The directory of the credentials file."""
        return self.credentials_file.parent

    def run(self, api_token: Secret, second: int) -> Credentials:
        """Rotate both credentials and return the new ones; after a failure the old ones work."""
        # The user may have been at the browser for longer than the lock counts.
        self.store.keep_lock()
        previous = credentials.read(self.credentials_file)
        api = Api(self.http, self.authentik.api_base, api_token)
        try:
            user = api.user()
        except ForbiddenError as error:
            raise self._explained(error, api_token) from None
        app_name, api_name = pair_names.new_identifiers(
            self.authentik.identifier, self.directory, second
        )
        # Before the first request: a run that is killed after it must not leave an unknown token.
        self._remember_tokens(*sorted(previous.identifiers()), app_name, api_name)
        expires = second + self.authentik.expires_days * DAY
        try:
            app_password = api.create(app_name, "app_password", user, expires)
            new_api_token = api.create(api_name, "api", user, expires)
            # Only credentials that work may replace those in the file.
            self._test(app_password, new_api_token)
            created = Credentials(app_password, new_api_token)
            credentials.save(self.credentials_file, created, self.settings.scratch_name)
        except GenError:
            self._delete_unused(previous, api_token)
            raise
        self.store.write(replace(self.store.read(), rotated=second))
        self.finish(created, new_api_token.secret)
        return created

    def finish(self, in_use: Credentials, api_token: Secret | None) -> None:
        """Write the second file, and delete every known token that is not in use.

        If the second file cannot be written, the old app password stays, since the file may still
        have it. A token that cannot be deleted is tried again in the next run.
        """
        if self.store.read().known_tokens:
            self.store.keep_lock()
            self._write_app_password(in_use)
            self._delete_unused(in_use, api_token)

    def _remember_tokens(self, *identifiers: str) -> None:
        state = self.store.read()
        known_tokens = tuple(dict.fromkeys([*state.known_tokens, *identifiers]))
        self.store.write(replace(state, known_tokens=known_tokens))

    def _delete_unused(self, in_use: Credentials, api_token: Secret | None) -> None:
        state = self.store.read()
        unused = [name for name in state.known_tokens if name not in in_use.identifiers()]
        # A copied file names the pair of another machine, which goes on using it.
        for name in pair_names.of_other_folders(unused, self.directory):
            unused.remove(name)
        if api_token and unused:
            unused = _delete(Api(self.http, self.authentik.api_base, api_token), unused)
        self.store.write(replace(state, known_tokens=tuple(unused)))

    def _test(self, app_password: Credential, api_token: Credential) -> None:
        """Use each of the new credentials once for its purpose."""
        if app_password.secret and api_token.secret:
            oidc.token(self.http, self.settings, app_password.secret)
            Api(self.http, self.authentik.api_base, api_token.secret).user()

    def _write_app_password(self, in_use: Credentials) -> None:
        """Write the app password into the second file, if the spec names one."""
        # Without an identifier, gen did not create it: the user pasted it, and knows its copies.
        path = self.settings.app_password_file
        secret = in_use.app_password.secret
        if path and secret and in_use.app_password.identifier:
            credentials.write_secret_file(path, f"{secret.reveal()}\n", self.settings.scratch_name)

    def _explained(self, error: ForbiddenError, api_token: Secret) -> GenError:
        """Return the error with its likely cause.

        Only an App Password opens the token endpoint, so gen tries that, if the endpoint is the
        same provider's.
        """
        cause = "it has expired, another machine has rotated it, or it is an App Password"
        token_url = self.settings.oidc.token_url if self.settings.oidc else ""
        if urlsplit(token_url).netloc == urlsplit(self.authentik.api_base).netloc:
            try:
                oidc.token(self.http, self.settings, api_token)
                cause = "it is an App Password"
            except GenError:
                pass
        return GenError(
            f"{error}: {cause}; create a Token (intent API) in authentik's user settings "
            "and store that one"
        )


def _delete(api: Api, identifiers: list[str]) -> list[str]:
    """Delete tokens, and return those that remain."""
    remaining = list(identifiers)
    for identifier in identifiers:
        try:
            api.delete(identifier)
        except UnreachableError:
            break  # the others would take as long to fail
        except GenError:
            continue
        remaining.remove(identifier)
    return remaining
