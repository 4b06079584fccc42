"""One look at a site's certificate, and what comes of it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from generator.errors import GenError
from generator.formatting import clock
from generator.renewal import notify
from generator.renewal.context import Held, Run, Wish, now, starting
from generator.renewal.credentials import rotation_due
from generator.renewal.deadline import Deadline
from generator.renewal.failures import PersonNeededError, UnreachableError
from generator.renewal.key_files import certificate
from generator.renewal.settings import Command, Settings
from generator.renewal.state import DAY, State, store
from generator.ssh.certificate import Certificate
from generator.workspace import writer

_QUIET = 60  # seconds after a failure in which no connection tries again
_CLOCKS = 300  # seconds that another clock may be ahead of this machine's


@dataclass(frozen=True)
class Outcome:
    """What came of a look; `certificate` is the one in place."""

    renewed: bool
    rotated: bool
    certificate: Certificate | None
    notes: tuple[str, ...] = ()


def refresh(settings: Settings, wish: Wish, environment: Mapping[str, str]) -> Outcome:
    """Renew the certificate if it is due, and rotate the credentials behind it if they are.

    Raises:
        GenError: what was due could not be done; what was there before still is.
    """
    run = starting(settings, wish, environment, store(settings.site))
    if wish.rotate and not run.authentik:
        raise GenError(f"{settings.site}: has no credentials that can be rotated")
    before, state = certificate(settings.certificate), run.store.read()
    with _recorded(run, run.store.lock(Deadline(0))):
        held = run.held()
        _tell_hook(run, before, held)
        if not _wanted(run, before, state, held):
            if state.result == "failed" and not wish.on_connect:
                _forget_failure(run)
            return Outcome(False, False, before, _warnings(run, held))
        if (
            wish.on_connect
            and state.result == "failed"
            and 0 <= now() - state.at < _QUIET
            and run.alone(held)
        ):
            raise _KnownError(state.message)
        with run.store.lock(run.deadline), _recorded(run, nullcontext()):
            return _locked(run, before, state)


def given_up(site: str, message: str) -> None:
    """Write down that a run is ended from outside. It takes no lock: the one that is stuck may hold it."""
    own, second = store(site), now()
    own.due(second + _QUIET)
    own.write(replace(own.read(), at=second, result="failed", message=message))


def pending(found: Certificate | None, settings: Settings, second: int) -> bool:
    """Tell whether a certificate is to be renewed: there is none, it ends soon, or it starts later than now."""
    return not found or second >= due(found, settings) or found.valid_after > second + _CLOCKS


def due(found: Certificate, settings: Settings) -> int:
    """Return the second from which a certificate is to be renewed."""
    way = settings.way
    return found.due(settings.skew, clamped=not (isinstance(way, Command) and way.each_connection))


def _locked(run: Run, before: Certificate | None, state: State) -> Outcome:
    """Do what is due, as it is now: another run may have done it meanwhile."""
    from generator.renewal import issue

    _clear(run)
    held, there, then = run.held(), certificate(run.settings.certificate), run.store.read()
    if now() < then.pause_until <= now() + DAY and not run.wish.force:
        raise _KnownError(f"the provider asked to be left alone until {clock(then.pause_until)}")
    renewed, notes = None, list[str]()
    if pending(there, run.settings, now()) or (run.wish.force and there == before):
        renewed, notes = issue.certificate(run, held, there)
        _tell_hook(run, renewed, held)
    _rotate(run, state)
    rotated = run.store.read().rotated != then.rotated
    if rotated and len(held.kept.identifiers()) < 2:
        notes.append(
            "the old credentials were put in by hand; take them away in the provider's settings"
        )
    if renewed or rotated:
        run.store.write(replace(run.store.read(), at=now(), result="renewed", message="", told=0))
    return Outcome(bool(renewed), rotated, renewed or there, (*notes, *_warnings(run, run.held())))


def _wanted(run: Run, found: Certificate | None, state: State, held: Held) -> bool:
    if run.wish.on_connect and found and found.is_valid(now()) and not run.alone(held):
        return False  # nothing can be done without a person, and nothing has to be yet
    if pending(found, run.settings, now()) or run.wish.force:
        return True
    return not run.wish.on_connect and (
        run.wish.rotate or _remains(run, state) or _rotation_due(run, held, state)
    )


def _rotation_due(run: Run, held: Held, state: State) -> bool:
    return bool(
        run.authentik
        and rotation_due(held.kept, run.authentik.skew_days * DAY, state.rotated, now())
        and held.api_token
    )


def _rotate(run: Run, state: State) -> None:
    """Rotate the credentials if they are due, or asked for and not rotated meanwhile; tidy up what another run left."""
    held, then = run.held(), run.store.read()
    if run.wish.on_connect or not run.authentik:
        return
    asked = run.wish.rotate and then.rotated == state.rotated
    wanted = asked or _rotation_due(run, held, then)
    if wanted and not held.api_token:
        raise GenError(
            f"{run.authentik.credentials_file}: holds no API token, and {run.settings.prefix}_AUTHENTIK_API_TOKEN is "
            "not set: without one nothing can be rotated"
        )
    if wanted or (then.leftovers and held.api_token):
        from generator.renewal import issue
        from generator.renewal.http import connected

        with connected(run.wish.bundle, run.deadline) as http:
            rotation = issue.rotation(run, http)
            rotation.tidy(held.kept, held.api_token)
            if wanted and held.api_token:
                ca = issue.authority(run)
                ca.bootstrap()
                ca.health()  # a CA that is down could not use the new credentials
                rotation.run(held.api_token, now())


def _warnings(run: Run, held: Held) -> tuple[str, ...]:
    """Return what will go wrong some day, and that nobody but the person can mend."""
    ends = held.kept.app_password.expires
    if (
        run.authentik
        and ends
        and ends - now() < run.authentik.skew_days * DAY
        and not held.api_token
    ):
        return (
            f"the app password ends at {clock(ends)}, and there is no API token to rotate it with",
        )
    return ()


def _tell_hook(run: Run, found: Certificate | None, held: Held) -> None:
    """Write down for ssh's hook from when to come here: where a person is needed, not before it has ended."""
    if found:
        run.store.due(due(found, run.settings) if run.alone(held) else found.end)


