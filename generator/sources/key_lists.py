"""The known_hosts lists that published specs name: their keys become those of the spec.

A list is fetched with the version of the source, and never later. The digest in the spec says
which list its publisher has compared.
"""

import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from generator.compiler.host_key_policy import known_hosts_name
from generator.errors import GenError
from generator.loading import spec_editor
from generator.loading.overrides import SpecChange
from generator.revisions.changes import SpecFile
from generator.schema.hosts import HostKeys, KnownHostsList
from generator.schema.site import SiteSpec
from generator.ssh import known_hosts


def with_listed_keys(spec: SpecFile, content: bytes, read: Callable[[str], bytes]) -> bytes:
    """Return the content of a spec with the keys of its lists in it.

    `read` returns the file at an address.
    """
    changes: list[SpecChange] = []
    for name, keys in spec.site.host_keys.items():
        if keys.known_hosts:
            location = f"{spec.path}: host_keys.{name}.known_hosts"
            file = _checked(keys.known_hosts, location, read)
            changes += _additions(spec.site, name, keys, _keys(spec.site, keys, file, location))
    if not changes:
        return content
    return spec_editor.edited(content, changes, spec.path)


def _checked(listed: KnownHostsList, location: str, read: Callable[[str], bytes]) -> bytes:
    file = read(listed.url)
    digest = sha256(file).hexdigest()
    if digest != listed.sha256:
        raise GenError(
            f"{location}: {listed.url} has another content than on {listed.checked}"
            f" (its SHA-256 is {digest}); the publisher has to compare its keys and to publish"
            " the new digest"
        )
    return file


def _keys(site: SiteSpec, keys: HostKeys, file: bytes, location: str) -> known_hosts.KnownKeys:
    """Return the keys that a list has for the machines of an entry; each needs one at least."""
    lines: list[str] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gen-") as directory:
        path = Path(directory, "known_hosts")
        path.write_bytes(file)
        for machine in site.machines():
            if machine.entry not in keys.hosts:
                continue
            name = known_hosts_name(machine.host_name, machine.host.port)
            lines_of_machine = known_hosts.lines(name, path)
            if not any(known_hosts.keys(lines_of_machine)):
                missing.append(name)
            lines += lines_of_machine
    if missing:
        raise GenError(f"{location}: the list has no key for {', '.join(missing)}")
    return known_hosts.keys(lines)


def _additions(
    site: SiteSpec, name: str, keys: HostKeys, listed: known_hosts.KnownKeys
) -> list[SpecChange]:
    """Return the changes to the spec; keys that it has itself stay."""
    block = ("host_keys", name)
    changes: list[SpecChange] = []
    if listed.keys:
        all_keys = list(dict.fromkeys([*keys.keys, *listed.keys]))
        changes.append(SpecChange((*block, "keys"), all_keys, site.site))
    if listed.authorities:
        written = [(authority.hosts, authority.key) for authority in keys.authorities]
        authorities = []
        for hosts, key in dict.fromkeys([*written, *listed.authorities]):
            authorities.append({"hosts": hosts, "key": key})
        changes.append(SpecChange((*block, "authorities"), authorities, site.site))
    return changes
