"""What a person does next: the commands of the site's own way in, ready to paste."""

import shlex

from generator.account import Account
from generator.spec.auth import AgentAuth, CommandCertificateAuth, KerberosAuth, PublicKeyAuth, StepAuth


def first_login(account: Account, folder: str, has_key: bool) -> list[str]:
    """Return the commands that lead to a first login, with what is not known in capitals.

    `folder` is where the site was generated; `has_key` tells whether the private key exists.
    """
    site = account.site
    alias = next(iter(site.hosts))
    name = shlex.quote(account.fill(alias) or alias)
    config = shlex.quote(f"{folder}/ssh/{site.site}.conf".removeprefix("./"))
    return [*_credential(account, has_key), f"ssh -F {config} {name}"]


def _credential(account: Account, has_key: bool) -> list[str]:
    auth = account.site.auth_of(next(iter(account.site.hosts.values())))
    match auth:
        case PublicKeyAuth():
            kind = auth.key_types[0] if auth.key_types else "ed25519"
            where = f"   # then hand in the .pub file {auth.submit}" if auth.submit else ""
            return [] if has_key else [f"ssh-keygen -t {kind} -f {account.key(auth)}{where}"]
        case StepAuth():
            identity = account.fill(auth.identity) or "EMAIL"
            provisioner = f" --provisioner {auth.provisioner}" if auth.provisioner else ""
            authority = f"--context {auth.context} --ca-url {auth.ca_url} --fingerprint {auth.ca_fingerprint}"
            return [
                f"step ca bootstrap {authority}",
                f"step ssh certificate '{identity}' {account.key(auth)}{provisioner} --no-password --insecure --force",
            ]
        case CommandCertificateAuth() if auth.command:
            return [" ".join(account.fill(word) or word for word in auth.command)]
        case AgentAuth() if auth.fill:
            return [" ".join(account.fill(word) or word for word in auth.fill)]
        case KerberosAuth():
            return [f"kinit {account.fill(auth.principal) or auth.principal}"]
        case _:
            return []