def _scratches(run: Run) -> list[Path]:
    """Return where a run that was killed may have left a file."""
    settings, authentik = run.settings, run.authentik
    files = [settings.certificate, settings.key, settings.copy]
    files += [authentik.credentials_file, authentik.app_password_file] if authentik else []
    return [path.with_name(settings.scratch) for path in files if path]


def _remains(run: Run, state: State) -> bool:
    return (
        bool(state.leftovers) or run.store.left() or any(path.exists() for path in _scratches(run))
    )


def _clear(run: Run) -> None:
    run.store.clean()
    for path in _scratches(run):
        with suppress(GenError):
            writer.remove(path)


class _KnownError(GenError):
    """A failure that is written down already."""


class _RecordedError(GenError):
    """A failure with which all is done."""


@contextmanager
def _recorded(run: Run, lock: AbstractContextManager[None]) -> Iterator[None]:
    """Write down a failure under a lock, if that can be had, and tell it to a person who is not looking."""
    try:
        yield
    except _RecordedError:
        raise
    except (GenError, OSError) as error:
        message = str(error)
        if isinstance(error, OSError):
            message = f"{error.filename or error.filename2 or 'disk'}: {(error.strerror or message).lower()}"
        message = (
            message
            if message.startswith(f"{run.settings.site}: ")
            else f"{run.settings.site}: {message}"
        )
        if not isinstance(error, _KnownError):
            with suppress(GenError), lock:
                _write_down(run, message, error.pause if isinstance(error, UnreachableError) else 0)
        if run.wish.on_connect and not isinstance(error, PersonNeededError):
            run.store.due(now() + _QUIET)
        raise _RecordedError(message) from None


def _forget_failure(run: Run) -> None:
    """Take back what somebody has mended; a run that is at work has its own to say."""
    with suppress(GenError), run.store.lock(Deadline(0)):
        run.store.write(replace(run.store.read(), at=0, result="", message="", told=0))


def _write_down(run: Run, message: str, pause: int) -> None:
    second, state = now(), run.store.read()
    told = state.told
    unseen = not run.wish.terminal and not run.wish.on_connect
    if unseen and not 0 <= second - told < notify.PERIOD and notify.failure(message):
        told = second
    run.store.write(
        replace(
            state,
            at=second,
            result="failed",
            message=message,
            told=told,
            pause_until=second + pause if pause else state.pause_until,
        )
    )
