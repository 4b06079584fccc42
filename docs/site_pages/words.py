"""A site in a few words, for the overview and the picture."""

import re

from generator.account import Account
from generator.pins import pins
from generator.profile import Person
from generator.spec.auth import Auth, KerberosAuth, KeyboardAuth, PublicKeyAuth
from generator.spec.site import SiteSpec

# What a machine is for.
ROLES = {
    "login": "login node",
    "jump": "jump host",
    "transfer": "data transfer",
    "ide": "for editors",
    "automation": "for robots",
}
_GPU = re.compile(r"\b(?:RTX ?\d{4}|GH\d{3}|MI\d{3}[A-Z]?|[ABHLPTV]\d{1,3}S?)\b", re.IGNORECASE)
_THEN = {"keyboard-interactive": " + second factor", "password": " + password"}
_ASKED = {
    "password": "password",
    "otp": "one-time password",
    "token": "token",
    "code": "code",
    "url": "page to open",
    "project": "project",
}
_METHODS = {"step": "certificate", "certificate": "certificate", "agent": "key in the agent"}


def login(auth: Auth) -> str:
    """Return how a person proves who they are."""
    match auth:
        case PublicKeyAuth():
            return "key" + _THEN.get(auth.then or "", "")
        case KerberosAuth():
            return "Kerberos ticket" + _THEN.get(auth.then or "", "")
        case KeyboardAuth():
            return " + ".join(_ASKED[prompt] for prompt in auth.asks)
        case _:
            return _METHODS[auth.method]


def gpus(site: SiteSpec) -> list[str]:
    """Return the kinds of GPU that the spec names."""
    return sorted({kind for gpu in site.slurm.gpu_kinds() for kind in _families(gpu)})


def _families(gpu: str) -> list[str]:
    return [kind.upper() for kind in _GPU.findall(gpu)] or [gpu]


def host_keys(site: SiteSpec) -> str:
    """Return whether ssh gets to know the machines to log in to before the first connection."""
    account, accepted = (Account(site, Person(accept_unverified=flag)) for flag in (False, True))
    pinned = [pins(account, entry) is not None for entry in site.hosts]
    if all(pinned):
        return "pinned"
    if any(pinned):
        return "pinned in part"
    return "unverified" if any(pins(accepted, entry) for entry in site.hosts) else "not published"


def status(site: SiteSpec) -> str:
    """Return whether people still log in, and until when."""
    state = site.status
    return f"{state.state}, until {state.ends}" if state.ends else state.state
