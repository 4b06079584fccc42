"""`gen refresh SITE`: renew the certificate if it is due, and report the result."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from time import sleep

from generator.cli import refresh_on_connect
from generator.cli.output import agreed, say, say_waiting
from generator.cli.refresh_check import print_result
from generator.clock import now
from generator.errors import GenError
from generator.install.installed_account import installed_choice
from generator.loading.inputs import Choice, refuse_spec_of_checkout
from generator.renewal import agent_key, renew, settings
from generator.renewal.context import RefreshOptions, secret_names
from generator.renewal.failures import PassingError, UnreachableError
from generator.renewal.result import RefreshResult
from generator.renewal.secret import keep_memory_private
from generator.renewal.secret_bindings import NotAgreedError
from generator.renewal.settings import Settings
from generator.ssh.client import QUESTION_VARIABLE

_FIRST_PAUSE = 30  # seconds
_LONGEST_PAUSE = 120  # seconds; a network that is back is noticed within two minutes


def run(
    choice: Choice, options: RefreshOptions, *, retry: bool, verbose: bool, as_json: bool
) -> int:
    """Renew the certificate of a site if it is due; after a failure the old one is in place."""
    keep_memory_private()
    if options.on_connect:
        if os.environ.get(QUESTION_VARIABLE):  # gen asks ssh for settings, and nothing connects
            return 0
        # GEN_DEVICE may be set for the shell from which ssh was started.
        alone = replace(options, device=False)
        return refresh_on_connect.run(
            choice.site, lambda report_valid: _before_connection(choice, alone, report_valid)
        )
    terminal = sys.stdin.isatty() and sys.stderr.isatty()
    if options.device and not terminal:
        raise GenError(
            f"{choice.site}: --device needs a terminal; run in one: "
            f"gen refresh {choice.words} --device"
        )
    options = replace(options, terminal=terminal, offer_device=_offer_device, waiting=say_waiting)
    if verbose:
        options = replace(options, report=say)
    environment = dict(os.environ)
    if retry:
        site_settings, result = _keep_trying(choice, options, environment)
    else:
        site_settings, result = _refresh(choice, options, environment)
    print_result(site_settings, result, as_json)
    return 0


def _keep_trying(
    choice: Choice, options: RefreshOptions, environment: Mapping[str, str]
) -> tuple[Settings, RefreshResult]:
    """Renew the certificate, and try again while the failure may pass without the user.

    It ends as well if a connection or the user has renewed the certificate since.
    """
    import random

    pause = _FIRST_PAUSE
    message = ""
    while True:
        requested = 0
        try:
            return _refresh(choice, options, environment)
        except PassingError as error:
            if isinstance(error, UnreachableError):
                requested = error.pause
            # The next look of the timer comes before a longer wait that the provider asked for.
            if requested > _LONGEST_PAUSE:
                raise
            if str(error) != message:
                message = str(error)
                say(message)
        # The random part keeps machines that failed together from coming back together.
        sleep(max(pause * random.uniform(0.75, 1), requested + 1))  # noqa: S311 - not a secret
        pause = min(2 * pause, _LONGEST_PAUSE)


def _before_connection(
    choice: Choice, options: RefreshOptions, report_valid: Callable[[], None]
) -> str | None:
    """Renew the certificate of a site, and report first if the connection works without.

    Returns a line for the user, if there is one.
    """
    environment = dict(os.environ)
    site_settings = _settings(choice, environment)
    current = agent_key.certificate(site_settings, environment, is_for_user=True)
    if current and current.is_valid(now()):
        report_valid()
    options = _with_earlier_secrets(options, site_settings.site)
    return renew.refresh(site_settings, options, environment).reminder


def _refresh(
    choice: Choice, options: RefreshOptions, environment: Mapping[str, str]
) -> tuple[Settings, RefreshResult]:
    site_settings = _settings(choice, environment)
    site = site_settings.site
    options = _with_earlier_secrets(options, site)
    while True:
        try:
            return site_settings, renew.refresh(site_settings, options, environment)
        except NotAgreedError as error:
            if not options.terminal:
                raise
            say(str(error))
            if not agreed(error.question):
                raise GenError(f"{site}: gen did not use {error.secret}") from None
            renew.agree(site_settings, error.secret)


def _offer_device() -> bool:
    """Offer a login on another device, if no browser can open on this machine."""
    if _can_open_browser(os.environ):
        return False
    return agreed("No browser can open here. Log in with a browser on another device?")


def _can_open_browser(environment: Mapping[str, str]) -> bool:
    """Return whether a browser that step opens appears before the user."""
    # Over ssh it would open on the other machine's screen, or in text mode.
    if environment.get("SSH_CONNECTION"):
        return False
    # macOS, and Windows below WSL, have no variable for their screen.
    if sys.platform == "darwin" or environment.get("WSL_DISTRO_NAME"):
        return True
    return any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _settings(choice: Choice, environment: Mapping[str, str]) -> Settings:
    """Return the settings of a site, and keep its secrets from the programs that gen starts."""
    refuse_spec_of_checkout(choice, "run what it names", "gen refresh {spec}")
    try:
        site_settings = settings.read(installed_choice(choice), environment)
    except GenError as error:
        # An error of the profile names its file alone, and a log has the errors of several sites.
        if choice.site in str(error):
            raise
        raise GenError(f"{choice.site}: {error}") from None
    for name in secret_names(site_settings):
        os.environ.pop(name, None)  # libraries start programs too
    return site_settings


def _with_earlier_secrets(options: RefreshOptions, site: str) -> RefreshOptions:
    return replace(options, earlier_secrets=lambda: _earlier_secrets(site))


def _earlier_secrets(site: str) -> list[Path] | None:
    """Return the secrets that existed before a site was installed; ``None`` if unknown."""
    from generator.install import record

    home = Path.home()
    earlier = record.home_record(home).earlier_secrets.get(site)
    if earlier is None:
        return None
    return [home / path for path in earlier]
