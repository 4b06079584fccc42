"""Request a new certificate by the site's method, check it, and put it in place of the old one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from generator.clock import Deadline, now
from generator.errors import GenError
from generator.formatting import clock, count, home, listed, printable
from generator.loading.inputs import profile_name
from generator.renewal import agent_key, certificate_file, command, key_files, oidc
from generator.renewal.context import HeldSecrets, Run
from generator.renewal.credentials import APP_PASSWORD
from generator.renewal.failures import PersonNeededError
from generator.renewal.http import Http, connected
from generator.renewal.rotation import Rotation
from generator.renewal.secret import Secret
from generator.renewal.settings import DAY
from generator.renewal.step import Authority, NothingIssuedError
from generator.schema.auth import CommandCertificateAuth, StepAuth
from generator.ssh.certificate import Certificate
from generator.workspace import writer

_AFTER_BROWSER_LIMIT = 60  # seconds
_ISSUED_KEPT = 50


def certificate(
    run: Run, secrets: HeldSecrets, previous: Certificate | None
) -> tuple[Certificate, list[str]]:
    """Put a new certificate in place, and return it with the notes for the user.

    After a failure the old one is in place.

    Raises:
        PersonNeededError: only the user can renew it, which needs a terminal.
    """
    auth = run.settings.auth
    if not run.is_unattended(secrets) and not run.options.terminal:
        raise PersonNeededError(_by_hand(run, secrets, previous))
    # Before anything that the site or the user would notice.
    _check_quota(run)
    if isinstance(auth, StepAuth):
        with run.store.work_directory() as work:
            return _by_step(run, auth, secrets, previous, work)
    if not auth.command:
        raise PersonNeededError(_by_hand(run, secrets, previous))
    with _counted(run, command.FailedError):
        renewed = command.renew(run, auth)
    return renewed, certificate_file.clock_notes(renewed, now())


def _by_hand(run: Run, secrets: HeldSecrets, previous: Certificate | None) -> str:
    """Return the message for a renewal that only the user can do."""
    settings = run.settings
    if not previous:
        status = "there is no certificate"
    elif previous.valid_before <= now():
        status = f"the certificate expired at {clock(previous.valid_before)}"
    else:
        status = f"the certificate expires at {clock(previous.valid_before)}"
    auth = settings.auth
    if isinstance(auth, CommandCertificateAuth) and not auth.command:
        source = f"at {auth.portal} " if auth.portal else ""
        key = settings.key
        first = ""
        if not auth.makes_key and not key.exists() and not Path(f"{key}.pub").exists():
            first = f"make its key with ssh-keygen -t ed25519 -f {home(key)}, then "
        return f"{status}; {first}get one {source}and save it as {settings.certificate}"
    hint = ""
    missing = _missing_for_unattended(run, secrets)
    if missing:
        hint = f"; unattended renewal needs {' and '.join(missing)}"
    return f"{status}; to get a new one, run in a terminal: gen refresh {settings.words}{hint}"


def _missing_for_unattended(run: Run, secrets: HeldSecrets) -> list[str]:
    """Return the values without which a site that could renew unattended does not."""
    settings = run.settings
    if not settings.oidc:
        return []
    missing = []
    if not settings.client_id:
        missing.append("client_id in your profile")
    if not settings.username:
        missing.append("user in your profile")
    if not secrets.app_password:
        source = "its environment"
        if settings.credentials_file:
            source = home(settings.credentials_file)
        missing.append(f"{settings.prefix}_{APP_PASSWORD} in {source}")
    return missing


def rotation(run: Run, http: Http) -> Rotation:
    """Return the rotation of the site's credentials."""
    settings = run.settings
    if not settings.oidc or not settings.authentik or not settings.credentials_file:
        raise GenError(f"{settings.site}: has no credentials that can be rotated")
    if not settings.client_id or not settings.username:
        missing = "client_id"
        if settings.client_id:
            missing = "user"
        raise GenError(
            f"{settings.site}: your {missing} is not known, and gen needs it to test a new "
            f"credential; add it to {profile_name()}"
        )
    for path in (settings.credentials_file, settings.app_password_file):
        if path:
            run.bindings.check(path)
    return Rotation(run.store, settings, settings.authentik, settings.credentials_file, http)


def authority(run: Run) -> Authority:
    """Return the CA of the site."""
    auth = run.settings.auth
    if not isinstance(auth, StepAuth):
        raise GenError(
            f"{run.settings.site}: logs in with {auth.method}; only the method step has a CA"
        )
    environment = dict(run.environment)
    # Go, in which step is written, reads the variable (crypto/x509), as OpenSSL does.
    if run.options.bundle:
        environment["SSL_CERT_FILE"] = str(run.options.bundle)
    return Authority(run.settings, auth, environment, run.deadline, run.options.report)


