"""The types of texts: the values that each accepts, and the message for those that it refuses."""

import base64
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from generator.schema import text_types
from generator.schema.text_types import (
    numbers,
    seconds,
    walltime_seconds,
)
from generator.ssh.keys import fingerprint_digest, key_blob

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"
ECDSA = (
    "ecdsa-sha2-nistp256 "
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBADeLjSj4J0MFrdxdn9M/mcZi1fqKnQB6ZHjysUl"
    "ontzFXI9PVoxPjYqMDDO0hM6IM6NCnkiiFqveEvSoXDnGWI="
)
FINGERPRINT = "SHA256:gfXZzaPiaYHcrPqzHvBi6v+BWRS/lXOS/zAjOKeoBJg"


def refusal(form: Any, value: object) -> str | None:
    """Return why a value is refused, if it is."""
    try:
        TypeAdapter(form).validate_python(value, strict=True)
    except ValidationError as error:
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return None


# Values that each type accepts, each with a name that says its kind.
TAKEN: dict[str, dict[str, str]] = {
    "HostName": {
        "a name": "login.example.org",
        "one word": "localhost",
        "digits and dashes": "login-01.hpc2.example.org",
        "an underscore": "login_1",
        "an address": "192.0.2.1",
        "an address of IPv6": "2001:db8::1",
        "the loopback of IPv6": "::1",
        "a placeholder": "{project}.example.org",
        # RFC 1035, section 2.3.4, less the bytes of the lengths.
        "253 letters": "x" * 253,
    },
    "Alias": {
        "a word": "mila",
        "capitals, dots, dashes and underscores": "HPC-2.login_1",
        "a digit in front": "1st",
        "a placeholder": "{project}.aip2.isambard",
        "100 letters": "x" * 100,
    },
    "UserName": {
        "a word": "ada",
        "first and last name": "ada.lovelace",
        "an underscore in front": "_ada",
        # Sites with Active Directory accept it as a user name.
        "a realm": "ada@EXAMPLE.ORG",
        "placeholders": "{user}.{project}",
    },
    "Email": {
        "an address": "ada@example.org",
        "a plus": "ada+hpc@mail.example.org",
        "placeholders": "{email}",
        # A realm of Kerberos is written in capitals (RFC 4120, section 6.1).
        "a principal": "{user}@EXAMPLE.ORG",
    },
    "LocalPath": {
        "below the home folder": "~/.ssh/id_mila",
        "below the root": "/home/ada/.ssh/id",
        "a space": "/home/ada lovelace/key",
        # Home directories of directory services have the names of people.
        "letters of any language": "/home/józef/日本",
        "placeholders": "~/.certs/{user}-{project}",
    },
    "RemotePath": {
        "a path": "/home/ada/dagster-slurm",
        "placeholders": "/home/mila/{initial}/{user}",
        "signs": "/data/a@b+c=d,e:f",
    },
    "Url": {
        "a host": "https://ca.example.org",
        "a port and a path": "https://ca.example.org:9000/o/token/",
        "a query": "https://ca.example.org/x?a=b&c=d",
        # A browser login ends at a port of this machine (RFC 8252, 7.3), which has no TLS.
        "the loopback without TLS": "http://localhost:8765/x",
        "its address": "http://127.0.0.1",
    },
    "Link": {"a page": "http://docs.example.org/a/b#c?d=(e)", "a host": "https://docs.example.org"},
    "Fingerprint": {"as ssh-keygen prints it": FINGERPRINT},
    "RootFingerprint": {"64 small digits": "0123456789abcdef" * 4},
    "PublicKey": {"Ed25519": ED25519, "ECDSA": ECDSA},
    "Walltime": {
        "minutes": "30",
        "minutes and seconds": "30:00",
        "hours": "24:00:00",
        "many hours": "168:00:00",
        # sbatch(1) asks for no leading zeros.
        "one digit each": "1:2:3",
        "days and hours": "7-00",
        "days, hours and minutes": "7-00:00",
        "days to seconds": "7-00:00:00",
    },
    "Duration": {"seconds": "90s", "minutes": "30m", "hours": "16h", "days": "1d"},
    "Memory": {
        # sbatch(1), --mem: the default unit is megabytes.
        "megabytes without a unit": "4096",
        "kilobytes": "1K",
        "gigabytes": "64G",
        "terabytes": "2T",
    },
    "NodeRange": {
        "one": "1",
        "a range": "1-5",
        "a list": "01,02,05",
        "both": "1-3,7,9-10",
        "100 nodes": "1-100",
    },
    "Pattern": {
        "wildcards": "cn-????",
        "any": "*.example.org",
        "a negation": "!*login*",
        "very short": "c?",
    },
    "Signal": {
        "a name": "TERM@120",
        "a number": "15@60",
        "the shell": "B:USR1@300",
        # sbatch(1), --signal: to a job in a reservation that can overlap.
        "a reservation": "R:INT@5",
    },
    "Partitions": {"one": "zen4_0768_h100x4", "several": "GPU-a100,GPU-a40"},
    "NodeAlias": {"a number": "mila{n}", "placeholders": "{project}-{n}"},
    "NodeHost": {"a number": "login-{n}.example.org"},
    "HostTemplate": {"a domain": "%h.server.mila.quebec"},
    "Command": {"words": "/opt/start --mem=8G job"},
    "Option": {"long": "--mem", "with a value": "--gpus=N", "short": "-c"},
    "MasterUrl": {"a host and a port": "spark://master:7077"},
    "Slug": {"small letters": "sigma2-saga", "a digit": "2"},
    "Title": {"quotes": 'It\'s "half" a quote', "letters of any language": "Zürich – 日本"},
}

