"""Nothing that a spec or a profile holds can start a line, a directive or a command of its own.

Every text of a sound spec is made hostile in turn. Where validation takes it, each file is read again by its own
reader and must be built as before: the same keywords, keys and words, whatever their values.
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
from full_spec import AUTHS, SPEC
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

PERSON = {
    "user": "ada",
    "email": "ada@person.example.org",
    "identity_file": "/keys/ada",
    "account": "acc1",
    "project": "proj1",
    "client_id": "id1",
    "home": "/home/ada",
    "accept_unverified": True,
}
PROFILE = PERSON | {
    "sites": {
        "hpc": {name: f"{value}2" for name, value in PERSON.items() if isinstance(value, str)}
        | {"set": {"slurm.constraint": "large"}}
    }
}


def parsed(document: Mapping[str, Any]) -> SiteSpec:
    return SiteSpec.model_validate_json(json.dumps(document))


DOCUMENT = SPEC | {"auth": AUTHS["step"]}
SITES = {method: parsed(SPEC | {"auth": auth}) for method, auth in AUTHS.items()}
ADA = SiteProfile.model_validate(PERSON)
EVERYTHING = Profile.model_validate(PROFILE)


def declared(model: type[BaseModel], name: str) -> str:
    """Return a field by the model that declares it; those that inherit it have the same."""
    return next(
        f"{base.__name__}.{name}"
        for base in model.__mro__[::-1]
        if name in getattr(base, "model_fields", {})
    )


def texts(value: object, owner: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text, keys of mappings too, with the field that it belongs to."""
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


def with_text(value: object, old: str, new: str) -> Any:
    """Return the document of a value with one text replaced wherever it stands, in references to it too."""
    match value:
        case BaseModel():
            return {
                name: with_text(getattr(value, name), old, new) for name in value.model_fields_set
            }
        case Mapping():
            return {
                with_text(key, old, new): with_text(item, old, new) for key, item in value.items()
            }
        case tuple():
            return [with_text(item, old, new) for item in value]
        case str() | date():
            return new if str(value) == old else str(value)
        case _:
            return value


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield every model that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def takes_text(annotation: Any) -> bool:
    return annotation in (str, date) or any(takes_text(part) for part in get_args(annotation))


def fields(root: type[BaseModel]) -> set[str]:
    """Return every field of every model that may hold a text of its own."""
    return {
        declared(model, name)
        for model in models(root)
        for name, field in model.model_fields.items()
        if takes_text(field.annotation)
    }


def test_every_text_of_every_model_of_a_spec_is_made_hostile() -> None:
    assert fields(SiteSpec) <= {owner for site in SITES.values() for owner, _ in texts(site)}


def test_every_model_of_a_spec_is_reached() -> None:
    assert {model.__name__ for model in models(SiteSpec)} >= {
        *(
            "SiteSpec",
            "Source",
            "Host",
            "Nodes",
            "Keepalive",
            "Compute",
            "JobEntry",
            "HostKeys",
            "Authority",
        ),
        *(
            "PublicKeyAuth",
            "KeyboardAuth",
            "KerberosAuth",
            "AgentAuth",
            "StepAuth",
            "Oidc",
            "Authentik",
        ),
        *(
            "CommandCertificateAuth",
            "Slurm",
            "Request",
            "Partition",
            "Limit",
            "Qos",
            "Accounts",
            "AccountNeeds",
        ),
        *("Ray", "RayPorts", "Spark", "Deployment", "Filesystem", "HttpApi"),
    }


def test_every_text_of_a_profile_is_made_hostile() -> None:
    assert fields(Profile) <= {owner for owner, _ in texts(EVERYTHING)}


@pytest.mark.parametrize("method", AUTHS)
def test_the_specs_are_sound(method: str) -> None:
    assert faults(SITES[method]) == []
    assert SITES[method].auth.method == method


Shape = Mapping[str, object]
# What a shell or ssh would not take as it stands. Quotes that belong together, and %% for a %, are undone before.
SIGNS = re.compile(r"%.|[$`\\;|&<>()#]")
LISTS = {"Host", "RemoteCommand"}  # of as many words as the spec has


def signs(text: str) -> list[str]:
    return SIGNS.findall(text.replace("%%", ""))


def ssh_config(content: str) -> object:
    """Return the lines of a configuration: keyword, number of words, and signs with a meaning."""
    lines = [
        line.strip().partition(" ") for line in content.split("\n") if not line.startswith("#")
    ]
    return [
        (keyword, keyword in LISTS or len(shlex.split(value)), signs(value))
        for keyword, _, value in lines
    ]


def known_hosts(content: str) -> object:
    return [len(line.split()) for line in content.split("\n") if not line.startswith("#")]


def assignments(content: str) -> object:
    """Return the names of the variables, the first part that a spec chooses left out."""
    return [
        re.sub(r"^.+_(?=OIDC|STEP|AUTHENTIK)", "", name)
        for name in dotenv_values(stream=StringIO(content))
    ]


