"""How a person proves who they are: a tagged union, so that each way has just the fields it needs."""

from typing import Annotated, Literal

from pydantic import Field

from generator.schema.base import Fact, Model, Several
from generator.schema.meta import Meta, Weight
from generator.schema.text_types import (
    Argument,
    Count,
    Duration,
    Email,
    Label,
    Link,
    LocalPath,
    RootFingerprint,
    Text,
    Url,
    UserName,
)

KeyType = Literal["ed25519", "ecdsa", "rsa", "ed25519-sk", "ecdsa-sk"]
Prompt = Literal["password", "otp", "token", "code", "url", "project"]


class PublicKeyAuth(Fact):
    """A key pair, with a second factor where the site asks for one."""

    method: Literal["publickey"]
    then: Literal["keyboard-interactive", "password"] | None = None
    """What the site asks for after the key."""
    key: Annotated[LocalPath, Meta(weight=Weight.ACCESS)] = "~/.ssh/id_{site}"
    """Private key; a slot of its own for each site unless the profile names another."""
    key_types: Several[KeyType] = ()
    """Key types that the site takes, the best first; empty when it does not say."""
    max_keys: Annotated[Count | None, Meta(weight=Weight.ACCESS)] = None
    """How many public keys the site stores for one person."""
    submit: Annotated[Text | None, Meta(weight=Weight.PROSE)] = None
    """Where the public key is handed in."""
    add_keys_to_agent: bool = False
    """Let ssh add the key to a running agent at first use (AddKeysToAgent, UseKeychain on macOS)."""


class KeyboardAuth(Fact):
    """A password, a passcode or a link, typed or opened at each login; there is no unattended way."""

    method: Literal["keyboard"]
    asks: Several[Prompt]
    """What is asked, in order."""
    prefer: Several[Literal["keyboard-interactive", "password"]] = (
        "keyboard-interactive",
        "password",
    )
    """ssh's names for it, in the order to try (PreferredAuthentications)."""


class KerberosAuth(Fact):
    """A Kerberos ticket (GSSAPI), with a second factor where the site asks for one."""

    method: Literal["kerberos"]
    principal: Email
    """Whom the ticket is for (`{user}@realm`)."""
    ticket_lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """How long a ticket lasts."""
    delegate: bool = False
    """Pass the ticket on to the site (GSSAPIDelegateCredentials)."""
    then: Literal["keyboard-interactive", "password"] | None = None
    """What the site asks for after the ticket."""


class AgentAuth(Fact):
    """Keys or certificates that live only in the ssh agent."""

    method: Literal["agent"]
    fill: Several[Argument] = ()
    """Command that puts the credential into the agent, as a list of arguments."""
    lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """How long the credential lasts."""


class _Certificate(Fact):
    key: Annotated[LocalPath, Meta(weight=Weight.ACCESS)] = "~/.ssh/id_{site}"
    """Private key; the certificate lies beside it as `KEY-cert.pub`."""
    lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """How long a certificate is valid; leave it out when the site does not say."""
    renew_before: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """How long before its end a certificate is renewed; a quarter of the lifetime when left out."""
    max_per_day: Annotated[Count | None, Meta(weight=Weight.ACCESS)] = None
    """How many certificates the site issues to one person in a day."""
    renew_on_connect: bool = True
    """Let ssh run `gen refresh SITE` before a connection when the certificate is due."""


class Oidc(Model):
    """Where an unattended renewal gets its token (OAuth2 client credentials)."""

    token_url: Url
    """Token endpoint."""
    client_id: Label | Literal["{client_id}"] = "{client_id}"
    """Client id, where the site has one for all."""
    username: UserName = "{user}"
    """User name at the provider."""
    scope: Text = "profile"
    """Scope to ask for."""
    token_field: Label = "access_token"  # noqa: S105 - the name of a field
    """Field of the answer that holds the token."""


class Authentik(Model):
    """Where the app password behind the token is rotated (authentik's API)."""

    api_base: Url
    """Address of the provider."""
    identifier: Label = "dagster-slurm"
    """First part of the identifiers of tokens that rotation creates."""
    expires_days: Annotated[Count, Meta(weight=Weight.ACCESS)] = 30
    """Days that a new app password or token lasts."""
    credentials_file: LocalPath
    """File of mode 0600 that holds app password and API token; never read into a spec or an artifact."""
    app_password_file: LocalPath | None = None
    """File of mode 0600 that a rotated app password is also written to."""


class StepAuth(_Certificate):
    """An SSH certificate from a smallstep CA, by the `step` command with an OIDC login."""

    method: Literal["step"]
    ca_url: Url
    """Address of the CA."""
    ca_fingerprint: RootFingerprint
    """SHA-256 of the CA's root certificate, as `step ca bootstrap --fingerprint` takes it."""
    context: Label
    """Name of step's context (`step ca bootstrap --context`)."""
    provisioner: Label | None = None
    """Provisioner, where the CA has several."""
    identity: Email = "{email}"
    """Whom the certificate is issued to."""
    oidc: Oidc | None = None
    """Unattended renewal, where the site offers it."""
    authentik: Authentik | None = None
    """Rotation of the credentials behind the token."""
    env_prefix: Annotated[
        Annotated[Label, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None, Meta(weight=Weight.TUNING)
    ] = None
    """First part of the variables that the site's documentation uses for all this (`ASC` in `ASC_OIDC_USERNAME`)."""


class CommandCertificateAuth(_Certificate):
    """An SSH certificate by a command or a portal of the centre."""

    method: Literal["certificate"]
    command: Several[Argument] = ()
    """Command that gets a certificate, as a list of arguments; empty when it is downloaded by hand."""
    portal: Link | None = None
    """Page where a certificate is made by hand."""
    asks: Several[Prompt] = ()
    """What a person types or opens meanwhile; empty when it runs unattended."""
    certificate: LocalPath | None = None
    """Where the certificate is, when not at `KEY-cert.pub`."""
    makes_key: bool = False
    """The command writes the private key as well."""
    each_connection: bool = False
    """Certificates so short that one is got before a connection; no timer renews them."""
    secret: Label | None = None
    """Environment variable that the command takes its secret from (never its value)."""


Certificate = StepAuth | CommandCertificateAuth
WithKey = PublicKeyAuth | StepAuth | CommandCertificateAuth
Auth = Annotated[
    PublicKeyAuth | KeyboardAuth | KerberosAuth | StepAuth | CommandCertificateAuth | AgentAuth,
    Field(discriminator="method"),
]


def preferred_authentications(auth: Auth) -> str:
    """Return the ssh client's names for the methods to try, in order (ssh_config(5), PreferredAuthentications)."""
    match auth:
        case KeyboardAuth():
            return ",".join(auth.prefer)
        case KerberosAuth():
            return ",".join(filter(None, ["gssapi-with-mic", auth.then]))
        case PublicKeyAuth():
            return ",".join(filter(None, ["publickey", auth.then]))
        case _:
            return "publickey"