NOT = {
    "HostName": "a host name or address (it must not start with a dash)",
    "Alias": "an ssh alias (letters, digits and . _ -; it must not start with a dash)",
    "UserName": "a user name",
    "Email": "an e-mail address",
    "LocalPath": "a path that starts with / or ~/, of letters, digits, spaces and @+=:,./~_-",
    "RemotePath": "an absolute path of letters, digits and @+=:,./_-",
    "Url": "an https:// address (http:// only on the loopback)",
    "Link": "a web address",
    "Fingerprint": "a fingerprint as ssh-keygen -l prints it (SHA256:…)",
    "RootFingerprint": "a SHA-256 of 64 lowercase hexadecimal digits",
    "PublicKey": "a public key (TYPE BASE64, no comment)",
    "Walltime": "a walltime (MM, MM:SS, HH:MM:SS or D-HH[:MM[:SS]])",
    "Duration": "a duration (90s, 30m, 16h, 1d)",
    "Memory": "an amount of memory (64G, 4096M)",
    "NodeRange": "node numbers (1-5 or 01,02,05)",
    "Pattern": "an ssh host pattern",
    "Signal": "a signal and its seconds before the end (TERM@120)",
    "Partitions": "a partition, or several separated by commas",
    "NodeAlias": "an ssh alias with {n} for the number",
    "NodeHost": "a host name with {n} for the number",
    "HostTemplate": "a host name that starts with %h, the name that the user types",
    "Command": "a command of letters, digits, spaces and @%+=:,./- (it must not start with a dash)",
    "Option": "a command line option",
    "MasterUrl": "a Spark master (spark://host:7077)",
    "Slug": "a name of lowercase letters, digits and single dashes",
    "Title": "a title (it must not have a backslash)",
}

