"""The commands before the first login on a site, for each authentication method."""

from collections.abc import Iterator

from generator.compiler.account import Account
from generator.compiler.renewal_schedule import renewable_auth
from generator.compiler.result import FirstLogin
from generator.formatting import command_line
from generator.schema.auth import (
    AgentAuth,
    Auth,
    CommandCertificateAuth,
    KerberosAuth,
    PublicKeyAuth,
)
from generator.schema.placeholders import expand
from generator.schema.site import SiteSpec

_DEFAULT_KEY_TYPE = "ed25519"
_RSA_SIZE = ("-b", "3072")  # bits, as Mila's page recommends


def first_login(account: Account) -> FirstLogin:
    """Return the commands that lead to a login on the site's usual host."""
    usual = account.site.usual_host
    auth = account.site.auth_of(usual.host)
    key = account.key(auth)
    submit, max_keys, lifetime = None, None, None
    if isinstance(auth, PublicKeyAuth):
        submit, max_keys, lifetime = auth.submit, auth.max_keys, auth.lifetime
    return FirstLogin(
        alias=account.usual_alias,
        key=key,
        make_key=_keygen_command(auth, key),
        submit=submit,
        max_keys=max_keys,
        lifetime=lifetime,
        credential=tuple(_credential_commands(account, auth)),
        make_rsa_key=_rsa_keygen_command(auth, key),
        nodes_with_key_in_home=tuple(_nodes_with_key_in_home(account.site)),
    )


def _keygen_command(auth: Auth, key: str | None) -> str | None:
    """Return the command that makes the key pair, if the user must make one."""
    key_type: str = _DEFAULT_KEY_TYPE
    match auth:
        case PublicKeyAuth():
            if auth.key_types:
                key_type = auth.key_types[0]
        case CommandCertificateAuth(makes_key=False):
            pass
        case _:
            return None
    # Older versions of ssh-keygen make shorter RSA keys.
    size = _RSA_SIZE if key_type == "rsa" else ()
    return command_line("ssh-keygen", "-t", key_type, *size, "-f", key)


def _rsa_keygen_command(auth: Auth, key: str | None) -> str | None:
    """Return the command that makes an RSA key, for a client or a site too old for Ed25519."""
    if not isinstance(auth, PublicKeyAuth):
        return None
    if auth.key_types and ("rsa" not in auth.key_types[1:]):
        return None
    return command_line("ssh-keygen", "-t", "rsa", *_RSA_SIZE, "-f", key)


def _nodes_with_key_in_home(site: SiteSpec) -> Iterator[str]:
    for nodes in site.nodes_with_key_in_home():
        for name in nodes.match:
            if not name.startswith("!"):
                yield name


def _credential_commands(account: Account, auth: Auth) -> list[str]:
    # It also makes the key pair, and counts what a site issues in a day. A host's own certificate
    # is none of its business.
    if auth == renewable_auth(account.site):
        return [command_line("gen", "refresh", account.site.site)]
    match auth:
        case CommandCertificateAuth(command=command) if command:
            return [_filled_command(account, command)]
        case AgentAuth(fill=command):
            commands = [_filled_command(account, command)] if command else []
            if not auth.certificate and not account.agent_key(auth):
                commands.append(
                    f"ssh-add -l   # if it has many keys: {name_key(account.site.site)}"
                )
            return commands
        case KerberosAuth():
            return [command_line("kinit", _filled(account, auth.principal))]
        case _:
            return []


def name_key(site: str) -> str:
    """Return the command that makes ssh offer one key of the agent, where it offers all of them.

    `site` is its name, or the words of a command line that name it.
    """
    return f"gen install {site} --identity-file ~/.ssh/KEY.pub"


def _filled_command(account: Account, command: tuple[str, ...]) -> str:
    return command_line(*(_filled(account, word) for word in command))


def _filled(account: Account, text: str) -> str:
    """Return a text with its placeholders replaced, unknown values in capitals (`USER`)."""
    values = {name: value or name.upper() for name, value in account.values().items()}
    return expand(text, values) or text
