"""One run of `gen refresh`: do the work that is due under the lock, and record the result."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from generator.clock import Deadline, now
from generator.errors import GenError, reason
from generator.formatting import clock, span
from generator.renewal import agent_key, certificate_file, notify, pair_names
from generator.renewal.context import HeldSecrets, RefreshOptions, Run, new_run
from generator.renewal.credentials import rotation_due
from generator.renewal.failures import PassingError, UnreachableError
from generator.renewal.result import RefreshResult
from generator.renewal.secret_bindings import NotAgreedError, secret_bindings
from generator.renewal.settings import DAY, Settings
from generator.renewal.state import State, store
from generator.schema.auth import StepAuth
from generator.ssh.certificate import Certificate
from generator.workspace import writer

# Seconds after a try before a connection in which no other connection tries again.
_QUIET = 60
# Without a valid certificate a connection would be refused. This is for those that start together.
_QUIET_WITHOUT_CERTIFICATE = 5


class _RecordedError(Exception):
    """Wraps a failure that the state file has already."""

    def __init__(self, error: GenError) -> None:
        super().__init__(str(error))
        self.error = error


class _RepeatedError(GenError):
    """A failure of an earlier run, which this run only reports again."""


def refresh(
    settings: Settings, options: RefreshOptions, environment: Mapping[str, str]
) -> RefreshResult:
    """Renew the certificate if it is due, and rotate the credentials behind it if they are.

    After a failure everything is as it was, and the state has the message for `gen status`.

    Raises:
        NotAgreedError: the user has to agree to the use of a secret first.
    """
    run = new_run(settings, options, environment, store(settings.site))
    if options.rotate and not settings.authentik:
        raise GenError(f"{settings.site}: has no credentials that can be rotated")
    if options.device and not isinstance(settings.auth, StepAuth):
        raise GenError(
            f"{settings.site}: --device is for sites that log in with step; "
            f"run: gen refresh {settings.words}"
        )
    before = _certificate(run)
    try:
        state = run.store.read()
        secrets = run.secrets()
        _write_due(run, before, secrets, state)
        if not _needs_work(run, before, state, secrets):
            is_failed = state.result == "failed" or bool(state.rotation_failure)
            if is_failed and not options.on_connect:
                _forget_failure(run)
            reminder = _reminder(run, before, secrets, state)
            return RefreshResult(False, False, before, _warnings(run, secrets), reminder)
        if run.is_unattended(secrets):
            _repeat_failure(run, state)
            _hold_connections_back(run)
        with run.store.lock(run.deadline, options.waiting):
            return _locked(run, before, state)
    except _RecordedError as recorded:
        raise recorded.error from None
    # An OSError is one of the disk: a full one, or a home directory that is read-only.
    except (GenError, OSError) as error:
        message = _message(run, error)
        # Another run that holds the lock has a result of its own to write.
        with suppress(GenError), run.store.lock(Deadline(0)):
            _record_failure(run, error, message)
        _hold_connections_back(run)
        if isinstance(error, NotAgreedError):
            raise
        raise _with_message(error, message) from None


def agree(settings: Settings, secret: str) -> None:
    """Record that the user lets a site use a secret."""
    secret_bindings(settings, store(settings.site).directory, tuple).agree(secret)


def _locked(run: Run, before: Certificate | None, state: State) -> RefreshResult:
    """Do the work under the lock, and record a failure before the next run gets the lock."""
    try:
        return _renew_and_rotate(run, before, state)
    except NotAgreedError:
        raise  # the caller records it
    except (GenError, OSError) as error:
        message = _message(run, error)
        with suppress(GenError):
            _record_failure(run, error, message)
        _hold_connections_back(run)
        raise _RecordedError(_with_message(error, message)) from None


def _renew_and_rotate(run: Run, before: Certificate | None, state: State) -> RefreshResult:
    # A valid certificate must not cost the import of an HTTP client.
    from generator.renewal import issue

    _clean(run)
    # Another run may have done the work while this one waited for the lock.
    secrets = run.secrets()
    current = _certificate(run)
    latest = run.store.read()
    if run.is_unattended(secrets):
        _repeat_failure(run, latest)
    _check_pause(run, latest)
    renewed = None
    notes: list[str] = []
    # A forced run that waited for another run has got its new certificate already.
    is_forced = run.options.force and current == before
    if is_forced or certificate_file.is_due(current, run.settings, now()):
        renewed, notes = issue.certificate(run, secrets, current)
    _write_due(run, renewed or current, secrets, latest)
    # The renewal comes first: it must not wait for a provider whose API fails.
    failure = _try_to_rotate(run, state)
    if failure:
        notes.append(f"the credentials were not rotated: {failure}; the next run tries again")
    rotated = run.store.read().rotated != latest.rotated
    if rotated and len(secrets.credentials.identifiers()) < 2:
        notes.append(
            "gen does not know the identifiers of the old credentials; delete them in the "
            "provider's settings"
        )
    if rotated and _of_another_folder(run, secrets):
        notes.append(
            f"{run.settings.credentials_file} was a copy from another machine; it has credentials "
            "of its own now, and the old ones stay for the other machine"
        )
    _record_success(run, is_renewal=bool(renewed or rotated), rotation_failure=failure)
    warnings = _warnings(run, run.secrets())
    return RefreshResult(bool(renewed), rotated, renewed or current, (*notes, *warnings))


def _certificate(run: Run) -> Certificate | None:
    """Return the certificate in place, unless the key behind it is gone with an agent."""
    is_for_user = run.options.on_connect or run.options.terminal
    return agent_key.certificate(run.settings, run.environment, is_for_user=is_for_user)


def _check_pause(run: Run, state: State) -> None:
    """Respect the provider's Retry-After; one beyond a day is of a clock that was wrong."""
    if run.options.force:
        return
    if now() < state.pause_until <= now() + DAY:
        raise _RepeatedError(_pause(run, state.pause_until))