REFUSED: dict[str, dict[str, str]] = {
    "HostName": {
        "nothing": "",
        # ssh would take it for an option, and run the command.
        "a dash in front": "-oProxyCommand=id",
        "a dash at the end": "login-",
        "a dot in front": ".example.org",
        "a space": "a b",
        # It would override the User of the block.
        "a user": "root@example.org",
        "a port": "login.example.org:22",
        "brackets": "[::1]",
        "a pattern": "*.example.org",
    },
    "Alias": {
        "nothing": "",
        "a dash in front": "-v",
        "a pattern": "cn*",
        "a user": "a@b",
        "101 letters": "x" * 101,
    },
    "UserName": {
        "nothing": "",
        "a dash in front": "-l",
        "a space": "a b",
        "a colon": "a:b",
        "a dollar": "$USER",
    },
    "Email": {
        "no host": "ada",
        "no name": "@example.org",
        "two hosts": "a@b@c",
        "a name with a quote": "a'b@c",
        "a dash in front": "-x@example.org",
    },
    "LocalPath": {
        "from here": "id_rsa",
        # The home of another user, who could put any key there.
        "another's home folder": "~ada/x",
        "the root alone": "/",
        "a space at the end": "/x ",
        "a variable": "$HOME/x",
        "a quote": "/it's",
        # A token of ssh and a specifier of systemd, with two meanings.
        "a per cent sign": "/%d/x",
        "a backslash": "/a\\b",
        "a brace that is no placeholder": "/{x",
    },
    "RemotePath": {
        "a home folder": "~/x",
        "a space": "/a b",
        "a variable": "/$USER",
        "the root alone": "/",
    },
    "Url": {
        "without TLS": "http://ca.example.org",
        "no scheme": "ca.example.org",
        # A password in a spec is read by all who read the spec.
        "a user": "https://a:b@example.org",
        "a space": "https://example.org/a b",
        "a dollar": "https://example.org/$x",
        # A check of the beginning alone would accept it.
        "the loopback of another": "http://localhost.example.org",
    },
    "Link": {
        # The link becomes one of a page of the documentation.
        "a script": "javascript:alert(1)",
        "a quote": 'https://example.org/"',
        "a space": "https://example.org/ x",
    },
    "Fingerprint": {
        "another hash": "MD5:22:cc:78:01:3c:36:65:ac:1a:44:94:37:62:d4:a3:e4",
        "no prefix": FINGERPRINT.removeprefix("SHA256:"),
        "a space behind the prefix": FINGERPRINT.replace(":", ": "),
    },
    "RootFingerprint": {"capitals": "A" * 64, "63 digits": "a" * 63, "that of ssh": FINGERPRINT},
    "PublicKey": {
        "a comment": f"{ED25519} ada@example.org",
        "a type that signs with SHA-1 alone": ED25519.replace("ssh-ed25519", "ssh-dss"),
        "options in front": f"restrict {ED25519}",
        "no type": ED25519.partition(" ")[2],
    },
    "Walltime": {
        "nothing": "",
        "words": "25 hours",
        "60 seconds": "01:60",
        "four parts": "1:2:3:4",
        "days alone": "7-",
        "a sign": "-1",
        # Slurm accepts it, and a job without an end blocks a queue.
        "a word of Slurm's": "UNLIMITED",
    },
    "Duration": {
        "no unit": "30",
        "nothing": "0h",
        "a fraction": "1.5h",
        "two units": "1h30m",
        "weeks": "1w",
    },
    "Memory": {
        "nothing": "0",
        "a fraction": "1.5G",
        "two letters": "64GB",
        "small letters": "64g",
        "a space": "64 G",
    },
    "NodeRange": {"brackets": "[1-5]", "a space": "1, 2", "no end": "1-", "letters": "a-c"},
    "Pattern": {
        "nothing": "",
        "two": "a b",
        "two negations": "!!x",
        "a comma": "a,b",
        "letters in brackets": "[ab]",
    },
    "Signal": {
        "no lead": "TERM",
        "small letters": "term@5",
        "another recipient": "X:TERM@5",
        "no signal": "@5",
    },
    "Partitions": {"a comma at the end": "a,", "a space": "a, b", "a dash in front": "-a"},
    "NodeAlias": {"a dash in front": "-{n}"},
    "NodeHost": {"a dash in front": "-{n}.example.org"},
    "HostTemplate": {
        "no %h": "server.example.org",
        # ssh_config(5), TOKENS: %r is the user, and HostName knows %h and %% alone.
        "another token": "%r.example.org",
        "%h alone": "%h",
    },
    "Command": {
        "a dash in front": "-oA",
        # A shell at the site runs the text.
        "a second command": "a; b",
        "a variable": "a $b",
        "quotes": "a 'b'",
    },
    "Option": {"no dash": "mem", "a space": "--mem 4G"},
    "MasterUrl": {"a path": "spark://x/y", "the web": "https://master:7077"},
    "Slug": {
        "capitals": "Mila",
        "two dashes": "a--b",
        "a dash in front": "-a",
        "a folder": "../x",
        "a dot": "a.b",
    },
    "Title": {"a backslash": "x\\"},
}


def rows(table: dict[str, dict[str, str]]) -> list[Any]:
    params = []
    for form, values in table.items():
        for name, value in values.items():
            params.append(pytest.param(form, value, id=f"{form}, {name}"))
    return params


def test_every_form_has_accepted_and_refused_values() -> None:
    assert set(TAKEN) == set(NOT) == set(REFUSED)


