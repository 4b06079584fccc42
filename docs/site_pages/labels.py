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
# Makers' names of GPUs: NVIDIA's with a letter for the generation (A100, H100, L40S) or of the RTX
# series, and AMD's (MI250X). A spec may add the memory or the number.
_GPU = re.compile(r"\b(?:RTX ?\d{4}|GH\d{3}|MI\d{3}[A-Z]?|[ABHLPTV]\d{1,3}S?)\b", re.IGNORECASE)
_SECOND_FACTORS = {"keyboard-interactive": " + second factor", "password": " + password"}
# The texts for `asks` in generator/schema/auth.py.
_PROMPTS = {
    "password": "password",
    "otp": "one-time password",
    "token": "token",
    "code": "code",
    "url": "page to open",
    "project": "project",
}
# The texts for the answers of SiteSpec.pinned.
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
        families = _GPU.findall(gpu.upper())
        kinds.update(families or [gpu])
    return sorted(kinds)


def host_keys(site: SiteSpec) -> str:
    """Return whether ssh knows the host keys before the first connection."""
    kinds = {type(site.auth)}
    for host in site.hosts.values():
        kinds.add(type(site.auth_of(host)))
    # Such a spec has a machine's name alone, so "none found" would promise too much.
    if not site.host_keys and kinds == {UnstatedAuth}:
        return "address only"
    return _PINNED[site.pinned()]


def status(site: SiteSpec) -> str:
    """Return whether users can still log in, and until when."""
    state = site.status
    if state.ends:
        return f"{state.state}, until {state.ends}"
    return state.state