def _needs_work(run: Run, current: Certificate | None, state: State, secrets: HeldSecrets) -> bool:
    if run.options.on_connect:
        is_valid = current is not None and current.is_valid(now())
        if is_valid and not run.is_unattended(secrets):
            return False  # only the user can renew it, and the connection works without
        return run.options.force or certificate_file.is_due(current, run.settings, now())
    if (
        run.options.force
        or run.options.rotate
        or certificate_file.is_due(current, run.settings, now())
    ):
        return True
    return _has_leftovers(run, state) or _rotation_is_due(run, secrets, state)


def _repeat_failure(run: Run, state: State) -> None:
    """Fail at once if another connection failed to renew just now, which may have taken long.

    Several connections may start at once. A failure of the timer does not count: since then the
    network may have come back.
    """
    if not run.options.on_connect or state.result != "failed":
        return
    quiet = _QUIET if _connection_works(run) else _QUIET_WITHOUT_CERTIFICATE
    if 0 <= now() - state.failed_on_connect < quiet:
        raise _RepeatedError(state.message)


def _rotation_is_due(run: Run, secrets: HeldSecrets, state: State) -> bool:
    settings = run.settings
    if not settings.authentik:
        return False
    if _of_another_folder(run, secrets):
        return secrets.api_token is not None
    if not rotation_due(secrets.credentials, settings.rotation_skew, state.rotated, now()):
        return False
    return secrets.api_token is not None


def _of_another_folder(run: Run, secrets: HeldSecrets) -> bool:
    """Return whether the credentials file is a copy of one that another machine rotates.

    That machine deletes the pair at its next rotation, so this one needs its own before.
    """
    path = run.settings.credentials_file
    identifiers = secrets.credentials.identifiers()
    return bool(path and identifiers and pair_names.of_other_folders(identifiers, path.parent))