def _by_step(
    run: Run, auth: StepAuth, secrets: HeldSecrets, previous: Certificate | None, work: Path
) -> tuple[Certificate, list[str]]:
    settings = run.settings
    if not settings.identity:
        raise GenError(f"{settings.site}: your email is not known; add it to {profile_name()}")
    # step writes the certificate beside the key, and has no option for another path.
    public_key = work / "key.pub"
    if settings.key_in_agent:
        public_key_line = agent_key.new_key(settings, work / "key", run.environment, run.deadline)
    else:
        public_key_line = key_files.public_key(settings, work, run.environment, run.deadline)
        writer.write_file(public_key, public_key_line, 0o600)
    ca = authority(run)
    ca.bootstrap()
    if auth.oidc and run.is_unattended(secrets) and not run.options.device:
        token = _token(run, secrets)
        with _counted(run, NothingIssuedError):
            path = ca.sign(public_key, token)
    else:
        device = run.options.device or run.options.offer_device()
        with _counted(run, NothingIssuedError):
            path = ca.sign_in_browser(public_key, device=device)
        # The user may have taken all the time of the run.
        ca = replace(ca, deadline=Deadline(_AFTER_BROWSER_LIMIT))
    renewed = key_files.check(
        path, public_key_line, previous, settings.user, now(), run.environment
    )
    notes = certificate_file.clock_notes(renewed, now())
    notes += _check_signer(ca, renewed, previous)
    if settings.user and settings.user not in renewed.principals:
        notes.append(
            f"ssh logs in as {settings.user}, "
            f"but the certificate is for {_names(renewed.principals)}"
        )
    if settings.key_in_agent:
        agent_key.add(settings, work / "key", renewed, run.environment, ca.deadline)
    key_files.put_in_place(settings, path)
    return renewed, notes


def _names(principals: Sequence[str]) -> str:
    """Return the user names of a certificate for a message: the CA may put any text there."""
    return ", ".join(printable(name) for name in principals)


def _token(run: Run, secrets: HeldSecrets) -> Secret:
    """Return a token for the CA; an API token can replace an expired app password first."""
    settings = run.settings
    with connected(run.options.bundle, run.deadline, run.options.report) as http:
        if secrets.app_password:
            try:
                return oidc.token(http, settings, secrets.app_password)
            except oidc.RefusedError as error:
                if not settings.credentials_file:
                    raise
                if not secrets.api_token:
                    raise GenError(
                        f"{error} and store it in {home(settings.credentials_file)}"
                    ) from None
        if not secrets.api_token:
            raise GenError(f"{settings.site}: has neither an app password nor an API token")
        # If the CA is down, a new app password would not help, and a rotation would be wasted.
        authority(run).health()
        app_password = rotation(run, http).run(secrets.api_token, now()).app_password.secret
        if not app_password:
            raise GenError(f"{settings.site}: rotation created no app password")
        return oidc.token(http, settings, app_password)


def _check_signer(ca: Authority, renewed: Certificate, previous: Certificate | None) -> list[str]:
    """Refuse a certificate that none of the CA's keys signed.

    The key that signed the old certificate is trusted already, so gen need not ask the CA.
    """
    if previous and previous.authority == renewed.authority:
        return []
    try:
        signing_keys = ca.signing_keys()
    except GenError as error:
        return [
            f"the CA did not list its keys ({error}); "
            f"gen could not compare {renewed.authority}, which signed"
        ]
    if renewed.authority not in signing_keys:
        raise GenError(
            f"the new certificate is signed by {renewed.authority}, which is not a key of the CA; "
            "the old certificate stays"
        )
    if previous:
        return [
            f"certificates are now signed by {renewed.authority}, until now by {previous.authority}"
        ]
    return []


def _check_quota(run: Run) -> None:
    """Refuse a request beyond the site's quota: CSCS, for example, issues five a day.

    A time in the future counts too. The clock was set back since: the site still counts what it
    issued, and a computer without a battery for its clock starts in the past.
    """
    quota = run.settings.auth.max_per_day
    if not quota:
        return
    current = now()
    issued = []
    for second, name in run.store.issued_by(run.settings.centre):
        if second > current - DAY:
            issued.append((second, name))
    if len(issued) < quota:
        return
    site = run.settings.site
    sites = sorted({name for _, name in issued})
    centre = site if sites == [site] else f"{run.settings.centre} ({listed(sites)})"
    number = count(len(issued), "certificate")
    # The oldest one that has to leave the day before another one may be requested.
    oldest = issued[-quota][0]
    if oldest > current:
        raise GenError(
            f"{centre}: issued {number}, its limit for a day, by a clock "
            f"that was ahead of this machine's clock now ({clock(current)}); if the clock is right "
            f"now, run: rm {run.store.path}"
        )
    raise GenError(
        f"{centre}: issued {number} in the last day, "
        f"its limit; the next one is possible at {clock(oldest + DAY)}"
    )


@contextmanager
def _counted(run: Run, not_issued: type[GenError]) -> Iterator[None]:
    """Count a certificate before it is requested, since a killed run may have got one.

    The error `not_issued` removes it again. After any other, the site may have issued one.
    """
    # A site counts what it issued, whatever became of the run that asked for it. The number limits
    # the list, and not the time: a clock that is ahead for an hour must not delete it.
    state = run.store.read()
    most = max(run.settings.auth.max_per_day or 0, _ISSUED_KEPT)
    issued = (*state.issued, now())[-most:]
    run.store.write(replace(state, issued=issued, centre=run.settings.centre))
    try:
        yield
    except not_issued:
        with suppress(GenError):
            state = run.store.read()
            run.store.write(replace(state, issued=state.issued[:-1]))
        raise