def unit(content: str) -> object:
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string(content)
    return {
        name: (list(parser[name]), signs(" ".join(parser[name].values())))
        for name in parser.sections()
    }


def agent(content: str) -> object:
    found = plistlib.loads(content.encode())
    return list(found), len(found["ProgramArguments"]), signs(found["ProgramArguments"][-1])


READERS: Mapping[str, Callable[[str], object]] = {
    ".conf": ssh_config,
    ".known_hosts": known_hosts,
    ".service": unit,
    ".timer": unit,
    ".plist": agent,
}


@cache  # most texts of a spec are in no file
def built(suffix: str, content: str) -> object:
    """Return how a file is built, without the names and values in it: as its reader sees it, and its lines."""
    assert content.replace("\n", "").replace("\t", "").isprintable()
    return READERS.get(suffix, assignments)(content), content.count("\n")


def shape(site: SiteSpec, someone: SiteProfile) -> Shape:
    """Return how every file of a site is built."""
    files = {artifact.path: artifact.content.decode() for artifact in compile_site(site, someone)}
    return {
        path.suffix if path.suffix in READERS else ".env": built(path.suffix, files[path])
        for path in files
    }


SHAPES = {method: shape(site, ADA) for method, site in SITES.items()}

# Each is put behind a sound text, which keeps the form that its start has.
BEHIND = {
    "a line break": "\nProxyCommand reboot",
    "a line break at the end": "\n",
    "a carriage return": "\rProxyCommand reboot",
    "NUL": "\0",
    "a tab": "\tx",
    "a line separator": "\u2028x",
    "a next line": "\u0085x",
    "an escape": "\x1b[2J",
    "a text turned round": "\u202ex",
    "an invisible space": "\u200bx",
    "a space that does not break": "\u00a0x",
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
    "a per cent sign": "%%",
    "a space": " x",
    "a comment": " #x",
    "an equals sign": "=x",
    "a comma": ",x",
    "a placeholder": "{user}",
    "letters beyond ASCII": "żółć日本",
    "a very long text": "x" * 5000,
}
# Each stands alone.
INSTEAD = {
    "nothing": "",
    "a dash in front": "-oProxyCommand=id",
    "a comment": "#x",
    "a token of ssh": "%h",
    "a space in front": " x",
    "quotes round it": '"x"',
    "a pattern": "*",
    "a negation": "!*",
    "two folders up": "../../x",
    "another user": "root@evil.example.org",
    "a placeholder": "{user}",
    "a placeholder that there is not": "{nobody}",
    "a template": "{{7*7}}",
    "a template's block": "{% raw %}",
    "a template's comment": "{# x #}",
    "a tag": "</string><key>x</key>",
    "a section": "[Service]",
}
HOSTILE = [
    *(pytest.param(text, True, id=f"{name} behind it") for name, text in BEHIND.items()),
    *(pytest.param(text, False, id=name) for name, text in INSTEAD.items()),
]


def spec_with(site: SiteSpec, sound: str, hostile: str) -> SiteSpec | None:
    """Return the spec with a hostile text in it; ``None`` where it is refused."""
    try:
        found = parsed(with_text(site, sound, hostile))
    except ValidationError:
        return None
    return None if faults(found) else found


def is_built_as(expected: Shape, site: SiteSpec | None, someone: SiteProfile) -> bool:
    """Tell whether the files of a site are built as expected, or none is written at all."""
    try:
        return site is None or shape(site, someone) == expected
    except GenError:
        return True


# What all documents share is made hostile in the one that has the most files.
PLACES = list(
    dict.fromkeys(
        (method, text)
        for method, site in SITES.items()
        for _, text in texts(site if method == "step" else site.auth)
    )
)


@pytest.mark.parametrize(("text", "behind"), HOSTILE)
def test_no_text_of_a_spec_changes_how_a_file_is_built(text: str, behind: bool) -> None:
    hostile = [(method, sound, sound + text if behind else text) for method, sound in PLACES]
    wrong = [
        (sound, new)
        for method, sound, new in hostile
        if not is_built_as(SHAPES[method], spec_with(SITES[method], sound, new), ADA)
    ]
    assert wrong == []


FRAGMENTS = st.sampled_from([*BEHIND.values(), *INSTEAD.values()]) | st.text(max_size=5)


@settings(max_examples=examples(1500), deadline=None, derandomize=True, database=None)
@given(st.sampled_from(PLACES), FRAGMENTS, FRAGMENTS, st.integers(0, 80), st.integers(0, 80))
def test_no_text_within_a_text_of_a_spec_does(
    place: tuple[str, str], one: str, other: str, start: int, stop: int
) -> None:
    method, sound = place
    hostile = sound[:start] + one + sound[start:stop] + other + sound[stop:]
    assert is_built_as(SHAPES[method], spec_with(SITES[method], sound, hostile), ADA)


def people(document: Any) -> list[SiteProfile]:
    """Return who a profile says one is, at the site that it names and at others; nobody where it is refused."""
    try:
        profile = Profile.model_validate_json(json.dumps(document))
    except ValidationError:
        return []
    return [profile.at(name, {}) for name in ("hpc", "other")]


