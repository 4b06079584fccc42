"""A user's account at a site: the values that replace the placeholders of the site's spec."""

from typing import NamedTuple

from generator.schema.auth import AgentAuth, Auth, CommandCertificateAuth, StepAuth, WithKey
from generator.schema.placeholders import PROFILE_KEYS, expand, names
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec


class Account(NamedTuple):
    """A user at one site.

    An emitter passes every text of the spec through `fill` before it writes it.
    """

    site: SiteSpec
    profile: SiteProfile

    def values(self) -> dict[str, str | None]:
        """Return the value of each placeholder, or ``None`` if it is unknown."""
        profile = self.profile
        return {
            "user": profile.user,
            "initial": profile.user[:1].lower() if profile.user else None,
            "email": profile.email,
            "account": profile.account,
            "project": profile.allocation,
            "client_id": profile.client_id,
            "site": self.site.site,
        }

    def fill(self, text: str) -> str | None:
        """Return a text with its placeholders replaced, or ``None`` if a value is unknown."""
        return expand(text, self.values())

    @property
    def usual_alias(self) -> str:
        """The alias of the usual host; its placeholders stay where a value is unknown."""
        alias = self.site.usual_host.alias
        return self.fill(alias) or alias

    def missing(self, text: str) -> list[str]:
        """Return the names of the profile's keys that a text needs and that have no value."""
        values = self.values()
        missing: list[str] = []
        for name in names(text):
            key = PROFILE_KEYS.get(name, name)
            if name in values and values[name] is None and key not in missing:
                missing.append(key)
        return missing

    def key(self, auth: Auth) -> str | None:
        """Return the path of the private key, or ``None`` if the method has no key file.

        The profile's key replaces the site's usual key, but not a key that the spec has for another
        purpose (the key of an automation host).
        """
        if not isinstance(auth, WithKey):
            return None
        # A host with a login of its own often uses the site's key too.
        usual = self.site.auth.key if isinstance(self.site.auth, WithKey) else auth.key
        if self.profile.identity_file and auth.key == usual:
            return self.profile.identity_file
        return self.fill(auth.key)

    def agent_key(self, auth: Auth) -> str | None:
        """Return the public key whose private key is in the agent, if it is known.

        The profile's key replaces the site's usual key, as for a private key.
        """
        if not isinstance(auth, AgentAuth) or auth.certificate:
            return None
        if self.profile.identity_file and auth == self.site.auth:
            return self.profile.identity_file
        return self.fill(auth.key) if auth.key else None

    def key_in_home(self) -> str | None:
        """Return the path of the private key whose public half compute nodes look for in the home.

        ``None`` if no compute nodes do that, or the path is unknown.
        """
        for nodes in self.site.nodes_with_key_in_home():
            if key := self.key(self.site.auth_of(nodes)):
                return key
        return None

    def certificate(self, auth: Auth) -> str | None:
        """Return the path of the certificate: the path in the spec, else beside the key."""
        if isinstance(auth, CommandCertificateAuth) and auth.certificate:
            return self.fill(auth.certificate)
        if not isinstance(auth, StepAuth | CommandCertificateAuth):
            return None
        key = self.key(auth)
        # ssh itself looks for a certificate there (ssh_config(5), CertificateFile).
        return f"{key}-cert.pub" if key else None
