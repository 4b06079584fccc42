"""The login methods of a site.

They are a union tagged by `method`, so that each method has only the fields that it needs.
"""

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
    """A key pair, with a second factor if the site asks for one."""

    method: Literal["publickey"]
    then: Literal["keyboard-interactive", "password"] | None = None
    """Second method that the site asks for after the key."""
    key: Annotated[LocalPath, Meta(weight=Weight.TRUST)] = "~/.ssh/id_{site}"
    """Private key; each site has its own file unless the profile names another."""
    key_types: Several[KeyType] = ()
    """Key types that the site accepts, the best first; empty if its documentation does not say."""
    max_keys: Annotated[Count | None, Meta(weight=Weight.ACCESS)] = None
    """Number of public keys that the site stores for one user."""
    submit: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Where users submit the public key."""
    lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """Time for which the site accepts a public key that a user submitted; it must be submitted
    again, or replaced, before."""
    add_keys_to_agent: bool = False
    """Add the key to a running agent at its first use (AddKeysToAgent, UseKeychain on macOS)."""


class KeyboardAuth(Fact):
    """A password, a code or a link at each login. It needs a user at a terminal."""

    method: Literal["keyboard"]
    asks: Several[Prompt]
    """Prompts of the site, in order."""
    # keyboard-interactive first: PAM asks for a second factor only there.
    prefer: Several[Literal["keyboard-interactive", "password"]] = (
        "keyboard-interactive",
        "password",
    )
    """Names of the method for ssh, in the order to try them (PreferredAuthentications)."""


class KerberosAuth(Fact):
    """A Kerberos ticket (GSSAPI), with a second factor if the site asks for one."""

    method: Literal["kerberos"]
    principal: Email
    """Principal of the ticket (`{user}@realm`)."""
    ticket_lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """Lifetime of a ticket."""
    delegate: bool = False
    """Forward the ticket to the site (GSSAPIDelegateCredentials)."""
    then: Literal["keyboard-interactive", "password"] | None = None
    """Second method that the site asks for after the ticket."""


class AgentAuth(Fact):
    """Keys or certificates that exist only in the ssh agent."""

    method: Literal["agent"]
    key: Annotated[
        Annotated[LocalPath, Field(pattern=r"\.pub$")] | None, Meta(weight=Weight.TRUST)
    ] = None
    """Public key of the credential (`~/.ssh/id_{site}.pub`): ssh offers this key alone. The
    profile's `identity_file` replaces it."""
    # A server ends the connection after a few keys, and an agent may hold more than that.
    certificate: bool = False
    """True if the credential is a certificate: ssh offers the certificates in the agent alone."""
    fill: Several[Argument] = ()
    """Command that adds the credential to the agent, as a list of arguments."""
    lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """Lifetime of the credential."""


class SmartCardAuth(Fact):
    """A key on a smart card or token, which ssh reaches through a PKCS#11 library."""

    method: Literal["smartcard"]
    then: Literal["keyboard-interactive", "password"] | None = None
    """Second method that the site asks for after the key."""


class UnstatedAuth(Fact):
    """A login method that the sources do not state: ssh tries its default methods."""

    method: Literal["not-stated"]


class _Certificate(Fact):
    key: Annotated[LocalPath, Meta(weight=Weight.TRUST)] = "~/.ssh/id_{site}"
    """Private key; the certificate is the file `KEY-cert.pub` beside it."""
    lifetime: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """Lifetime of a certificate; left out if the site's documentation does not say."""
    renew_before: Annotated[Duration | None, Meta(weight=Weight.ACCESS)] = None
    """Time before expiry when gen renews a certificate; by default a quarter of the lifetime."""
    max_per_day: Annotated[Count | None, Meta(weight=Weight.ACCESS)] = None
    """Number of certificates that the site issues to one user in a day."""
    renew_on_connect: bool = True
    """Let ssh run `gen refresh SITE` before a connection if the certificate is due for renewal."""


