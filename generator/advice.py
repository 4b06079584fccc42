"""What a person does next, in the commands of the site's own way in."""

from generator.account import Account
from generator.compilation import FirstLogin
from generator.spec.auth import AgentAuth, Auth, CommandCertificateAuth, KerberosAuth, PublicKeyAuth, StepAuth


def first_login(account: Account) -> FirstLogin:
    """Return what leads to a login on the site's first host."""
    alias, host = next(iter(account.site.hosts.items()))
    auth = account.site.auth_of(host)
    key = account.key(auth)
    return FirstLogin(account.fill(alias) or alias, key, _make_key(auth, key), tuple(_credential(account, auth, key)))


def _make_key(auth: Auth, key: str | None) -> str | None:
    if not isinstance(auth, PublicKeyAuth):
        return None
    kind = auth.key_types[0] if auth.key_types else "ed25519"
    submit = f"   # then hand in {key}.pub {auth.submit}" if auth.submit else ""
    return f"ssh-keygen -t {kind} -f {key}{submit}"


def _credential(account: Account, auth: Auth, key: str | None) -> list[str]:
    match auth:
        case StepAuth():
            authority = f"--context {auth.context} --ca-url {auth.ca_url} --fingerprint {auth.ca_fingerprint}"
            identity = account.fill(auth.identity) or "EMAIL"
            provisioner = f" --provisioner {auth.provisioner}" if auth.provisioner else ""
            return [
                f"step ca bootstrap {authority}",
                f"step ssh certificate '{identity}' {key}{provisioner} --no-password --insecure --force",
            ]
        case CommandCertificateAuth():
            return [" ".join(account.fill(word) or word for word in auth.command)] if auth.command else []
        case AgentAuth():
            return [" ".join(account.fill(word) or word for word in auth.fill)] if auth.fill else []
        case KerberosAuth():
            return [f"kinit {account.fill(auth.principal) or auth.principal}"]
        case _:
            return []
