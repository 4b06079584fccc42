"""A site in a few words, for the overview and the picture."""

import re

from generator.schema.auth import Auth, KerberosAuth, KeyboardAuth, PublicKeyAuth
from generator.schema.site import SiteSpec

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
_PINNED = {
    "yes": "pinned",
    "in part": "pinned in part",
    "unverified": "unverified",
    "no": "not published",
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
    """Return whether ssh gets to know the machines before the first connection."""
    return _PINNED[site.pinned()]


def status(site: SiteSpec) -> str:
    """Return whether people still log in, and until when."""
    state = site.status
    return f"{state.state}, until {state.ends}" if state.ends else state.state
