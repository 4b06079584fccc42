"""The profile: the values of the user for whom gen compiles a site."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from generator.schema.base import Model, Several
from generator.schema.text_types import (
    FILLED,
    Argument,
    Email,
    KeyPath,
    Label,
    LocalPath,
    Program,
    Slug,
    UserName,
)

# Values of one machine, which no generated file has, so that no lock has them either.
_OF_THE_MACHINE = {"command_directory", "step_binary", "extra_step_args"}


class SiteProfile(Model):
    """A user's values at one site.

    A setting that needs an unknown value is left out of the artifacts.
    """

    user: Annotated[UserName, FILLED] | None = None
    """User name at the site."""
    email: Annotated[Email, FILLED] | None = None
    """E-mail address at the certificate authority."""
    identity_file: Annotated[LocalPath, FILLED] | None = None
    """Private key, if it is not `~/.ssh/id_SITE`."""
    account: Label | None = None
    """Account (project, allocation) that pays for jobs."""
    allocation: Label | None = None
    """Project or allocation in names and paths at the site: `{project}` in a spec."""
    client_id: Label | None = None
    """Client id for OIDC."""
    # systemd's EnvironmentFile= and docker's --env-file leave a tilde as it is.
    home: Annotated[LocalPath, FILLED, Field(pattern="^/")] | None = None
    """Home directory of the machine that reads the `.env` file; not every reader expands `~`."""
    # A user can only turn it off: a site that forbids it decides for all its users.
    multiplexing: bool = True
    """Share one connection between sessions, if the site allows it."""
    renew_on_connect: bool = True
    """Let ssh renew a certificate before it connects, if renewal is due and the site allows it."""
    key_in_agent: bool = False
    """Keep the key of a certificate from step in the ssh agent alone, a new one for each."""
    command_directory: Annotated[LocalPath, FILLED] | None = None
    """Directory in which the centre's own command runs, and is looked for first."""
    pkcs11_provider: Annotated[LocalPath, FILLED] | None = None
    """PKCS#11 library of your smart card, which ssh loads (`opensc-pkcs11.so`)."""
    step_binary: Annotated[Program, FILLED] = "step"
    """The `step` command, if it has another name (`step-cli`) or is not on the PATH."""
    extra_step_args: Several[Annotated[Argument, FILLED]] = ()
    """Further arguments of `step ssh certificate`."""
    accept_unverified: bool = False
    """Pin host keys that have only weak sources too; set it after you compared them yourself."""

    def known(self) -> dict[str, str | bool]:
        """Return the values that the user has given and that are not the default."""
        values: dict[str, str | bool] = {}
        for name, field in SiteProfile.model_fields.items():
            value = getattr(self, name)
            if name in _OF_THE_MACHINE:
                continue
            # Defaults stay out of the lock, so a new default of gen changes no lock.
            if value is not None and value != field.default:
                values[name] = value
        return values


class SiteEntry(SiteProfile):
    """The values that differ at one site, as a profile has them under `sites.SITE`."""

    set: Mapping[KeyPath, Any] = {}
    """Changes to the spec of the site, as with `--set`: `slurm.partition: zen4_0768`."""


class Profile(SiteProfile):
    """A user's profile: the values for every site, and those that differ at one site."""

    sites: Mapping[Slug, SiteEntry] = {}
    """Values that differ, by site."""

    def at(
        self,
        site: str,
        options: Mapping[str, str | bool | None],
        recorded: Mapping[str, str | bool] = MappingProxyType({}),
    ) -> SiteProfile:
        """Return the user's values at a site.

        An option wins over the entry of the site, the entry over the values for every site, and
        these over a value that an earlier run recorded.

        Raises:
            ValidationError: an option does not have the form of its field.
        """
        values: dict[str, Any] = dict(recorded)
        values |= _values_set(self)
        if entry := self.sites.get(site):
            values |= _values_set(entry)
        for name, option in options.items():
            if option is not None:
                values[name] = option
        # Without a value there is nothing to validate, and a validator takes time to build.
        return SiteProfile.model_validate(values) if values else SiteProfile.model_construct()


def _values_set(profile: SiteProfile) -> dict[str, Any]:
    return {
        name: getattr(profile, name)
        for name in SiteProfile.model_fields
        if name in profile.model_fields_set
    }
