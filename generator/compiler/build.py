"""Bytes that people wrote → what comes of them: validated, merged, compiled."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from generator.compiler.account import Account
from generator.compiler.compile import compilation
from generator.compiler.result import Compilation
from generator.loading import overrides, validate, yaml_document
from generator.loading.inputs import File, Inputs
from generator.schema.profile import Profile, SiteProfile


def build(inputs: Inputs) -> Compilation:
    """Return the compilation of a site for a person.

    Raises:
        GenError: every fault of spec, profile and options, a line each.
    """
    own, changes = account(inputs)
    return compilation(own.site, own.profile, changes, inputs.project)


def account(
    inputs: Inputs, further: Callable[[Any], list[overrides.Change]] = lambda _: []
) -> tuple[Account, list[overrides.Change]]:
    """Return the person at the site, and the changes that went into its spec; `further` gives more, from its data.

    Raises:
        GenError: every fault of spec, profile and options, a line each.
    """
    known = _profile(inputs.profile)
    root = yaml_document.parse(inputs.spec.content, str(inputs.spec.path))
    data = root.data()
    changes = [
        *_kept(known, str(data.get("site"))),
        *(overrides.change(text) for text in inputs.changes),
        *further(data),
    ]
    site = validate.spec(root, str(inputs.spec.path), changes)
    return Account(site, _site_profile(known, site.site, inputs.options)), changes


def _profile(file: File | None) -> Profile:
    if file is None or not re.sub(rb"(?m)^\s*(#.*)?$", b"", file.content).strip():
        return Profile()  # nothing in it, or all of it commented out
    return validate.validated(
        Profile, yaml_document.parse(file.content, str(file.path)), str(file.path)
    )


def _kept(known: Profile, site: str) -> list[overrides.Change]:
    """Return the changes to a site's spec that the profile holds."""
    own = known.sites.get(site)
    return [
        overrides.Change(tuple(key.split(".")), value, f"profile, sites.{site}.set.{key}")
        for key, value in (own.set if own else {}).items()
    ]


def _site_profile(
    known: Profile, site: str, options: Mapping[str, str | bool | None]
) -> SiteProfile:
    try:
        return known.at(site, options)
    except ValidationError as error:
        raise validate.refusal(error, lambda key: f"--{key.replace('_', '-')}") from None