def _try_to_rotate(run: Run, before: State) -> str:
    """Rotate the credentials if that is due, and return the message of a failure that can wait.

    In the last week of the credentials a failure cannot wait: the user has to look.
    """
    try:
        _rotate(run, before)
    except NotAgreedError:
        raise
    except GenError as error:
        credentials = run.secrets().credentials
        ends = [credentials.app_password.expires, credentials.api_token.expires]
        first_end = min((end for end in ends if end is not None), default=None)
        is_urgent = first_end is not None and first_end - now() < 7 * DAY
        if run.options.rotate or is_urgent:
            raise
        return str(error).removeprefix(f"{run.settings.site}: ")
    return ""


def _rotate(run: Run, before: State) -> None:
    """Rotate the credentials if that is due or requested, and finish an interrupted rotation."""
    settings = run.settings
    if run.options.on_connect or not settings.authentik:
        return
    secrets = run.secrets()
    state = run.store.read()
    is_requested = run.options.rotate and state.rotated == before.rotated
    is_wanted = is_requested or _rotation_is_due(run, secrets, state)
    api_token = secrets.api_token
    if not api_token:
        if is_wanted:
            raise GenError(
                f"{settings.credentials_file}: has no API token, and "
                f"{settings.prefix}_AUTHENTIK_API_TOKEN is not set; rotation needs one"
            )
        return
    if not is_wanted and not state.known_tokens:
        return
    from generator.renewal import issue
    from generator.renewal.http import connected

    with connected(run.options.bundle, run.deadline, run.options.report) as http:
        rotation = issue.rotation(run, http)
        rotation.finish(secrets.credentials, api_token)
        if is_wanted:
            ca = issue.authority(run)
            ca.bootstrap()
            # If the CA is down, the new credentials could not be used.
            ca.health()
            rotation.run(api_token, now())


def _warnings(run: Run, secrets: HeldSecrets) -> tuple[str, ...]:
    """Return warnings of a failure to come that only the user can prevent."""
    expires = secrets.credentials.app_password.expires
    if not run.settings.authentik or not expires:
        return ()
    if expires - now() >= run.settings.rotation_skew or secrets.api_token:
        return ()
    return (
        f"the app password expires at {clock(expires)}, and there is no API token "
        "to rotate it with",
    )


def _write_due(run: Run, current: Certificate | None, secrets: HeldSecrets, state: State) -> None:
    """Write the second from which ssh runs gen.

    If only the user can renew, gen reminds the user once, and then not before the certificate ends.
    """
    if not current:
        return
    second = current.end
    if run.is_unattended(secrets):
        second = certificate_file.due_time(current, run.settings)
    elif state.reminded_of != current.end:
        second = certificate_file.reminder_time(current)
    run.store.write_due(second, run.settings.certificate)


def _reminder(
    run: Run, current: Certificate | None, secrets: HeldSecrets, state: State
) -> str | None:
    """Return a reminder for a connection that works with a certificate that soon expires."""
    if not run.options.on_connect or not current or run.is_unattended(secrets):
        return None
    second = now()
    if state.reminded_of == current.end or second < certificate_file.reminder_time(current):
        return None
    # Without the record there would be a line at every connection.
    with suppress(GenError), run.store.lock(Deadline(0)):
        state = replace(run.store.read(), reminded_of=current.end)
        run.store.write(state)
        _write_due(run, current, secrets, state)
        site = run.settings.site
        return (
            f"{site}: the certificate expires at {clock(current.valid_before)} "
            f"({span(current.end - second)}), and only you can renew it: "
            f"gen refresh {run.settings.words}"
        )
    return None


def _scratch_files(run: Run) -> list[Path]:
    """Return the files that a killed run may have left."""
    settings = run.settings
    targets = (
        settings.certificate,
        settings.key,
        settings.certificate_copy,
        settings.credentials_file,
        settings.app_password_file,
    )
    return [path.with_name(settings.scratch_name) for path in targets if path]


def _has_leftovers(run: Run, state: State) -> bool:
    """Return whether a killed run left files, or tokens at the provider."""
    # Tokens of an interrupted rotation are valid until they are deleted.
    if state.known_tokens or run.store.has_work_directory():
        return True
    return any(path.exists() for path in _scratch_files(run))


