"""Short labels for the facts of a site, for the overview and the picture."""

import re

from generator.schema.auth import (
    Auth,
    KerberosAuth,
    KeyboardAuth,
    PublicKeyAuth,
    SmartCardAuth,
    UnstatedAuth,
)
from generator.schema.site import SiteSpec

ROLES = {
    "login": "login node",
    "jump": "jump host",
    "transfer": "data transfer",
    "ide": "for editors",
    "automation": "for robots",
}
_GPU = re.compile(r"\b(?:RTX ?\d{4}|GH\d{3}|MI\d{3}[A-Z]?|[ABHLPTV]\d{1,3}S?)\b", re.IGNORECASE)
_SECOND_FACTORS = {"keyboard-interactive": " + second factor", "password": " + password"}
_PROMPTS = {
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
    "no": "none found",
}
_METHODS = {
    "step": "certificate",
    "certificate": "certificate",
    "agent": "key in the agent",
    "not-stated": "not stated",
}


def login(auth: Auth) -> str:
    """Return the authentication method."""
    match auth:
        case PublicKeyAuth():
            return "key" + _SECOND_FACTORS.get(auth.then or "", "")
        case SmartCardAuth():
            return "smart card" + _SECOND_FACTORS.get(auth.then or "", "")
        case KerberosAuth():
            return "Kerberos ticket" + _SECOND_FACTORS.get(auth.then or "", "")
        case KeyboardAuth():
            return " + ".join(_PROMPTS[prompt] for prompt in auth.asks)
        case _:
            return _METHODS[auth.method]


def gpus(site: SiteSpec) -> list[str]:
    """Return the kinds of GPU that the spec names, with the same name at every site."""
    kinds: set[str] = set()
    for gpu in site.gpu_kinds():
        families = [kind.upper() for kind in _GPU.findall(gpu)]
        kinds.update(families or [gpu])
    return sorted(kinds)


def host_keys(site: SiteSpec) -> str:
    """Return whether ssh knows the host keys before the first connection."""
    auths = [site.auth, *map(site.auth_of, site.hosts.values())]
    if not site.host_keys and all(isinstance(auth, UnstatedAuth) for auth in auths):
        return "address only"
    return _PINNED[site.pinned()]


def status(site: SiteSpec) -> str:
    """Return whether users can still log in, and until when."""
    state = site.status
    return f"{state.state}, until {state.ends}" if state.ends else state.state
