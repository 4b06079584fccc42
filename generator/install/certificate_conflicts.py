"""Refuse two sites that would keep different certificates in one file.

The file has the certificate of the site that renewed last, which the other site's servers refuse.
Sites of one centre may share a certificate: then the same CA or command issues it.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from generator.install import record
from generator.install.installed_account import installed_account
from generator.install.plan import HomePlan, SiteFiles
from generator.loading import overrides, validate, yaml_document
from generator.schema.auth import Auth, CommandCertificateAuth, StepAuth
from generator.ssh.config_lines import lines


def certificate_conflicts(home: Path, plan: HomePlan, sites: Sequence[SiteFiles]) -> list[str]:
    """Return a message for each pair of sites, of which one is installed now."""
    changed = {site.name: site for site in sites}
    files = {name: _certificates(conf) for name, conf in plan.confs.items()}
    messages = []
    for name, other_name in combinations(sorted(files), 2):
        shared = files[name] & files[other_name]
        if not shared or not changed.keys() & {name, other_name}:
            continue
        # Only now are the specs read: few sites share a certificate.
        if _issuer(home, name, changed) == _issuer(home, other_name, changed):
            continue
        changed_name = other_name if other_name in changed else name
        messages.append(
            f"{sorted(shared)[0]}: {name} and {other_name} would keep different certificates"
            " there; "
            f"give {changed_name} a key of its own in your profile: "
            f"sites: {{{changed_name}: {{identity_file: ~/.ssh/id_{changed_name}}}}}"
        )
    return messages


def _certificates(conf: bytes) -> set[str]:
    """Return the paths of the certificates that an ssh configuration uses."""
    return set(_certificate_paths(conf))


def _certificate_paths(conf: bytes) -> Iterator[str]:
    for line in lines(conf):
        if line.keyword == "certificatefile":
            yield from line.arguments


def _issuer(home: Path, name: str, changed: dict[str, SiteFiles]) -> tuple[object, ...]:
    """Return the CA or the command that issues the certificates of a site."""
    if name not in changed:
        return _issuer_of(installed_account(home, record.installed(home)[name]).site.auth)
    site = changed[name]
    changes = [overrides.change(text) for text in site.inputs.overrides]
    document = yaml_document.parse(site.spec, name)
    return _issuer_of(validate.spec(document, name, changes).auth)


def _issuer_of(auth: Auth) -> tuple[object, ...]:
    if isinstance(auth, StepAuth):
        return (auth.ca_url, auth.provisioner)
    if isinstance(auth, CommandCertificateAuth):
        return (auth.command, auth.portal)
    return ()
