"""A person at a site: what the placeholders of the site's spec stand for."""

from dataclasses import dataclass
from typing import TypeVar

from generator.schema.auth import Auth, CommandCertificateAuth, StepAuth, WithKey
from generator.schema.base import Fact
from generator.schema.placeholders import expand, filled, names
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

A = TypeVar("A", bound=Fact)


@dataclass(frozen=True)
class Account:
    """A person at one site. Every text of the spec that an emitter writes passes through `fill`."""

    site: SiteSpec
    profile: SiteProfile

    def values(self) -> dict[str, str | None]:
        """Return what each placeholder stands for; ``None`` where that is not known."""
        profile = self.profile
        return {
            "user": profile.user,
            "initial": profile.user[:1].lower() if profile.user else None,
            "email": profile.email,
            "account": profile.account,
            "project": profile.project,
            "client_id": profile.client_id,
            "site": self.site.site,
        }

    def fill(self, text: str) -> str | None:
        """Return a text of the spec with its placeholders filled in, or ``None`` while a value is not known."""
        return expand(text, self.values())

    def missing(self, text: str) -> list[str]:
        """Return the names of the person's values that a text needs and that are not known."""
        values = self.values()
        unknown = [name for name in names(text) if name in values and values[name] is None]
        return list(dict.fromkeys("user" if name == "initial" else name for name in unknown))

    def key(self, auth: Auth) -> str | None:
        """Return the path of the private key, if this way in has one in a file.

        The profile's key replaces the site's usual one; a key that the spec has for another purpose (a robot's) stays.
        """
        if not isinstance(auth, WithKey):
            return None
        usual = self.site.auth.key if isinstance(self.site.auth, WithKey) else auth.key
        return (self.profile.identity_file if auth.key == usual else None) or self.fill(auth.key)

    def resolved(self, auth: A) -> A:
        """Return an auth model with its placeholders filled in and its key as `key` returns it.

        A text that needs an unknown value keeps its placeholders: pass it to `missing` for the names of the values.
        """
        resolved = filled(auth, self.fill)
        if not isinstance(auth, WithKey):
            return resolved
        return resolved.model_copy(update={"key": self.key(auth) or auth.key})

    def certificate(self, auth: Auth) -> str | None:
        """Return the path of the certificate: beside the key, as step writes it, unless the spec knows better."""
        if isinstance(auth, CommandCertificateAuth) and auth.certificate:
            return self.fill(auth.certificate)
        key = self.key(auth)
        return (
            f"{key}-cert.pub"
            if key and isinstance(auth, StepAuth | CommandCertificateAuth)
            else None
        )
