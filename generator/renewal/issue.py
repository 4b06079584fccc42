"""A new certificate, by the way of the site: got, checked, and put in place of the old one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from generator.errors import GenError
from generator.formatting import clock, home
from generator.loading.inputs import profile_name
from generator.renewal import command, key_files, oidc
from generator.renewal.context import Held, Run, now
from generator.renewal.credentials import APP_PASSWORD
from generator.renewal.deadline import Deadline
from generator.renewal.failures import PersonNeededError
from generator.renewal.http import Http, connected
from generator.renewal.rotation import Rotation
from generator.renewal.secret import Secret
from generator.renewal.settings import Command, Oidc, Step
from generator.renewal.state import DAY
from generator.renewal.step import Authority
from generator.ssh.certificate import Certificate
from generator.workspace import writer

_AFTER_A_PERSON = 60  # seconds


def certificate(run: Run, held: Held, old: Certificate | None) -> tuple[Certificate, list[str]]:
    """Return the certificate that is now in place, and what a person should know of it.

    Raises:
        PersonNeededError: a person has to do it, and none is there.
        GenError: there is no new one; the old one is where it was.
    """
    way = run.settings.way
    if not run.alone(held) and not run.wish.terminal:
        raise PersonNeededError(_by_hand(run, old))
    _refuse_more(run)
    if isinstance(way, Step):
        with run.store.work() as work:
            return _by_step(run, way, held, old, work)
    if not way.words:
        raise PersonNeededError(_by_hand(run, old))
    with _counted(run, command.FailedError):
        return command.run(run.settings, way, run.sources, run.environment, run.deadline, now()), []


def _by_hand(run: Run, old: Certificate | None) -> str:
    """Say what a person has to do where none is there."""
    way = run.settings.way
    state = (
        "there is no certificate"
        if not old
        else f"the certificate ends at {clock(old.valid_before)}"
    )
    if old and old.valid_before <= now():
        state = f"the certificate ended at {clock(old.valid_before)}"
    if isinstance(way, Command) and not way.words:
        where = f"at {way.portal} " if way.portal else ""
        return f"{state}; get one {where}and put it at {run.settings.certificate}"
    hint = f"; alone it needs {' and '.join(missing)}" if (missing := _missing(run)) else ""
    return f"{state}; to get a new one, type in a terminal: gen refresh {run.settings.site}{hint}"


def _missing(run: Run) -> list[str]:
    """Return what would let a site that knows unattended renewal do without a person."""
    if not run.oidc:
        return []
    where = home(run.authentik.credentials_file) if run.authentik else "its environment"
    return [
        *([] if run.oidc.client_id else ["client_id in your profile"]),
        *([] if run.oidc.username else ["user in your profile"]),
        *([] if run.held().app_password else [f"{run.settings.prefix}_{APP_PASSWORD} in {where}"]),
    ]


def rotation(run: Run, http: Http) -> Rotation:
    """Return what the credentials are rotated with.

    Raises:
        GenError: the site has no such thing, or it is not known for whom.
    """
    if not run.oidc or not run.authentik:
        raise GenError(f"{run.settings.site}: has no credentials that can be rotated")
    if not run.oidc.client_id or not run.oidc.username:
        missing = "user" if run.oidc.client_id else "client_id"
        raise GenError(
            f"{run.settings.site}: your {missing} is not known, without which no new credential can be tried; "
            f"put it into {profile_name()}"
        )
    return Rotation(run.store, run.authentik, run.oidc, http, run.settings.scratch)


def authority(run: Run) -> Authority:
    """Return the CA of the run's site."""
    if not isinstance(run.settings.way, Step):
        raise GenError(f"{run.settings.site}: has no CA that step knows")
    bundle = {"SSL_CERT_FILE": str(run.wish.bundle)} if run.wish.bundle else {}
    return Authority(run.settings.way, {**run.environment, **bundle}, run.deadline)


def _by_step(
    run: Run, step: Step, held: Held, old: Certificate | None, work: Path
) -> tuple[Certificate, list[str]]:
    if not step.identity:
        raise GenError(
            f"{run.settings.site}: your email is not known; put it into {profile_name()}"
        )
    line = key_files.public_key(run.settings, work, run.environment, run.deadline)
    public = work / "key.pub"
    writer.make(public, line, 0o600)
    ca = authority(run)
    ca.bootstrap()
    if run.oidc and run.alone(held):
        token = _token(run, run.oidc, held)
        with _counted(run, GenError):
            new = ca.sign(public, token)
    else:
        with _counted(run, GenError):
            new = ca.sign_with_a_person(public)
        ca = replace(
            ca, deadline=Deadline(_AFTER_A_PERSON)
        )  # who may have taken all the time that there was
    found = key_files.check(new, line, old, run.settings.user, now(), run.environment)
    notes = _trusted(ca, found, old)
    if run.settings.user and run.settings.user not in found.principals:
        notes.append(
            f"ssh logs in as {run.settings.user}, the certificate names {', '.join(found.principals)}"
        )
    key_files.place(run.settings, new)
    return found, notes


def _token(run: Run, endpoint: Oidc, held: Held) -> Secret:
    """Return a token for the CA; a new app password is made where the old one has ended, if that can be done."""
    with connected(run.wish.bundle, run.deadline) as http:
        if held.app_password:
            try:
                return oidc.token(http, endpoint, held.app_password)
            except oidc.RefusedError as error:
                if not run.authentik:
                    raise
                if run.wish.on_connect or not held.api_token:
                    raise GenError(
                        f"{error} and put it into {home(run.authentik.credentials_file)}"
                    ) from None
        if run.wish.on_connect or not held.api_token:
            raise GenError(
                f"{run.settings.site}: there is no app password yet; gen refresh {run.settings.site} makes one"
            )
        authority(run).health()
        new = rotation(run, http).run(held.api_token, now()).app_password.secret
        if not new:
            raise GenError(f"{run.settings.site}: rotation made no app password")
        return oidc.token(http, endpoint, new)


def _trusted(ca: Authority, new: Certificate, old: Certificate | None) -> list[str]:
    """Compare the key that signed with those that the CA says it signs with, where it is not the one as before.

    Raises:
        GenError: it is none of them.
    """
    if old and old.authority == new.authority:
        return []
    try:
        known = ca.roots()
    except GenError as error:
        return [
            f"the CA does not tell its keys ({error}); {new.authority} signed, and was not compared"
        ]
    if new.authority not in known:
        raise GenError(
            f"the new certificate is signed by {new.authority}, which is no key of the CA; the old one stays"
        )
    return (
        [f"certificates are now signed by {new.authority}, until now by {old.authority}"]
        if old
        else []
    )


def _recent(run: Run) -> tuple[int, ...]:
    return tuple(second for second in run.store.read().issued if 0 <= now() - second < DAY)


def _refuse_more(run: Run) -> None:
    recent = _recent(run)
    if run.settings.most and len(recent) >= run.settings.most:
        raise GenError(
            f"{run.settings.site}: issued {len(recent)} certificates in the last day, and gives no more; "
            f"the next one at {clock(min(recent) + DAY)}"
        )


@contextmanager
def _counted(run: Run, failed: type[GenError]) -> Iterator[None]:
    """Write down that a certificate is issued, before it is: a run that is killed has used one up."""
    run.store.write(replace(run.store.read(), issued=(*_recent(run), now())))
    try:
        yield
    except failed:
        with suppress(GenError):
            state = run.store.read()
            run.store.write(replace(state, issued=state.issued[:-1]))
        raise
