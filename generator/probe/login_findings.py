"""Say why ssh could not open a session at a site."""

from collections.abc import Sequence

from generator.compiler.account import Account
from generator.compiler.first_steps import name_key
from generator.probe.finding import Kind, ProbeFinding
from generator.probe.host_key_differences import pinned_keys
from generator.probe.session import Session
from generator.schema.auth import (
    AgentAuth,
    Auth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
    SmartCardAuth,
    UnstatedAuth,
)

_KEY_REFUSED = (
    "does the site have your public key, and not for another user? "
    "A key with a passphrase must be in the agent"
)
_KEY_ACCEPTED = "the site accepted the key, but not what came after it"
_NO_KEY = "see the site's documentation for the login"
_TOO_MANY_KEYS = "too many authentication failures"
_LONGEST_OUTPUT = 200


def needs_user(auth: Auth) -> bool:
    """Return whether a login asks the user to type or to confirm something."""
    if isinstance(auth, KeyboardAuth | UnstatedAuth):
        return True
    if isinstance(auth, SmartCardAuth):
        return True  # it asks for the PIN
    return isinstance(auth, PublicKeyAuth | KerberosAuth) and bool(auth.then)


def login_finding(
    account: Account,
    auth: Auth,
    session: Session,
    earlier: Sequence[ProbeFinding],
    *,
    site_arguments: str,
    has_terminal: bool,
) -> ProbeFinding | None:
    """Return why there is no answer from the site; ``None`` if an earlier finding says it.

    `site_arguments` name the site on a command line.
    """
    alias = account.site.usual_host.alias
    key = f"hosts.{alias}"
    if session.is_untrusted:
        return _untrusted(account, alias, session, earlier)
    # The login worked and the script did not run: a restricted shell, or a forced command.
    if session.is_authenticated:
        output = session.output.strip()[:_LONGEST_OUTPUT] or session.last_message
        action = "ask the site whether it allows that"
        return ProbeFinding(Kind.ANSWER, key, "a session that may run commands", output, action)
    if session.has_too_many_failures:
        action = _too_many_keys(account, auth, site_arguments)
        return ProbeFinding(Kind.LOGIN, "auth", _login(account, auth), _TOO_MANY_KEYS, action)
    is_refused = session.accepted_methods is not None
    if needs_user(auth) and not has_terminal and (is_refused or session.is_half_authenticated):
        return ProbeFinding(
            Kind.PERSON,
            "auth",
            _login(account, auth),
            "asks for something to type or to confirm",
            f"run it in a terminal; or log in first (ssh {alias}): gen uses the open connection",
        )
    if is_refused:
        methods = session.accepted_methods or "nothing"
        action = _refusal_action(account, auth, session)
        return ProbeFinding(
            Kind.LOGIN, "auth", _login(account, auth), f"refused; it accepts {methods}", action
        )
    action = f"ssh -v {alias} says more"
    return ProbeFinding(Kind.CONNECTION, key, "an ssh session", session.last_message, action)


def _untrusted(
    account: Account, alias: str, session: Session, earlier: Sequence[ProbeFinding]
) -> ProbeFinding | None:
    # ssh-keyscan has seen the same key before, and its finding has more to say.
    kinds = {finding.kind for finding in earlier}
    if kinds & {Kind.HOST_KEY, Kind.HOST_CERTIFICATE}:
        return None
    spec = "no pin, and no known_hosts has it"
    if pinned_keys(account.site, alias):
        spec = "its pins"
    reference = account.site.docs or "its own documentation"
    return ProbeFinding(
        Kind.HOST_KEY,
        f"hosts.{alias}",
        spec,
        f"offers {session.host_key or 'another key'}",
        f"compare it with the one that the site publishes: {reference}",
    )


def _too_many_keys(account: Account, auth: Auth, site_arguments: str) -> str:
    is_any_key = isinstance(auth, AgentAuth) and not auth.certificate
    if is_any_key and not account.agent_key(auth):
        return f"ssh offers every key of your agent; name the right one: {name_key(site_arguments)}"
    return "ssh offers too many keys; see those of your agent: ssh-add -l"


def _refusal_action(account: Account, auth: Auth, session: Session) -> str:
    if session.is_half_authenticated:
        return _KEY_ACCEPTED
    if account.key(auth):
        return _KEY_REFUSED
    return _NO_KEY


def _login(account: Account, auth: Auth) -> str:
    """Describe a login: its method, the user and the key."""
    user = account.profile.user or "your user name on this machine"
    key = account.key(auth) or account.agent_key(auth)
    words = [auth.method, "as", user]
    if key:
        words += ["with", key]
    return " ".join(words)