class Oidc(Model):
    """The token for an unattended renewal (OAuth2 client credentials)."""

    token_url: Url
    """Token endpoint."""
    # Some sites give one client to all users, others one to each: RFC 6749, section 2.2.
    client_id: Label | Literal["{client_id}"] = "{client_id}"
    """Client id, if all users of the site share one."""
    username: UserName = "{user}"
    """User name at the identity provider."""
    scope: Text = "profile"
    """Scope to request."""
    token_field: Label = "access_token"  # noqa: S105 - the name of a field
    """Field of the response that holds the token."""


class Authentik(Model):
    """Rotation of the app password behind the token, with the API of authentik."""

    api_base: Url
    """Address of the identity provider."""
    identifier: Label = "dagster-slurm"
    """Start of the identifiers of the tokens that a rotation creates."""
    expires_days: Annotated[Count, Meta(weight=Weight.ACCESS)] = 30
    """Lifetime of a new app password or token, in days."""
    credentials_file: LocalPath
    """File of mode 0600 that holds app password and API token; gen never copies them into a
    spec or an artifact."""
    app_password_file: LocalPath | None = None
    """File of mode 0600 that gen also writes a rotated app password to."""


class StepAuth(_Certificate):
    """An SSH certificate from a smallstep CA, issued to the `step` command after an OIDC login."""

    method: Literal["step"]
    ca_url: Url
    """Address of the CA."""
    ca_fingerprint: RootFingerprint
    """SHA-256 of the CA's root certificate, as for `step ca bootstrap --fingerprint`."""
    context: Label
    """Name of the context (`step ca bootstrap --context`)."""
    provisioner: Label | None = None
    """Provisioner, if the CA has several."""
    identity: Email = "{email}"
    """Identity that the CA issues the certificate to."""
    # Without it, `step` opens a browser, which no timer can answer.
    oidc: Oidc | None = None
    """Unattended renewal, if the site offers it."""
    authentik: Authentik | None = None
    """Rotation of the credentials behind the token."""
    env_prefix: Annotated[
        Annotated[Label, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None, Meta(weight=Weight.TUNING)
    ] = None
    """Prefix of the variables in the site's documentation (`ASC` in `ASC_OIDC_USERNAME`)."""


class CommandCertificateAuth(_Certificate):
    """An SSH certificate from a command or a web page of the centre."""

    method: Literal["certificate"]
    command: Several[Argument] = ()
    """Command that gets a certificate, as a list of arguments; empty if users download it by
    hand."""
    install: Annotated[Text | None, Meta(weight=Weight.TRUST)] = None
    """Where users get the command, or how they install it."""
    portal: Link | None = None
    """Web page where users get a certificate by hand."""
    asks: Several[Prompt] = ()
    """Prompts of the command, in order; empty if it runs unattended."""
    certificate: LocalPath | None = None
    """Path of the certificate, if it is not `KEY-cert.pub`."""
    # Then gen must not offer a key pair of its own, which the command would overwrite.
    makes_key: bool = False
    """True if the command writes the private key too."""
    # Some centres issue certificates for minutes: a timer could not keep one valid.
    each_connection: bool = False
    """True if certificates expire so soon that ssh gets a new one before each connection, and
    no timer renews them."""
    secret: Label | None = None
    """Name of the environment variable from which the command reads its secret."""


Certificate = StepAuth | CommandCertificateAuth
WithKey = PublicKeyAuth | StepAuth | CommandCertificateAuth
Auth = Annotated[
    PublicKeyAuth
    | KeyboardAuth
    | KerberosAuth
    | StepAuth
    | CommandCertificateAuth
    | AgentAuth
    | SmartCardAuth
    | UnstatedAuth,
    Field(discriminator="method"),
]


def preferred_authentications(auth: Auth) -> str | None:
    """Return the methods for ssh to try, in order; ``None`` leaves the choice to ssh.

    The names are those of ssh_config(5), PreferredAuthentications.
    """
    match auth:
        case UnstatedAuth():
            return None
        case KeyboardAuth():
            return ",".join(auth.prefer)
        case KerberosAuth():
            return ",".join(filter(None, ["gssapi-with-mic", auth.then]))
        case PublicKeyAuth() | SmartCardAuth():
            return ",".join(filter(None, ["publickey", auth.then]))
        case _:
            return "publickey"
