"""Bytes that people wrote → what comes of them: validated, merged, compiled."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from generator import document, load, overlay, profile
from generator.account import Account
from generator.compilation import Compilation
from generator.compile import compilation
from generator.inputs import File, Inputs
from generator.profile import Person, Profile


def build(inputs: Inputs) -> Compilation:
    """Return the compilation of a site for a person.

    Raises:
        GenError: every fault of spec, profile and options, a line each.
    """
    own, changes = account(inputs)
    return compilation(own.site, own.person, changes, inputs.project)


def account(
    inputs: Inputs, further: Callable[[Any], list[overlay.Change]] = lambda _: []
) -> tuple[Account, list[overlay.Change]]:
    """Return the person at the site, and the changes that went into its spec; `further` gives more, from its data.

    Raises:
        GenError: every fault of spec, profile and options, a line each.
    """
    known = _profile(inputs.profile)
    root = document.parse(inputs.spec.content, str(inputs.spec.path))
    data = root.data()
    changes = [
        *_kept(known, str(data.get("site"))),
        *(overlay.change(text) for text in inputs.changes),
        *further(data),
    ]
    site = load.spec(root, str(inputs.spec.path), changes)
    return Account(site, _person(known, site.site, inputs.options)), changes


def _profile(file: File | None) -> Profile:
    if file is None or not re.sub(rb"(?m)^\s*(#.*)?$", b"", file.content).strip():
        return Profile()  # nothing in it, or all of it commented out
    return load.validated(Profile, document.parse(file.content, str(file.path)), str(file.path))


def _kept(known: Profile, site: str) -> list[overlay.Change]:
    """Return the changes to a site's spec that the profile holds."""
    own = known.sites.get(site)
    return [
        overlay.Change(tuple(key.split(".")), value, f"profile, sites.{site}.set.{key}")
        for key, value in (own.set if own else {}).items()
    ]


def _person(known: Profile, site: str, options: Mapping[str, str | bool | None]) -> Person:
    try:
        return profile.person(known, site, options)
    except ValidationError as error:
        raise load.refusal(error, lambda key: f"--{key.replace('_', '-')}") from None
