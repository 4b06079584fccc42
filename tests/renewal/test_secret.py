"""A secret shows itself to nobody who did not ask for it by name."""

import copy
import json
import logging
import pickle
import traceback
from dataclasses import dataclass

import pytest

from generator.errors import GenError
from generator.renewal.credentials import Credential, Kept
from generator.renewal.secret import Secret

VALUE = "correct-horse-battery-staple"


@pytest.fixture
def secret() -> Secret:
    return Secret(f" {VALUE}\n", "a test")


@dataclass(frozen=True)
class Holder:
    """What holds a secret among other things."""

    secret: Secret


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(str, id="str"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda secret: f"{secret} {secret!r} {secret:>60}", id="format"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
        pytest.param(lambda secret: repr(Holder(secret)), id="in a dataclass"),
        pytest.param(lambda secret: repr(Kept(Credential(secret))), id="in the credentials"),
        pytest.param(lambda secret: repr([secret, {secret: secret}]), id="in a list"),
    ],
)
def test_no_text_of_it_shows_it(secret: Secret, shown: object) -> None:
    assert callable(shown)
    text = shown(secret)
    assert "…" in text
    assert not any(VALUE[start : start + 5] in text for start in range(len(VALUE) - 4))


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
def test_it_is_not_stored_by_accident(secret: Secret, store: object) -> None:
    assert callable(store)
    with pytest.raises(TypeError) as caught:
        store(secret)
    assert VALUE not in str(caught.value)


def test_neither_a_log_nor_a_traceback_shows_it(
    secret: Secret, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("test").warning("the secret is %s", secret)
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        text = traceback.format_exc()
    assert VALUE not in caplog.text + text


def test_it_is_itself_to_who_asks(secret: Secret) -> None:
    assert secret.reveal() == VALUE
    assert secret == Secret(VALUE, "another place") != Secret("another", "a test")


def test_no_more_than_four_characters_tell_one_from_another(secret: Secret) -> None:
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
def test_what_can_be_no_secret_is_refused_by_its_source_and_never_shown(value: str) -> None:
    with pytest.raises(GenError) as caught:
        Secret(value, "the variable ASC_OIDC_APP_PASSWORD")
    assert str(caught.value).startswith("the variable ASC_OIDC_APP_PASSWORD: ")
    assert not value.strip() or value not in str(caught.value)
