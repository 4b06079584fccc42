"""The text of a profile: of a new one, and of one that is changed in place.

A new profile has every key as a comment with its meaning, so that a user finds the keys in an
editor. A change uncomments such a line; it keeps every other byte, as a change of a spec does.
"""

import re
from collections.abc import Iterator, Sequence

from generator.errors import GenError
from generator.loading import spec_editor, yaml_document
from generator.loading.overrides import SpecChange

SCHEMA_FILE = "profile.schema.json"

_START = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# Your values for gen. Each key has an option of its name (identity_file: --identity-file), which
# wins over this file. To be asked again: gen init
"""
_KEYS = (
    ("user", "Your user name at the sites."),
    ("email", "Your e-mail address, for certificates."),
    ("identity_file", "Your private key. Without it, each site has a key: ~/.ssh/id_SITE"),
    ("pkcs11_provider", "PKCS#11 library of your smart card, which ssh loads."),
    ("home", "Home directory of the machine that reads the .env files."),
    ("account", "The account that your jobs are charged to."),
    ("allocation", "Project or allocation in names and paths at the sites."),
    ("multiplexing", "false: sessions do not share one connection."),
    ("renew_on_connect", "false: ssh renews no certificate before it connects."),
    ("key_in_agent", "true: the private key of a certificate is in the ssh agent alone."),
    ("accept_unverified", "true: pin host keys from weak sources too. Compare them before."),
)
_SITES = """
# What differs at one site, by its name. client_id is the id of your OIDC client there.
# sites:
#   musica:
#     user: xy12345
#     set: { slurm.partition: zen4_0768 }
"""


def new_profile() -> bytes:
    """Return the text of a profile without values."""
    return "".join([_START, *_commented_keys(), _SITES]).encode()


def edited_profile(content: bytes, changes: Sequence[SpecChange], name: str) -> bytes:
    """Return a profile with changes made to it, one after the other."""
    for change in changes:
        content = _edited(content, change, name)
    return content


def _commented_keys() -> Iterator[str]:
    for key, meaning in _KEYS:
        yield f"\n# {meaning}\n# {key}:\n"


def _edited(content: bytes, change: SpecChange, name: str) -> bytes:
    data: dict[str, object] = {}
    if not yaml_document.has_no_values(content):
        data = yaml_document.parse(content, name).data()
    first = change.keys[0]
    if first in data:
        return spec_editor.edited(content, [change], name)
    if change.value is None:
        return content
    # The text of a value comes from the editor of specs, which knows when YAML needs quotes.
    value = change.value
    for key in reversed(change.keys[2:]):
        value = {key: value}
    line = f"{first}: {spec_editor.flow(value)}"
    if len(change.keys) > 1:
        line = f"{first}:\n  {change.keys[1]}: {spec_editor.flow(value)}"
    text = content.decode("utf-8-sig")
    commented = re.search(rf"(?m)^# ?{re.escape(first)}:[^\n]*$", text)
    if commented and len(change.keys) == 1:
        text = f"{text[: commented.start()]}{line}{text[commented.end() :]}"
    else:
        text = f"{text.rstrip()}\n\n{line}\n".lstrip()
    result = text.encode()
    _refuse_damage(result, data, change, name)
    return result


def _refuse_damage(content: bytes, data: dict[str, object], change: SpecChange, name: str) -> None:
    """Refuse a file that YAML would read otherwise, as with an open bracket before the change."""
    refusal = GenError(f"{name}: gen cannot add {change} to this file; add it yourself")
    try:
        after = yaml_document.parse(content, name).data()
    except GenError:
        raise refusal from None
    after.pop(change.keys[0], None)
    if after != data:
        raise refusal