@pytest.mark.parametrize(("form", "value"), rows(TAKEN))
def test_a_value_of_the_form_is_accepted(form: str, value: str) -> None:
    assert refusal(getattr(text_types, form), value) is None


@pytest.mark.parametrize(("form", "value"), rows(REFUSED))
def test_a_refusal_describes_the_expected_form(form: str, value: str) -> None:
    shown = value if len(value) <= 60 else value[:57] + "..."
    assert refusal(getattr(text_types, form), value) == f"{shown!r} is not {NOT[form]}"


@pytest.mark.parametrize(
    ("form", "value", "message"),
    [
        pytest.param(
            text_types.HostName,
            "x" * 254,
            "String should have at most 253 characters",
            id="a long host name",
        ),
        pytest.param(
            text_types.Title,
            "x" * 101,
            "String should have at most 100 characters",
            id="a long title",
        ),
        pytest.param(
            text_types.Text, "", "String should have at least 1 character", id="an empty text"
        ),
        pytest.param(
            text_types.LocalPath,
            "/" + "x" * 2000,
            "is longer than 2000 characters",
            id="a long path",
        ),
        pytest.param(
            text_types.Text,
            "a\nb",
            "has a control or invisible character (U+000A); remove it",
            id="two lines",
        ),
        pytest.param(
            text_types.UserName,
            # Invisible in a review, but another user to the server.
            "a\u200bb",
            "has a control or invisible character (U+200B); remove it",
            id="an invisible space",
        ),
        pytest.param(
            text_types.NodeAlias,
            "mila",
            "'mila' needs {n} for the number of the node",
            id="no number",
        ),
        pytest.param(
            text_types.NodeHost,
            "x.org",
            "'x.org' needs {n} for the number of the node",
            id="nor here",
        ),
        pytest.param(
            text_types.NodeRange,
            "5-1",
            "'5-1' counts backwards or has more than 100 nodes",
            id="a range backwards",
        ),
        pytest.param(
            text_types.NodeRange,
            "1-101",
            "'1-101' counts backwards or has more than 100 nodes",
            id="101 nodes",
        ),
        pytest.param(
            text_types.NodeRange,
            "1-60,61-101",
            "'1-60,61-101' counts backwards or has more than 100 nodes",
            id="in two",
        ),
        pytest.param(
            text_types.Fingerprint,
            "SHA256:AAAA",
            "'SHA256:AAAA' does not decode to the 32 bytes of a SHA-256",
            id="short",
        ),
        pytest.param(
            text_types.Fingerprint,
            # Base64 with padding decodes to the same bytes; ssh compares the text that it prints,
            # which has none.
            FINGERPRINT + "=",
            f"'{FINGERPRINT}=' does not decode to the 32 bytes of a SHA-256",
            id="a fingerprint with padding",
        ),
        pytest.param(
            text_types.Fingerprint,
            # The last letter carries two bits that no byte uses. ssh-keygen prints them as zero, so
            # a fingerprint with others never matches.
            FINGERPRINT[:-1] + "h",
            f"'{FINGERPRINT[:-1]}h' does not decode to the 32 bytes of a SHA-256",
            id="bits beyond the 32 bytes",
        ),
        pytest.param(
            text_types.PublicKey,
            "ssh-ed25519 AAAA",
            "'ssh-ed25519 AAAA' does not have a key of the type ssh-ed25519",
            id="a key cut short",
        ),
        pytest.param(
            text_types.PublicKey,
            # Python before 3.13 decodes this; ssh does not.
            "ssh-ed25519 AAAA=",
            "'ssh-ed25519 AAAA=' holds a key that is not base64",
            id="padding too many",
        ),
        pytest.param(
            text_types.PublicKey,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5' does not have a key of the type ssh-ed25519",
            id="a key that ends behind its type",
        ),
        pytest.param(
            text_types.PublicKey,
            # The blob names its own type; ssh ignores a line of known_hosts where they differ.
            ED25519.replace("ssh-ed25519", "ssh-rsa"),
            f"{ED25519.replace('ssh-ed25519', 'ssh-rsa')[:57]!r}".removesuffix("'")
            + "...' does not have a key of the type ssh-rsa",
            id="a key of another type",
        ),
    ],
)
def test_a_refusal_names_the_special_reason(form: Any, value: str, message: str) -> None:
    assert refusal(form, value) == message