@pytest.mark.parametrize(("text", "behind"), HOSTILE)
def test_no_text_of_a_profile_changes_how_a_file_is_built(text: str, behind: bool) -> None:
    wrong = [
        (sound, text)
        for _, sound in texts(EVERYTHING)
        for someone in people(with_text(EVERYTHING, sound, sound + text if behind else text))
        if not is_built_as(SHAPES["step"], SITES["step"], someone)
    ]
    assert wrong == []


@settings(max_examples=examples(300), deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(list(PERSON)),
    FRAGMENTS,
    FRAGMENTS,
    st.integers(0, 40),
    st.sampled_from(["step", "publickey"]),
)
def test_no_text_within_a_text_of_a_profile_does(
    name: str, one: str, other: str, at: int, method: str
) -> None:
    sound = str(PERSON[name])
    for someone in people(PERSON | {name: sound[:at] + one + sound[at:] + other}):
        assert is_built_as(SHAPES[method], SITES[method], someone)


@pytest.mark.parametrize("text", ["x\nHost *", "$(id)", "{{7*7}}", "-oProxyCommand=id"])
def test_what_a_profile_sets_in_a_spec_must_have_the_form_of_the_spec(text: str) -> None:
    """JSON is YAML, so both documents can be read as files are."""
    profile = {"sites": {"hpc": {"set": {"hosts.gate.host": text}}}}
    spec, own = (File(Path("a.yaml"), json.dumps(data).encode()) for data in (DOCUMENT, profile))
    with pytest.raises(
        GenError, match=r"^profile, sites\.hpc\.set\.hosts\.gate\.host: hosts\.gate\.host: "
    ):
        build(Inputs(spec, own, {}, ()))


def test_a_template_in_a_title_is_written_as_it_is() -> None:
    title = "{{7*7}} {% raw %} {# x #} {user}"
    files = compile_site(SITES["step"].model_copy(update={"title": title}), ADA)
    assert sum(f" {title}\n".encode() in file.content for file in files) == 2


def test_no_jump_host_has_the_name_by_which_ssh_turns_jumps_off() -> None:
    assert spec_with(SITES["step"], "gate", "none") is None


def pasted(site: SiteSpec, someone: SiteProfile = ADA) -> object:
    """Return how the commands that lead to a first login are built; in some shells a # starts no comment."""
    login = first_login(Account(site, someone))
    commands = [*filter(None, [login.make_key]), *login.credential]
    return [(len(shlex.split(command, comments=True)), signs(command)) for command in commands]


@pytest.mark.parametrize(
    ("method", "sound", "hostile"),
    [
        pytest.param("publickey", "at the portal", "at $(id)", id="a command in a remark"),
        pytest.param(
            "publickey",
            "/keys/ada",
            "/home/ada lovelace/id",
            id="a key of the person's with a space",
        ),
        pytest.param("step", "/keys/ada", "/home/ada lovelace/id", id="the same for a certificate"),
        pytest.param(
            "certificate", "get-certificate", "get certificate", id="an argument with a space"
        ),
    ],
)
def test_no_text_adds_a_word_or_a_command_to_the_commands_to_paste(
    method: str, sound: str, hostile: str
) -> None:
    someone = SiteProfile.model_validate(with_text(ADA, sound, hostile))
    site = spec_with(SITES[method], sound, hostile)
    assert site is None or pasted(site, someone) == pasted(SITES[method])


def resolved(site: SiteSpec, folder: Path) -> dict[str, str]:
    """Return what ssh knows about the names of a site, by name and keyword."""
    someone = SiteProfile(user="ada", project="p", account="a")
    config = folder / "config"
    (content,) = (
        file.content for file in compile_site(site, someone) if file.path.suffix == ".conf"
    )
    config.write_bytes(content)
    found: dict[str, str] = {}
    for name in ("login", "gate", "robot-a", "job", "cn1"):
        done = subprocess.run(
            ["ssh", "-G", "-F", config, name], capture_output=True, text=True, check=True
        )
        lines = (line.partition(" ") for line in done.stdout.splitlines())
        found |= {f"{name} {keyword}": value for keyword, _, value in lines}
    return found


@pytest.mark.parametrize(
    ("sound", "hostile", "changed"),
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
            id="tokens on the way",
        ),
    ],
)
def test_ssh_reads_a_hostile_text_as_one_value(
    sound: str, hostile: str, changed: dict[str, str], tmp_path: Path, need: Callable[..., None]
) -> None:
    need("ssh")
    before = resolved(SITES["publickey"], tmp_path)
    after = resolved(parsed(with_text(SITES["publickey"], sound, hostile)), tmp_path)
    different = {key: value for key, value in after.items() if value != before.get(key)}
    assert after.keys() == before.keys()
    assert different.items() >= changed.items()
    assert {key.split()[1] for key in different} == {key.split()[1] for key in changed}
