"""Only `reveal` shows a secret."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from generator.errors import GenError
from generator.renewal.credentials import Credential, Credentials
from generator.renewal.secret import Secret

VALUE = "correct-horse-battery-staple"


@pytest.fixture
def secret() -> Secret:
    return Secret(f" {VALUE}\n", "a test")


@dataclass(frozen=True)
class Holder:
    """A dataclass with a secret in it."""

    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(str, id="str"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda secret: f"{secret} {secret!r} {secret:>60}", id="format"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
        pytest.param(lambda secret: repr(Holder(secret)), id="in a dataclass"),
        pytest.param(lambda secret: repr(Credentials(Credential(secret))), id="in the credentials"),
        pytest.param(lambda secret: repr([secret, {secret: secret}]), id="in a list"),
    ],
)
def test_no_conversion_to_text_shows_it(secret: Secret, shown: object) -> None:
    assert callable(shown)
    text = shown(secret)
    assert "…" in text
    # Nor a part of it: the last four characters may be shown.
    for start in range(len(VALUE) - 4):
        assert VALUE[start : start + 5] not in text


@pytest.mark.parametrize(
    "store",
    [
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(json.dumps, id="json"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(vars, id="vars"),
    ],
)
def test_it_cannot_be_stored_by_accident(secret: Secret, store: object) -> None:
    assert callable(store)
    with pytest.raises(TypeError) as caught:
        store(secret)
    assert VALUE not in str(caught.value)


def test_no_log_or_traceback_shows_it(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("the secret is %s", secret)
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        text = traceback.format_exc()
    assert VALUE not in caplog.text + text


def test_reveal_returns_the_stripped_value(secret: Secret) -> None:
    assert secret.reveal() == VALUE


def test_secrets_are_equal_by_their_value(secret: Secret) -> None:
    assert secret == Secret(VALUE, "another source")
    assert secret != Secret("another", "a test")


def test_the_tail_has_four_characters_of_a_long_secret_and_none_of_a_short_one(
    secret: Secret,
) -> None:
    assert secret.tail() == "…aple"
    assert Secret("short", "a test").tail() == "…"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param(" \n", id="blank"),
        pytest.param("two words", id="two words"),
        pytest.param("line\nbreak", id="a line break, which would end a header"),
        pytest.param("pässword", id="beyond ASCII"),
        pytest.param("nul\0", id="NUL"),
    ],
)
def test_an_impossible_secret_is_refused_by_its_source_and_not_shown(value: str) -> None:
    with pytest.raises(GenError) as caught:
        Secret(value, "the variable ASC_OIDC_APP_PASSWORD")
    assert str(caught.value) == (
        "the variable ASC_OIDC_APP_PASSWORD: is not one word of ASCII, as a password or "
        "token is; store the secret there and nothing else"
    )
