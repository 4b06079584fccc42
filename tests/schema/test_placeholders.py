"""Placeholders: each is replaced once, and no text is half filled."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from generator.compiler.account import Account
from generator.schema.placeholders import PLACEHOLDERS, expand, names
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec
from generator.schema.text_types import (
    Alias,
    Argument,
    Email,
    HostName,
    LocalPath,
    NodeHost,
    RemotePath,
    UserName,
)

SITE = SiteSpec.model_validate(
    {
        "site": "hpc",
        "title": "A cluster",
        "hosts": {"hpc": {"host": "login.example.org"}},
        "auth": {"method": "publickey"},
    }
)
FULL = {
    "user": "Ada",
    "email": "ada@example.org",
    "account": "acc1",
    "allocation": "proj1",
    "client_id": "id1",
}


def account(**values: Any) -> Account:
    return Account(SITE, SiteProfile(**values))


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        pytest.param("plain", {}, "plain", id="no placeholder"),
        pytest.param("", {}, "", id="nothing"),
        pytest.param("{user}", {"user": "ada"}, "ada", id="nothing else"),
        pytest.param("/{user}/{user}/x", {"user": "ada"}, "/ada/ada/x", id="twice"),
        pytest.param("{user}.{project}", {"user": "ada", "project": "p"}, "ada.p", id="two"),
        pytest.param(
            "{user}",
            # A value is foreign text. A second pass would let a user name read the other values.
            {"user": "{email}", "email": "a@b"},
            "{email}",
            id="a value is not expanded again",
        ),
        pytest.param(
            "{a}{b}", {"a": "{b", "b": "}x"}, "{b}x", id="nor are braces that only the values make"
        ),
        # re.sub would read these as references to groups.
        pytest.param("{user}", {"user": r"\g<0>\1"}, r"\g<0>\1", id="a value is no pattern"),
        pytest.param("{user}", {"user": None}, None, id="a value that is not known"),
        pytest.param(
            "{user}/{project}", {"user": "ada", "project": None}, None, id="one of two is not known"
        ),
        pytest.param("{nobody}", {"user": "ada"}, None, id="an unknown name"),
        pytest.param("{", {}, "{", id="an open brace"),
        pytest.param("{ user }", {"user": "ada"}, "{ user }", id="spaces make it no placeholder"),
        pytest.param(
            "{{user}}", {"user": "ada"}, "{ada}", id="braces are not doubled to keep them"
        ),
    ],
)
def test_expansion(text: str, values: Mapping[str, str | None], expected: str | None) -> None:
    assert expand(text, values) == expected


VALUES = st.text() | st.sampled_from(["{user}", "{email}", "{", "}", "\\1"])


@settings(derandomize=True, database=None)
@given(VALUES, VALUES)
def test_a_value_is_inserted_unchanged(user: str, email: str) -> None:
    assert (
        expand("a{user}b{email}c{user}", {"user": user, "email": email})
        == f"a{user}b{email}c{user}"
    )


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_every_placeholder_stands_for_a_value_of_the_user_or_the_site(name: str) -> None:
    values = FULL | {"project": FULL["allocation"], "initial": "a", "site": "hpc"}
    assert account(**FULL).fill(f"{{{name}}}") == values[name]


@pytest.mark.parametrize("name", [name for name in PLACEHOLDERS if name != "site"])
def test_a_text_with_an_unknown_value_is_not_filled_at_all(name: str) -> None:
    # A path such as /x//y exists, and a command would work on the wrong directory.
    assert account().fill(f"/x/{{{name}}}/y") is None


def test_there_is_a_placeholder_for_all_that_an_account_knows() -> None:
    assert set(account().values()) == set(PLACEHOLDERS)


@pytest.mark.parametrize(
    ("text", "profile", "expected"),
    [
        pytest.param("plain", {}, [], id="nothing is needed"),
        pytest.param("{user}", {"user": "ada"}, [], id="all is known"),
        pytest.param("{user}/{site}", {}, ["user"], id="the site is always known"),
        pytest.param("{initial}", {}, ["user"], id="the initial is the user's"),
        pytest.param("/home/{initial}/{user}", {}, ["user"], id="the user is asked for once"),
        pytest.param(
            "{project}/{user}/{project}", {}, ["allocation", "user"], id="each once, as they come"
        ),
        pytest.param(
            "{project}/{user}", {"user": "ada"}, ["allocation"], id="what is known is not asked for"
        ),
        pytest.param(
            "{email} {account} {client_id}", {}, ["email", "account", "client_id"], id="the others"
        ),
        pytest.param("{n} {nobody}", {}, [], id="names that are not values of the user"),
    ],
)
def test_the_missing_values_of_a_text_are_listed_once_in_order(
    text: str, profile: dict[str, str], expected: list[str]
) -> None:
    assert account(**profile).missing(text) == expected


NAMES: list[Any] = [
    pytest.param(Alias, "x-{}", id="an alias"),
    pytest.param(HostName, "{}.example.org", id="a host name"),
]
TEXTS: list[Any] = [
    pytest.param(UserName, "{}", id="a user name"),
    pytest.param(Email, "{}@EXAMPLE.ORG", id="an e-mail address"),
    pytest.param(LocalPath, "~/{}/x", id="a path here"),
    pytest.param(RemotePath, "/home/{}", id="a path there"),
    pytest.param(Argument, "--user={}", id="an argument"),
]


@pytest.mark.parametrize(("form", "text"), [*NAMES, *TEXTS])
def test_a_form_accepts_an_existing_placeholder(form: Any, text: str) -> None:
    value = text.format("{project}")
    assert TypeAdapter(form).validate_python(value) == value


def refusal(form: Any, value: str) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(form).validate_python(value)
    (error,) = refused.value.errors()
    return str(error["ctx"]["error"])


@pytest.mark.parametrize(("form", "text"), TEXTS)
@pytest.mark.parametrize("name", ["usr", "User", "n", "home", "", "0"])
def test_a_form_refuses_an_unknown_placeholder(form: Any, text: str, name: str) -> None:
    placeholders = ", ".join(PLACEHOLDERS)
    message = f"{{{name}}} is not a placeholder here; write one of {placeholders}"
    assert refusal(form, text.format(f"{{{name}}}")) == message


@pytest.mark.parametrize(("form", "text"), NAMES)
@pytest.mark.parametrize("name", ["user", "email", "client_id", "usr", "n"])
def test_a_name_refuses_placeholders_whose_values_may_contain_an_at_sign(
    form: Any, text: str, name: str
) -> None:
    # ssh would take `ada@evil` in a host name for a user and a host.
    placeholders = "account, project, site, initial"
    message = f"{{{name}}} is not a placeholder here; write one of {placeholders}"
    assert refusal(form, text.format(f"{{{name}}}")) == message


def test_a_node_has_a_number_beside_the_placeholders() -> None:
    assert TypeAdapter(NodeHost).validate_python("{project}-{n}.example.org")
    with pytest.raises(ValidationError, match="write one of account, project, site, initial, n"):
        TypeAdapter(NodeHost).validate_python("{m}-{n}.example.org")


@pytest.mark.parametrize(
    "name", ["user", "email", "identity_file", "account", "allocation", "client_id", "home"]
)
@pytest.mark.parametrize("text", ["{user}", "/{user}", "a{}@b.org"])
def test_a_value_of_a_profile_has_no_placeholder(name: str, text: str) -> None:
    with pytest.raises(ValidationError):
        SiteProfile.model_validate({name: text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a{user}b{n}", ["user", "n"], id="in the order they appear"),
        pytest.param("{user}{user}", ["user", "user"], id="as often as they appear"),
        pytest.param("{}", [""], id="braces around nothing"),
        pytest.param("{a b} {a-b} {7*7}", [], id="braces around what is no name"),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert names(text) == expected