def _clean(run: Run) -> None:
    run.store.clean()
    for path in _scratch_files(run):
        with suppress(GenError):
            writer.remove(path)


def _message(run: Run, error: GenError | OSError) -> str:
    """Return the message of a failure, which begins with the name of the site."""
    message = str(error)
    if isinstance(error, OSError):
        message = f"{error.filename or error.filename2 or 'disk'}: {reason(error)}"
    prefix = f"{run.settings.site}: "
    if not message.startswith(prefix):
        message = f"{prefix}{message}"
    if not isinstance(error, UnreachableError):
        return message
    if not error.pause:
        return f"{message}; the next run tries again"
    return f"{message}; {_pause(run, now() + error.pause)}"


def _pause(run: Run, end: int) -> str:
    """Return until when the provider asked gen to wait, and how to try at once."""
    return (
        f"the provider asked gen not to come back before {clock(end)}; "
        f"to try now, run: gen refresh {run.settings.words} --force"
    )


def _with_message(error: GenError | OSError, message: str) -> GenError:
    """Return an error with its message for the user, which still says whether it may pass."""
    if isinstance(error, UnreachableError):
        return UnreachableError(message, error.pause)
    return PassingError(message) if isinstance(error, PassingError) else GenError(message)


def _hold_connections_back(run: Run) -> None:
    """Let ssh not ask again for some time: the renewal may take long, and goes on without it.

    Without a valid certificate ssh asks each time, so that it uses the new one or prints the error.
    """
    if run.options.on_connect and _connection_works(run):
        run.store.write_due(now() + _QUIET, run.settings.certificate)


def _connection_works(run: Run) -> bool:
    """Return whether the certificate is valid, so that ssh can connect with it."""
    current = _certificate(run)
    return current is not None and current.is_valid(now())


def _record_failure(run: Run, error: GenError | OSError, message: str) -> None:
    """Record a failure under the lock, and notify a user who does not watch."""
    if isinstance(error, _RepeatedError):
        return
    second = now()
    state = run.store.read()
    notified = state.notified
    if _must_notify(run, error, second - notified) and notify.failure(message):
        notified = second
    failed_on_connect = state.failed_on_connect
    if run.options.on_connect:
        failed_on_connect = second
    pause_until = state.pause_until
    if isinstance(error, UnreachableError) and error.pause:
        pause_until = second + error.pause
    run.store.write(
        replace(
            state,
            finished=second,
            result="failed",
            message=message,
            failed_on_connect=failed_on_connect,
            notified=notified,
            pause_until=pause_until,
        )
    )


def _must_notify(run: Run, error: GenError | OSError, since: int) -> bool:
    """Return whether to notify the user of a failure, `since` seconds after the last time."""
    if run.options.terminal or run.options.on_connect or 0 <= since < notify.PERIOD:
        return False
    # A laptop that wakes has no network for some seconds, and gen tries again.
    return not (isinstance(error, PassingError) and _connection_works(run))


def _record_success(run: Run, *, is_renewal: bool, rotation_failure: str) -> None:
    state = run.store.read()
    if is_renewal:
        # A forced run shows that the provider answers again.
        state = replace(state, pause_until=0, failed_on_connect=0)
        state = replace(state, finished=now(), result="renewed", message="", notified=0)
    # A run before a connection does not rotate, so it knows nothing new of that.
    if not run.options.on_connect:
        state = replace(state, rotation_failure=rotation_failure)
    run.store.write(state)


def _forget_failure(run: Run) -> None:
    """Forget a failure that the user has fixed.

    Another run that holds the lock will write a result of its own.
    """
    with suppress(GenError), run.store.lock(Deadline(0)):
        state = run.store.read()
        state = replace(state, rotation_failure="")
        if state.result == "failed":
            state = replace(state, finished=0, result="", message="", notified=0)
        run.store.write(state)
