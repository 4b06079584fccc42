"""Who is generating: what a person owns, by site where it differs."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from generator.schema.base import Model
from generator.schema.text_types import FILLED, Email, KeyPath, Label, LocalPath, Slug, UserName


class Person(Model):
    """What a person owns at a site. What is not known is left out of the artifacts, never invented."""

    user: Annotated[UserName, FILLED] | None = None
    """User name at the site."""
    email: Annotated[Email, FILLED] | None = None
    """E-mail address, as a certificate authority knows it."""
    identity_file: Annotated[LocalPath, FILLED] | None = None
    """Private key, when not the site's slot `~/.ssh/id_SITE`."""
    account: Label | None = None
    """Account (project, allocation) that jobs are charged to."""
    project: Label | None = None
    """Project that is part of names and paths at the site."""
    client_id: Label | None = None
    """Id of your OIDC client."""
    home: Annotated[LocalPath, FILLED, Field(pattern="^/")] | None = None
    """Your home folder on the machine that reads the `.env` file, where `~` would not mean the same to every reader."""
    multiplexing: bool = True
    """Share one connection between sessions, where the site allows it."""
    renew_on_connect: bool = True
    """Let ssh renew a certificate that is due before it connects, where the site allows it."""
    accept_unverified: bool = False
    """Pin host keys that the spec has from weak sources only; set it after you compared them yourself."""


class SitePerson(Person):
    """What differs at one site."""

    set: Mapping[KeyPath, Any] = {}
    """Changes to the site's spec, as with `--set`: `slurm.partition: zen4_0768`."""


class Profile(Person):
    """A whole profile: values for every site, and those that differ at one."""

    sites: Mapping[Slug, SitePerson] = {}
    """What differs, by site."""


def person(profile: Profile, site: str, options: Mapping[str, str | bool | None]) -> Person:
    """Return what is known at a site: options first, then the profile's entry for the site, then its top.

    Raises:
        ValidationError: an option does not have the form of its field.
    """
    own = profile.sites.get(site)
    values = profile.model_dump(exclude={"sites"}, exclude_unset=True)
    values |= own.model_dump(exclude={"set"}, exclude_unset=True) if own else {}
    return Person.model_validate(
        values | {key: value for key, value in options.items() if value is not None}
    )