@pytest.mark.parametrize("value", [1, 1.5, True, None, ["x"]])
def test_a_text_is_never_made_of_something_else(value: object) -> None:
    assert refusal(text_types.Text, value) == "Input should be a valid string"


@pytest.mark.parametrize(
    ("walltime", "expected"),
    [
        # sbatch(1), --time, lists these six forms.
        pytest.param("5", 5 * 60, id="minutes"),
        pytest.param("5:30", 5 * 60 + 30, id="minutes:seconds"),
        pytest.param("2:05:30", 2 * 3600 + 5 * 60 + 30, id="hours:minutes:seconds"),
        pytest.param("1-12", 36 * 3600, id="days-hours"),
        pytest.param("1-12:30", 36 * 3600 + 30 * 60, id="days-hours:minutes"),
        pytest.param("1-12:30:15", 36 * 3600 + 30 * 60 + 15, id="days-hours:minutes:seconds"),
    ],
)
def test_a_walltime_in_seconds_as_sbatch_reads_it(walltime: str, expected: int) -> None:
    assert refusal(text_types.Walltime, walltime) is None
    assert walltime_seconds(walltime) == expected


@pytest.mark.parametrize("walltime", ["0", "0:00", "00:00:00", "0-00"])
def test_a_walltime_of_zero_is_refused_because_slurm_takes_it_for_unlimited(walltime: str) -> None:
    assert refusal(text_types.Walltime, walltime) == (
        f"{walltime!r} means unlimited to Slurm (sbatch(1), --time); write the longest time"
    )


# Slurm has no upper limit for the first part, and sites write their limits so.
@pytest.mark.parametrize("walltime", ["1440", "1440:00", "1000:00:00"])
def test_a_walltime_may_be_of_many_minutes_or_hours(walltime: str) -> None:
    assert refusal(text_types.Walltime, walltime) is None


@settings(derandomize=True, database=None)
@given(st.integers(0, 999), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_walltime_as_slurm_prints_it(days: int, hours: int, minutes: int, secs: int) -> None:
    walltime = f"{days}-{hours:02}:{minutes:02}:{secs:02}"
    length = ((days * 24 + hours) * 60 + minutes) * 60 + secs
    assert (refusal(text_types.Walltime, walltime) is None) == (length > 0)
    assert walltime_seconds(walltime) == length


@pytest.mark.parametrize(
    ("duration", "expected"), [("90s", 90), ("30m", 1800), ("16h", 57600), ("2d", 172800)]
)
def test_a_duration_in_seconds(duration: str, expected: int) -> None:
    assert seconds(duration) == expected


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        pytest.param("3", ["3"], id="one"),
        pytest.param("1-3", ["1", "2", "3"], id="a range"),
        # The host name login01 is not login1.
        pytest.param("01-03", ["01", "02", "03"], id="zeros in front are kept"),
        pytest.param("08-11", ["08", "09", "10", "11"], id="over ten"),
        pytest.param("8-11", ["8", "9", "10", "11"], id="over ten without zeros"),
        pytest.param("001,02,3", ["001", "02", "3"], id="each as it is written"),
        pytest.param("1-2,7", ["1", "2", "7"], id="a range and one"),
        pytest.param("5-5", ["5"], id="from one to the same"),
    ],
)
def test_a_range_of_nodes_lists_their_numbers(nodes: str, expected: list[str]) -> None:
    assert list(numbers(nodes)) == expected


@settings(derandomize=True, database=None)
@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_is_32_bytes(digest: bytes) -> None:
    value = "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
    assert refusal(text_types.Fingerprint, value) is None
    assert fingerprint_digest(value) == digest


@pytest.mark.parametrize("key", [ED25519, ECDSA], ids=["Ed25519", "ECDSA"])
def test_a_key_holds_its_own_type(key: str) -> None:
    kind = key.partition(" ")[0].encode()
    assert key_blob(key)[4 : 4 + len(kind)] == kind


@pytest.mark.parametrize("form", sorted(TAKEN))
def test_the_pattern_in_the_schema_for_editors_agrees_where_there_is_one(form: str) -> None:
    pattern = TypeAdapter(getattr(text_types, form)).json_schema().get("pattern", "")
    for value in TAKEN[form].values():
        assert re.search(pattern, value)
    # Some forms have checks in Python alone, so their schema has no pattern.
    if pattern:
        for value in REFUSED[form].values():
            assert not re.search(pattern, value)
