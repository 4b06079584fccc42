"""No text of a spec or a profile can add a line, a directive or a command to a generated file.

Each text of a valid spec is replaced by hostile texts. If gen accepts the spec, the reader of each
file must find the same structure as before: the same keywords, keys and number of words.
"""

import json
import plistlib
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from datetime import date
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import pytest
from depth import examples
from dotenv import dotenv_values
from full_spec import AUTHS, SPEC, WITHOUT_SLURM
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from generator.compiler.account import Account
from generator.compiler.build import build
from generator.compiler.compile import compile_site
from generator.compiler.first_steps import first_login
from generator.errors import GenError
from generator.loading.inputs import File, Inputs
from generator.schema.profile import Profile, SiteProfile
from generator.schema.rules import faults
from generator.schema.site import SiteSpec

VALUES = {
    "user": "ada",
    "email": "ada@person.example.org",
    "identity_file": "/keys/ada",
    "account": "acc1",
    "allocation": "proj1",
    "client_id": "id1",
    "home": "/home/ada",
    "command_directory": "/tools/centre",
    "step_binary": "/tools/step",
    "pkcs11_provider": "/lib/card.so",
    "extra_step_args": ["--offline"],
    "accept_unverified": True,
}
PROFILE = VALUES | {
    "sites": {
        "hpc": {
            "user": "ada2",
            "email": "ada2@person.example.org",
            "identity_file": "/keys/ada2",
            "account": "acc2",
            "allocation": "proj2",
            "client_id": "id2",
            "home": "/home/ada2",
            "command_directory": "/tools/centre2",
            "step_binary": "/tools/step2",
            "pkcs11_provider": "/lib/card2.so",
            "extra_step_args": ["--bundle"],
            "set": {"slurm.constraint": "large"},
        }
    }
}


def parsed(document: Mapping[str, Any]) -> SiteSpec:
    return SiteSpec.model_validate_json(json.dumps(document))


DOCUMENT = SPEC | {"auth": AUTHS["step"]}
SITES = {method: parsed(SPEC | {"auth": auth}) for method, auth in AUTHS.items()}
# It has no texts of its own, so it serves the site without Slurm.
SITES["not-stated"] = parsed(WITHOUT_SLURM | {"auth": AUTHS["not-stated"]})
ADA = SiteProfile.model_validate(VALUES)
EVERYTHING = Profile.model_validate(PROFILE)


def declared(model: type[BaseModel], name: str) -> str:
    """Return `Model.field` for the model that declares a field, which others may inherit."""
    for base in model.__mro__[::-1]:
        if name in getattr(base, "model_fields", {}):
            return f"{base.__name__}.{name}"
    raise AssertionError(f"{model.__name__} has no field {name}")


