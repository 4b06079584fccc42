"""Compile the content of a spec and a profile: parse, validate, apply the changes, compile."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from generator.compiler.account import Account
from generator.loading import model_errors, overrides, validate, yaml_document
from generator.loading.inputs import File, Inputs
from generator.schema.profile import Profile, SiteProfile

if TYPE_CHECKING:
    from generator.compiler.result import Compilation


def build(inputs: Inputs) -> "Compilation":
    """Return the compilation of a site.

    The error lists every fault of spec, profile and options, one in each line.
    """
    # gen refresh and gen status read only an account: they need no emitter.
    from generator.compiler.compile import compilation

    user, changes = account(inputs)
    return compilation(user.site, user.profile, changes, inputs.project)


def account(
    inputs: Inputs, more_changes: Callable[[Any], list[overrides.SpecChange]] = lambda _: []
) -> tuple[Account, list[overrides.SpecChange]]:
    """Return the user's account at the site, and the changes that were applied to the spec.

    `more_changes` takes the data of the spec and returns further changes, which win over the
    others.
    """
    profile = parsed_profile(inputs.profile)
    document = yaml_document.parse(inputs.spec.content, str(inputs.spec.path))
    data = document.data()
    # Later changes win: the profile is nearer to the user than an earlier run, the option nearer
    # still, and a variable of a renewal the nearest.
    changes = [overrides.change(text) for text in inputs.recorded_changes]
    changes += _profile_changes(profile, str(data.get("site")))
    changes += [overrides.change(text) for text in inputs.changes]
    changes += more_changes(data)
    site = validate.spec(document, str(inputs.spec.path), changes)
    return Account(site, _site_profile(profile, site.site, inputs)), changes


def profile_values(inputs: Inputs, site: str) -> tuple[dict[str, str | bool], tuple[str, ...]]:
    """Return the values and the changes to the spec that the profile alone has for a site."""
    profile = parsed_profile(inputs.profile)
    changes = [str(change) for change in _profile_changes(profile, site)]
    return profile.at(site, {}).known(), tuple(changes)


def parsed_profile(file: File | None) -> Profile:
    """Return the profile in a file; one without values if there is no file."""
    # `gen init` writes a profile whose keys may all be comments.
    if file is None or yaml_document.has_no_values(file.content):
        return Profile.model_construct()  # its validator would take time to build
    document = yaml_document.parse(file.content, str(file.path))
    return validate.validated(Profile, document, str(file.path))


def _profile_changes(profile: Profile, site: str) -> list[overrides.SpecChange]:
    """Return the changes to a site's spec that the profile has under `sites.SITE.set`."""
    entry = profile.sites.get(site)
    if entry is None:
        return []
    return [
        overrides.SpecChange(tuple(key.split(".")), value, f"profile, sites.{site}.set.{key}")
        for key, value in entry.set.items()
    ]


def _site_profile(profile: Profile, site: str, inputs: Inputs) -> SiteProfile:
    try:
        return profile.at(site, inputs.options, inputs.recorded_values)
    except ValidationError as error:
        raise model_errors.refusal(error, lambda key: f"--{key.replace('_', '-')}") from None
