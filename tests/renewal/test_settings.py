"""What a renewal works with: the spec, and before it the variables that the site's documentation names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from generator.compiler.emitters.env_file import variables
from generator.errors import GenError
from generator.loading.inputs import Choice
from generator.renewal.settings import Authentik, Command, Oidc, Settings, Step, read

PROFILE = "user: ada\nemail: ada@example.org\nclient_id: abc123\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, which is the working one too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    return tmp_path


def settings(
    site: str = "musica", profile: str | None = "profile.yaml", **environment: str
) -> Settings:
    return read(Choice(site, None, Path(profile) if profile else None, {}, ()), environment)


def step(found: Settings) -> Step:
    assert isinstance(found.way, Step)
    return found.way


def test_the_spec_and_the_profile_say_everything(home: Path) -> None:
    assert settings() == Settings(
        site="musica",
        user="ada",
        prefix="ASC",
        key=home / ".ssh/id_musica",
        certificate=home / ".ssh/id_musica-cert.pub",
        copy=None,
        skew=1800,
        most=None,
        way=Step(
            context="asc",
            ca_url="https://auth.asc.ac.at:9000",
            fingerprint="44b048473242281db1da57124c2b843741d6c92a8fb5d0482dec032e957f2919",
            provisioner=None,
            identity="ada@example.org",
            bootstrap_anew=False,
            oidc=Oidc(
                "https://auth.asc.ac.at/application/o/token/",
                "abc123",
                "ada",
                "profile",
                "access_token",
            ),
            authentik=Authentik(
                api_base="https://auth.asc.ac.at",
                identifier="dagster-slurm",
                expires_days=30,
                skew_days=7,
                credentials_file=home / ".config/dagster-slurm/musica-auth.env",
                app_password_file=home / ".secrets/asc_app_password.txt",
            ),
        ),
    )


FINGERPRINT = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("variable", "value", "place", "expected"),
    [
        pytest.param("ASC_OIDC_CLIENT_ID", "other", "way.oidc.client_id", "other", id="client id"),
        pytest.param(
            "ASC_OIDC_USERNAME", "xy12345", "way.oidc.username", "xy12345", id="user name"
        ),
        pytest.param(
            "ASC_OIDC_TOKEN_URL",
            "https://e.org/t/",
            "way.oidc.token_url",
            "https://e.org/t/",
            id="token",
        ),
        pytest.param(
            "ASC_OIDC_SCOPE", "openid profile", "way.oidc.scope", "openid profile", id="scope"
        ),
        pytest.param(
            "ASC_OIDC_TOKEN_FIELD", "id_token", "way.oidc.token_field", "id_token", id="token field"
        ),
        pytest.param("ASC_STEP_CONTEXT", "mine", "way.context", "mine", id="context"),
        pytest.param(
            "ASC_STEP_CA_URL", "https://e.org:9", "way.ca_url", "https://e.org:9", id="CA"
        ),
        pytest.param(
            "ASC_STEP_FINGERPRINT",
            FINGERPRINT.upper(),
            "way.fingerprint",
            FINGERPRINT,
            id="fingerprint",
        ),
        pytest.param("ASC_STEP_REFRESH_SKEW", "45", "skew", 2700, id="skew, in minutes"),
        pytest.param(
            "ASC_STEP_BOOTSTRAP_FORCE", "true", "way.bootstrap_anew", True, id="bootstrap again"
        ),
        pytest.param(
            "ASC_AUTHENTIK_API_BASE",
            "https://e.org",
            "way.authentik.api_base",
            "https://e.org",
            id="API",
        ),
        pytest.param(
            "ASC_AUTHENTIK_TOKEN_IDENTIFIER",
            "mine",
            "way.authentik.identifier",
            "mine",
            id="identifier",
        ),
        pytest.param(
            "ASC_AUTHENTIK_TOKEN_EXPIRES_DAYS", "9", "way.authentik.expires_days", 9, id="days"
        ),
        pytest.param(
            "ASC_AUTHENTIK_REFRESH_SKEW_DAYS",
            "3",
            "way.authentik.skew_days",
            3,
            id="skew of credentials",
        ),
        pytest.param(
            "ASC_AUTHENTIK_TOKEN_INTENT",
            "app_password",
            "site",
            "musica",
            id="the only intent there is",
        ),
        pytest.param(
            "ASC_AUTHENTIK_CREDENTIALS_FILE",
            "/x/y",
            "way.authentik.credentials_file",
            Path("/x/y"),
            id="f",
        ),
        pytest.param(
            "ASC_AUTHENTIK_APP_PASSWORD_OUTPUT",
            "/x",
            "way.authentik.app_password_file",
            Path("/x"),
            id="o",
        ),
        pytest.param(
            "ASC_STEP_CERT_PATH", "/x/id-cert.pub", "key", Path("/x/id"), id="key of a certificate"
        ),
        pytest.param(
            "ASC_STEP_CERT_PATH",
            "/x/id",
            "certificate",
            Path("/x/id-cert.pub"),
            id="certificate of a key",
        ),
        pytest.param(
            "ASC_STEP_CERT_PATH",
            "/x/asc.crt",
            "copy",
            Path("/x/asc.crt"),
            id="a place that ssh ignores",
        ),
    ],
)
def test_a_variable_comes_before_the_spec(
    home: Path, variable: str, value: str, place: str, expected: object
) -> None:
    found: Any = settings(**{variable: value})
    for name in place.split("."):
        found = getattr(found, name)
    assert found == expected


def test_a_copy_leaves_the_certificate_where_ssh_looks(home: Path) -> None:
    found = settings(ASC_STEP_CERT_PATH="~/.step/ssh/certs/asc.crt")
    assert (found.copy, found.certificate) == (
        home / ".step/ssh/certs/asc.crt",
        home / ".ssh/id_musica-cert.pub",
    )


@pytest.mark.parametrize("value", ["", " ", "null"])
def test_an_empty_variable_is_none(home: Path, value: str) -> None:
    names = (
        "ASC_OIDC_SCOPE",
        "ASC_STEP_CONTEXT",
        "ASC_STEP_CERT_PATH",
        "ASC_AUTHENTIK_TOKEN_INTENT",
    )
    assert settings(**dict.fromkeys(names, value)) == settings()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        pytest.param(
            {"ASC_STEP_REFRESH_SKEW": "soon"},
            "ASC_STEP_REFRESH_SKEW: auth.renew_before: 'soonm' is not a duration (90s, 30m, 16h, 1d)",
            id="skew",
        ),
        pytest.param(
            {"ASC_OIDC_TOKEN_URL": "http://example.org/token"},
            "ASC_OIDC_TOKEN_URL: auth.oidc.token_url: 'http://example.org/token' is not an https:// address "
            "(http:// only on the loopback)",
            id="plain http",
        ),
        pytest.param(
            {"ASC_AUTHENTIK_TOKEN_INTENT": "api"},
            "ASC_AUTHENTIK_TOKEN_INTENT: 'api' opens no token endpoint; it can only be app_password",
            id="intent",
        ),
        pytest.param(
            {"ASC_AUTHENTIK_REFRESH_SKEW_DAYS": "-1"},
            "ASC_AUTHENTIK_REFRESH_SKEW_DAYS: '-1' is no number of days",
            id="days",
        ),
    ],
)
def test_a_bad_variable_is_told_by_its_name(
    home: Path, environment: Mapping[str, str], message: str
) -> None:
    with pytest.raises(GenError) as caught:
        settings(**environment)
    assert str(caught.value) == message


def test_every_variable_of_the_env_file_means_the_same_here(home: Path) -> None:
    """What `gen site` writes into `.env.musica` changes nothing when it is sourced."""
    from generator import resources
    from generator.compiler.account import Account
    from generator.loading import validate
    from generator.schema.profile import SiteProfile

    profile = SiteProfile(user="ada", email="ada@example.org", client_id="abc123", home=str(home))
    lines = variables(Account(validate.site(resources.CATALOGUE / "musica.yaml"), profile))
    environment = {
        line.name: line.value for line in lines if line.name.startswith("ASC_") and line.value
    }
    assert len(environment) > 12
    assert settings(**environment) == settings()


def test_variables_of_another_prefix_are_not_ours(home: Path) -> None:
    assert settings(OIDC_SCOPE="x", XASC_OIDC_SCOPE="x", MUSICA_OIDC_SCOPE="x") == settings()


def test_who_is_not_known_is_left_open(home: Path) -> None:
    found = settings(profile=None)
    assert (found.user, step(found).identity) == (None, None)
    assert step(found).oidc == Oidc(
        "https://auth.asc.ac.at/application/o/token/", None, None, "profile", "access_token"
    )


def test_the_command_of_a_centre_is_filled_in(home: Path) -> None:
    found = settings("isambard-ai")
    assert found.way == Command(
        words=("clifton", "auth", "--identity", str(home / ".ssh/id_isambard-ai")),
        portal=None,
        asks=True,
        makes_key=False,
        each_connection=False,
        secret=None,
        docs="https://docs.isambard.ac.uk/",
    )
    assert (found.prefix, found.skew) == ("ISAMBARD_AI", 10800)
    assert settings("cscs-daint").most == 5


def test_a_command_that_needs_what_is_not_known_says_so(home: Path) -> None:
    with pytest.raises(GenError, match=r"nersc-perlmutter: your user is not known; put it into"):
        settings("nersc-perlmutter", profile=None)


def test_a_site_without_certificates_says_so(home: Path) -> None:
    with pytest.raises(
        GenError, match="mila: logs people in with publickey; there is no certificate to renew"
    ):
        settings("mila")