def texts(value: object, owner: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text and every key of a mapping, with the field that it belongs to."""
    match value:
        case BaseModel():
            for name in value.model_fields_set:
                yield from texts(getattr(value, name), declared(type(value), name))
        case Mapping():
            for key, item in value.items():
                yield from ((owner, key), *texts(item, owner))
        case tuple():
            for item in value:
                yield from texts(item, owner)
        case str() | date():
            yield owner, str(value)


def with_text(value: object, text: str, replacement: str) -> Any:
    """Return the document of a value with one text replaced, also in references to it."""
    match value:
        case BaseModel():
            document = {}
            for name in value.model_fields_set:
                document[name] = with_text(getattr(value, name), text, replacement)
            return document
        case Mapping():
            document = {}
            for key, item in value.items():
                document[with_text(key, text, replacement)] = with_text(item, text, replacement)
            return document
        case tuple():
            return [with_text(item, text, replacement) for item in value]
        case str() | date():
            return replacement if str(value) == text else str(value)
        case _:
            return value


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield every model in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def takes_text(annotation: Any) -> bool:
    return annotation in (str, date) or any(takes_text(part) for part in get_args(annotation))


def fields(root: type[BaseModel]) -> set[str]:
    """Return every field of every model that may hold a text."""
    names: set[str] = set()
    for model in models(root):
        for name, field in model.model_fields.items():
            if takes_text(field.annotation):
                names.add(declared(model, name))
    return names


def fields_with_text(*values: BaseModel) -> set[str]:
    """Return the fields that have a text in one of the values."""
    names: set[str] = set()
    for value in values:
        names.update(owner for owner, _ in texts(value))
    return names


def test_every_text_field_of_a_spec_is_tested() -> None:
    assert fields(SiteSpec) <= fields_with_text(*SITES.values())


MODELS = """
    SiteSpec Source Host Nodes Keepalive Compute JobEntry HostKeys HostAuthority
    PublicKeyAuth KeyboardAuth KerberosAuth AgentAuth StepAuth Oidc Authentik
    CommandCertificateAuth UnstatedAuth
    Slurm Request Partition Limit Qos Accounts AccountNeeds
    Batch Queue Ray RayPorts Spark Deployment Filesystem HttpApi
"""


def test_every_model_of_a_spec_is_tested() -> None:
    assert {model.__name__ for model in models(SiteSpec)} >= set(MODELS.split())


def test_every_text_field_of_a_profile_is_tested() -> None:
    assert fields(Profile) <= fields_with_text(EVERYTHING)


@pytest.mark.parametrize("method", AUTHS)
def test_the_specs_are_valid(method: str) -> None:
    assert faults(SITES[method]) == []
    assert SITES[method].auth.method == method


Structure = Mapping[str, object]
# Characters that a shell or ssh would interpret.
SIGNS = re.compile(r"%.|[$`\\;|&<>()#]")
# Keywords that take as many words as the spec has.
KEYWORDS_WITH_LISTS = {"Host", "RemoteCommand"}


def signs(text: str) -> list[str]:
    # ssh replaces %% by a percent sign.
    return SIGNS.findall(text.replace("%%", ""))


def ssh_config(content: str) -> object:
    """Return keyword, number of words and special characters of each line."""
    lines = []
    for line in content.split("\n"):
        if line.startswith("#"):
            continue
        keyword, _, value = line.strip().partition(" ")
        number = -1 if keyword in KEYWORDS_WITH_LISTS else len(shlex.split(value))
        line_signs = signs(value)
        if keyword == "ProxyCommand":
            # The command of a jump may name the address of the machine.
            line_signs = [sign for sign in line_signs if sign not in ("%h", "%p")]
        if keyword == "KnownHostsCommand":
            # `case $1 in NAME|NAME)` has as many names as the block, which leaves negations out.
            value = re.sub(r"in [^ ;$|]+(?:\|[^ ;$|]+)*\)", "in NAMES)", value)
            line_signs = signs(value)
        lines.append((keyword, number, line_signs))
    return lines


def known_hosts(content: str) -> object:
    """Return the number of words of each line."""
    return [len(line.split()) for line in content.split("\n") if not line.startswith("#")]


def assignments(content: str) -> object:
    """Return the names of the variables without the prefix that a spec chooses."""
    names = dotenv_values(stream=StringIO(content))
    return [re.sub(r"^.+_(?=OIDC|STEP|AUTHENTIK)", "", name) for name in names]


def unit(content: str) -> object:
    """Return the keys and special characters of each section."""
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string(content)
    sections = {}
    for name in parser.sections():
        section = parser[name]
        sections[name] = (list(section), signs(" ".join(section.values())))
    return sections


def agent(content: str) -> object:
    """Return the keys, and the length and special characters of the command."""
    plist = plistlib.loads(content.encode())
    command = plist["ProgramArguments"]
    return list(plist), len(command), signs(command[-1])


READERS: Mapping[str, Callable[[str], object]] = {
    ".conf": ssh_config,
    ".known_hosts": known_hosts,
    ".service": unit,
    ".timer": unit,
    ".plist": agent,
}


# Most texts of a spec appear in no file, so most files are the same.
@cache
def structure_of_file(suffix: str, content: str) -> object:
    """Return the structure that the reader of a file sees, and the number of lines."""
    assert content.replace("\n", "").replace("\t", "").isprintable()
    return READERS.get(suffix, assignments)(content), content.count("\n")


def structure(site: SiteSpec, profile: SiteProfile) -> Structure:
    """Return the structure of every file of a site."""
    files = {}
    for artifact in compile_site(site, profile):
        suffix = artifact.path.suffix
        if suffix not in READERS:
            suffix = ".env"
        files[suffix] = structure_of_file(suffix, artifact.content.decode())
    return files


STRUCTURES = {method: structure(site, ADA) for method, site in SITES.items()}

# Each is appended to a valid text, whose start keeps its form.
APPENDED = {
    "a line break": "\nProxyCommand reboot",
    "a line break at the end": "\n",
    "a carriage return": "\rProxyCommand reboot",
    "NUL": "\0",
    "a tab": "\tx",
    # str.splitlines() of Python ends a line here and at the next one; ssh and systemd do not.
    "a line separator": "\u2028x",
    "a next line": "\u0085x",
    "an escape": "\x1b[2J",
    "text from right to left": "\u202ex",
    "an invisible space": "\u200bx",
    "a no-break space": "\u00a0x",
    "an apostrophe": "'",
    "a quote": '"',
    "a backslash": "\\",
    "a command": "$(id)",
    "a command in backticks": "`id`",
    "a variable": "${HOME}",
    "a second command": "; id",
    "a pipe": "|id",
    "a redirection": ">x",
    "a token of ssh": "%h",
    # systemd and ssh replace %% by one, so it may end a token that starts before it.
    "a per cent sign": "%%",
    "a space": " x",
    "a comment": " #x",
    "an equals sign": "=x",
    "a comma": ",x",
    "a placeholder": "{user}",
    "letters beyond ASCII": "żółć日本",
    "a very long text": "x" * 5000,
}
# Each replaces the whole text.
REPLACEMENTS = {
    "nothing": "",
    # ssh would take such a host name for an option (as in CVE-2017-1000117 of git).
    "a leading dash": "-oProxyCommand=id",
    "a comment": "#x",
    "a token of ssh": "%h",
    "a leading space": " x",
    "quotes around it": '"x"',
    "a pattern": "*",
    "a negation": "!*",
    "two directories up": "../../x",
    "another user": "root@evil.example.org",
    "a placeholder": "{user}",
    "an unknown placeholder": "{nobody}",
    "a template": "{{7*7}}",
    "a template's block": "{% raw %}",
    "a template's comment": "{# x #}",
    "a tag": "</string><key>x</key>",
    "a section": "[Service]",
}
HOSTILE = [
    *(pytest.param(text, True, id=f"{name}, appended") for name, text in APPENDED.items()),
    *(pytest.param(text, False, id=name) for name, text in REPLACEMENTS.items()),
]


def hostile_text(valid: str, text: str, *, appended: bool) -> str:
    return valid + text if appended else text


def spec_with(site: SiteSpec, valid: str, hostile: str) -> SiteSpec | None:
    """Return the spec with a hostile text in it, or ``None`` if gen refuses it."""
    try:
        spec = parsed(with_text(site, valid, hostile))
    except ValidationError:
        return None
    return None if faults(spec) else spec


def keeps(expected: Structure, site: SiteSpec | None, profile: SiteProfile) -> bool:
    """Return whether the files of a site have the expected structure, or gen refuses the site."""
    if site is None:
        return True
    try:
        return structure(site, profile) == expected
    except GenError:
        return True


def valid_texts() -> list[tuple[str, str]]:
    """Return every text of the specs with the method of its spec.

    The spec for step has the most files. Texts that all specs share are tested in that one.
    """
    pairs: dict[tuple[str, str], None] = {}
    for method, site in SITES.items():
        for _, text in texts(site if method == "step" else site.auth):
            pairs[method, text] = None
    for _, text in texts(SITES["not-stated"].batch):
        pairs["not-stated", text] = None
    return list(pairs)


VALID_TEXTS = valid_texts()


@pytest.mark.parametrize(("text", "appended"), HOSTILE)
def test_no_text_of_a_spec_changes_the_structure_of_a_file(text: str, appended: bool) -> None:
    changed = []
    for method, valid in VALID_TEXTS:
        hostile = hostile_text(valid, text, appended=appended)
        if not keeps(STRUCTURES[method], spec_with(SITES[method], valid, hostile), ADA):
            changed.append((valid, hostile))
    assert changed == []


FRAGMENTS = st.sampled_from([*APPENDED.values(), *REPLACEMENTS.values()]) | st.text(max_size=5)


@settings(max_examples=examples(1500), derandomize=True, database=None)
@given(st.sampled_from(VALID_TEXTS), FRAGMENTS, FRAGMENTS, st.integers(0, 80), st.integers(0, 80))
def test_no_fragment_within_a_text_of_a_spec_does(
    method_and_text: tuple[str, str], first: str, second: str, start: int, stop: int
) -> None:
    method, valid = method_and_text
    hostile = valid[:start] + first + valid[start:stop] + second + valid[stop:]
    assert keeps(STRUCTURES[method], spec_with(SITES[method], valid, hostile), ADA)


def site_profiles(document: Any) -> list[SiteProfile]:
    """Return the values of a profile at two sites, or nothing if gen refuses the profile."""
    try:
        profile = Profile.model_validate_json(json.dumps(document))
    except ValidationError:
        return []
    return [profile.at(name, {}) for name in ("hpc", "other")]


@pytest.mark.parametrize(("text", "appended"), HOSTILE)
def test_no_text_of_a_profile_changes_the_structure_of_a_file(text: str, appended: bool) -> None:
    changed = []
    for _, valid in texts(EVERYTHING):
        hostile = hostile_text(valid, text, appended=appended)
        for profile in site_profiles(with_text(EVERYTHING, valid, hostile)):
            if not keeps(STRUCTURES["step"], SITES["step"], profile):
                changed.append((valid, hostile))
    assert changed == []


@settings(max_examples=examples(300), derandomize=True, database=None)
@given(
    st.sampled_from(list(VALUES)),
    FRAGMENTS,
    FRAGMENTS,
    st.integers(0, 40),
    st.sampled_from(["step", "publickey"]),
)
def test_no_fragment_within_a_text_of_a_profile_does(
    name: str, first: str, second: str, position: int, method: str
) -> None:
    valid = str(VALUES[name])
    hostile = valid[:position] + first + valid[position:] + second
    for profile in site_profiles(VALUES | {name: hostile}):
        assert keeps(STRUCTURES[method], SITES[method], profile)


@pytest.mark.parametrize("text", ["x\nHost *", "$(id)", "{{7*7}}", "-oProxyCommand=id"])
def test_a_change_in_a_profile_must_be_valid_in_the_spec(text: str) -> None:
    # JSON is YAML, so gen can read both documents.
    profile = {"sites": {"hpc": {"set": {"hosts.gate.host": text}}}}
    spec_file = File(Path("spec.yaml"), json.dumps(DOCUMENT).encode())
    profile_file = File(Path("profile.yaml"), json.dumps(profile).encode())
    with pytest.raises(
        GenError, match=r"^profile, sites\.hpc\.set\.hosts\.gate\.host: hosts\.gate\.host: "
    ):
        build(Inputs(spec_file, profile_file, {}, ()))


def test_a_template_in_a_title_is_written_unchanged() -> None:
    title = "{{7*7}} {% raw %} {# x #} {user}"
    files = compile_site(SITES["step"].model_copy(update={"title": title}), ADA)
    assert sum(f" {title}\n".encode() in file.content for file in files) == 2


def test_no_jump_host_may_be_called_none() -> None:
    # ssh reads `ProxyJump none` as an order not to jump.
    assert spec_with(SITES["step"], "gate", "none") is None


def first_commands(site: SiteSpec, profile: SiteProfile = ADA) -> object:
    """Return number of words and special characters of the commands before a first login."""
    login = first_login(Account(site, profile))
    commands = list(login.credential)
    if login.make_key:
        commands.append(login.make_key)
    # Not every shell reads a # as the start of a comment, so `comments=True` is the worse case.
    return [(len(shlex.split(command, comments=True)), signs(command)) for command in commands]


@pytest.mark.parametrize(
    ("method", "valid", "hostile"),
    [
        pytest.param("publickey", "at the portal", "at $(id)", id="a command in a remark"),
        pytest.param(
            "publickey",
            "/keys/ada",
            "/home/ada lovelace/id",
            id="the key of a profile with a space",
        ),
        pytest.param(
            "step", "/keys/ada", "/home/ada lovelace/id", id="the key of a certificate with a space"
        ),
        pytest.param(
            "certificate", "get-certificate", "get certificate", id="an argument with a space"
        ),
    ],
)
def test_no_text_adds_a_word_or_a_command_to_the_commands_to_paste(
    method: str, valid: str, hostile: str
) -> None:
    profile = SiteProfile.model_validate(with_text(ADA, valid, hostile))
    site = spec_with(SITES[method], valid, hostile)
    assert site is None or first_commands(site, profile) == first_commands(SITES[method])


def ssh_settings(site: SiteSpec, directory: Path) -> dict[str, str]:
    """Return the settings of all names of a site as `NAME KEYWORD`, read by ssh itself."""
    profile = SiteProfile(user="ada", allocation="p", account="a")
    config = directory / "config"
    for artifact in compile_site(site, profile):
        if artifact.path.suffix == ".conf":
            config.write_bytes(artifact.content)
    settings: dict[str, str] = {}
    for name in ("login", "gate", "robot-a", "job", "cn1"):
        output = subprocess.run(
            ["ssh", "-G", "-F", config, name], capture_output=True, text=True, check=True
        ).stdout
        for line in output.splitlines():
            keyword, _, value = line.partition(" ")
            settings[f"{name} {keyword}"] = value
    return settings


@pytest.mark.parametrize(
    ("valid", "hostile", "changed"),
    [
        pytest.param("A cluster", "ProxyCommand reboot # $(reboot) `reboot` \"'", {}, id="a title"),
        pytest.param("from the network", "x\"' \\", {}, id="a network, in a comment"),
        pytest.param(
            "~/.ssh/pk {user}/id",
            "~/.ssh/a =,b",
            {"login identityfile": "~/.ssh/a =,b"},
            id="a path of two words",
        ),
        pytest.param(
            "/opt/enter --mem=8G", "x %h -oA", {"job remotecommand": "x %h -oA"}, id="tokens of ssh"
        ),
        pytest.param(
            "/opt/start --output=%j.log",
            "x %h",
            {"job proxycommand": 'ssh login "x %%h"'},
            id="tokens of ssh in the command on the login host",
        ),
    ],
)
def test_ssh_reads_a_hostile_text_as_one_value(
    valid: str, hostile: str, changed: dict[str, str], tmp_path: Path, need: Callable[..., None]
) -> None:
    need("ssh")
    site = SITES["publickey"]
    before = ssh_settings(site, tmp_path)
    after = ssh_settings(parsed(with_text(site, valid, hostile)), tmp_path)
    assert after.keys() == before.keys()
    # The name of a socket holds a digest of the settings with which its connection was opened.
    sockets = {key: value for key, value in after.items() if key.endswith(" controlpath")}
    assert all(
        re.fullmatch(r"\S+/gen-[a-z2-7]{10}-[0-9a-f]{40}|none", path) for path in sockets.values()
    )
    different = {
        key: value for key, value in after.items() if value != before[key] and key not in sockets
    }
    assert different.items() >= changed.items()
    # Only the keywords of the hostile text differ.
    assert {key.split()[1] for key in different} == {key.split()[1] for key in changed}
