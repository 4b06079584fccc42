"""What a person does next, in the commands of the site's own way in."""

import shlex

from generator.compiler.account import Account
from generator.compiler.result import FirstLogin
from generator.schema.auth import (
    AgentAuth,
    Auth,
    CommandCertificateAuth,
    KerberosAuth,
    PublicKeyAuth,
    StepAuth,
)
from generator.schema.placeholders import expand


def first_login(account: Account) -> FirstLogin:
    """Return what leads to a login on the site's first host."""
    usual = account.site.usual_host
    auth = account.site.auth_of(usual.host)
    key = account.key(auth)
    own = auth if isinstance(auth, PublicKeyAuth) else None
    signed = isinstance(auth, CommandCertificateAuth) and not auth.makes_key
    return FirstLogin(
        alias=account.fill(usual.alias) or usual.alias,
        key=key,
        make_key=_words(
            "ssh-keygen", "-t", own.key_types[0] if own and own.key_types else "ed25519", "-f", key
        )
        if own or signed
        else None,
        submit=own.submit if own else None,
        max_keys=own.max_keys if own else None,
        credential=tuple(_credential(account, auth, key)),
    )


def _credential(account: Account, auth: Auth, key: str | None) -> list[str]:
    match auth:
        case StepAuth():
            authority = (
                "--context",
                auth.context,
                "--ca-url",
                auth.ca_url,
                "--fingerprint",
                auth.ca_fingerprint,
            )
            provisioner = ("--provisioner", auth.provisioner) if auth.provisioner else ()
            identity = _filled(account, auth.identity)
            # step makes the key pair too: never over one that a person has for other purposes.
            own = ("--force",) if key == account.fill(auth.key) else ()
            unlocked = ("--no-password", "--insecure", *own)
            return [
                _words("step", "ca", "bootstrap", *authority),
                _words("step", "ssh", "certificate", identity, key, *provisioner, *unlocked),
            ]
        case CommandCertificateAuth():
            return [_command(account, auth.command)] if auth.command else []
        case AgentAuth():
            return [_command(account, auth.fill)] if auth.fill else []
        case KerberosAuth():
            return [_words("kinit", _filled(account, auth.principal))]
        case _:
            return []


def _command(account: Account, words: tuple[str, ...]) -> str:
    return _words(*(_filled(account, word) for word in words))


def _filled(account: Account, text: str) -> str:
    """Return a text with its placeholders filled in, those of unknown values in capitals."""
    return (
        expand(text, {name: value or name.upper() for name, value in account.values().items()})
        or text
    )


def _words(*words: str | None) -> str:
    """Return a command to paste, each word quoted for the shell but for a ~ in front, which is the home folder."""
    parts = [word.removeprefix("~/") for word in words if word]
    homes = ["~/" if word.startswith("~/") else "" for word in words if word]
    return " ".join(home + shlex.quote(part) for home, part in zip(homes, parts, strict=True))
