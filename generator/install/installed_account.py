"""The account of an installed site: the recorded spec with the recorded changes and profile."""

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from generator import paths
from generator.compiler.account import Account
from generator.compiler.digests import digest
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.loading import catalogue, model_errors, overrides, validate, yaml_document
from generator.loading.inputs import Choice
from generator.schema.profile import SiteProfile

if TYPE_CHECKING:
    from generator.workspace.lock import Lock


def installed_account(home: Path, site_lock: "Lock") -> Account:
    """Return the account with which a site was installed, from its record alone."""
    copy = home / paths.installed_spec_copy(site_lock.site)
    refuse_others(copy)
    with os_errors_named(copy):
        content = read_regular(copy)
    if digest(content) != site_lock.inputs.spec.sha256:
        raise GenError(
            f"{copy}: is not the spec that was installed; "
            f"run gen install {site_lock.site}, then try again"
        )
    document = yaml_document.parse(content, str(copy))
    changes = [overrides.change(text) for text in site_lock.inputs.overrides]
    return Account(validate.spec(document, str(copy), changes), _installed_profile(home, site_lock))


def installed_choice(choice: Choice) -> Choice:
    """Return a choice with the values of the installation, if the user names an installed site.

    A path of a spec, or `--specs`, names a spec that is not the installed one.
    """
    if choice.specs or catalogue.installed_copy(choice.site) is None:
        return choice
    # A check of a site that is not installed, as by a prompt of the shell, needs no record.
    from generator.install import record
    from generator.workspace.recorded_inputs import as_recorded

    site_lock = record.installed_lock(Path.home(), choice.site)
    if site_lock is None:
        return choice
    _installed_profile(Path.home(), site_lock)  # an error names the record, and not an option
    return as_recorded(choice, site_lock.inputs)


def _installed_profile(home: Path, site_lock: "Lock") -> SiteProfile:
    """Return the profile with which a site was installed."""
    name = home / paths.installed_lock(site_lock.site)
    try:
        return SiteProfile.model_validate(dict(site_lock.inputs.profile))
    # Another program may have written the record.
    except ValidationError as error:
        raise model_errors.refusal(error, lambda key: f"{name}: inputs.profile.{key}") from None
