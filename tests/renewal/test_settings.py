"""Settings of a renewal.

The spec, and the variables of the site's documentation, which override it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters.env_file import variables
from generator.errors import GenError
from generator.loading import validate
from generator.loading.inputs import Choice
from generator.renewal.failures import NoCertificateError
from generator.renewal.settings import DAY, Settings, read
from generator.schema.auth import CommandCertificateAuth, StepAuth
from generator.schema.profile import SiteProfile

PROFILE = "user: ada\nemail: ada@example.org\nclient_id: abc123\n"
FINGERPRINT = "0123456789abcdef" * 4


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, which is the working directory too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    return tmp_path


def settings(
    site: str = "musica", profile: str | None = "profile.yaml", **environment: str
) -> Settings:
    path = Path(profile) if profile else None
    return read(Choice(site, None, path, {}, ()), environment)


def attribute(value: Any, path: str) -> object:
    """Return an attribute of an attribute, such as `auth.oidc.scope`."""
    for name in path.split("."):
        value = getattr(value, name)
    return value


def test_the_settings_of_musica(home: Path) -> None:
    musica = settings()
    assert (musica.site, musica.user, musica.prefix) == ("musica", "ada", "ASC")
    assert musica.key == home / ".ssh/id_musica"
    assert musica.certificate == home / ".ssh/id_musica-cert.pub"
    assert musica.certificate_copy is None
    # The values of the site's documentation.
    assert (musica.skew, musica.rotation_skew) == (1800, 7 * DAY)
    assert musica.bootstrap_again is False
    assert isinstance(musica.auth, StepAuth)
    assert musica.auth.context == "asc"
    assert musica.auth.ca_url == "https://auth.asc.ac.at:9000"
    assert musica.auth.provisioner is None
    assert musica.identity == "ada@example.org"
    assert musica.oidc and musica.authentik
    assert musica.oidc.token_url.startswith("https://auth.asc.ac.at/application/o/token/")
    assert (musica.client_id, musica.username) == ("abc123", "ada")
    assert (musica.oidc.scope, musica.oidc.token_field) == ("profile", "access_token")
    assert musica.authentik.api_base == "https://auth.asc.ac.at"
    assert (musica.authentik.identifier, musica.authentik.expires_days) == ("dagster-slurm", 30)
    assert musica.credentials_file == home / ".config/dagster-slurm/musica-auth.env"
    assert musica.app_password_file == home / ".secrets/asc_app_password.txt"


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("OIDC_CLIENT_ID", "other", "client_id", "other"),
        ("OIDC_USERNAME", "xy12345", "username", "xy12345"),
        ("OIDC_TOKEN_URL", "https://e.org/t/", "auth.oidc.token_url", "https://e.org/t/"),
        ("OIDC_SCOPE", "openid profile", "auth.oidc.scope", "openid profile"),
        ("OIDC_TOKEN_FIELD", "id_token", "auth.oidc.token_field", "id_token"),
        ("STEP_CONTEXT", "mine", "auth.context", "mine"),
        ("STEP_CA_URL", "https://e.org:9", "auth.ca_url", "https://e.org:9"),
        # openssl prints fingerprints in capitals.
        ("STEP_FINGERPRINT", FINGERPRINT.upper(), "auth.ca_fingerprint", FINGERPRINT),
        # dagster-slurm reads minutes, and the documentation of step has durations.
        ("STEP_REFRESH_SKEW", "45", "skew", 45 * 60),
        ("STEP_REFRESH_SKEW", "30m", "skew", 30 * 60),
        ("STEP_REFRESH_SKEW", "2h", "skew", 2 * 3600),
        ("STEP_BOOTSTRAP_FORCE", "true", "bootstrap_again", True),
        ("AUTHENTIK_API_BASE", "https://e.org", "auth.authentik.api_base", "https://e.org"),
        ("AUTHENTIK_TOKEN_IDENTIFIER", "mine", "auth.authentik.identifier", "mine"),
        ("AUTHENTIK_TOKEN_EXPIRES_DAYS", "9", "auth.authentik.expires_days", 9),
        ("AUTHENTIK_REFRESH_SKEW_DAYS", "3", "rotation_skew", 3 * DAY),
        # The only intent for which the token endpoint accepts a password.
        ("AUTHENTIK_TOKEN_INTENT", "app_password", "site", "musica"),
        ("AUTHENTIK_CREDENTIALS_FILE", "/x/y", "credentials_file", Path("/x/y")),
        ("AUTHENTIK_APP_PASSWORD_OUTPUT", "/x", "app_password_file", Path("/x")),
        ("STEP_CERT_PATH", "/x/id-cert.pub", "key", Path("/x/id")),
        ("STEP_CERT_PATH", "/x/id", "certificate", Path("/x/id-cert.pub")),
        # Not KEY-cert.pub, so ssh would not read it: gen writes a copy for other programs.
        ("STEP_CERT_PATH", "/x/asc.crt", "certificate_copy", Path("/x/asc.crt")),
    ],
)
def test_a_variable_overrides_the_spec(
    home: Path, variable: str, value: str, path: str, expected: object
) -> None:
    assert attribute(settings(**{f"ASC_{variable}": value}), path) == expected


def test_a_copy_leaves_the_certificate_where_ssh_reads_it(home: Path) -> None:
    musica = settings(ASC_STEP_CERT_PATH="~/.step/ssh/certs/asc.crt")
    assert musica.certificate_copy == home / ".step/ssh/certs/asc.crt"
    assert musica.certificate == home / ".ssh/id_musica-cert.pub"


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        pytest.param({"SLURM_EDGE_NODE_KEY_PATH": "~/.ssh/id_own"}, ".ssh/id_own", id="alone"),
        pytest.param(
            {"SLURM_EDGE_NODE_KEY_PATH": "~/k", "SLURM_SUPERCOMPUTER_SITE": "musica"},
            "k",
            id="of this site",
        ),
        # A shell that has read .env.mila must not let the CA of MUSICA sign the key for Mila.
        pytest.param(
            {"SLURM_EDGE_NODE_KEY_PATH": "~/k", "SLURM_SUPERCOMPUTER_SITE": "mila"},
            ".ssh/id_musica",
            id="of another site",
        ),
        pytest.param(
            {"SLURM_EDGE_NODE_KEY_PATH": "~/k", "ASC_STEP_CERT_PATH": "~/c-cert.pub"},
            "c",
            id="beside the path of a certificate",
        ),
        pytest.param(
            {"SLURM_EDGE_NODE_KEY_PATH": "~/k", "ASC_STEP_CERT_PATH": "~/.step/asc.crt"},
            "k",
            id="beside a copy for step",
        ),
        pytest.param({"SLURM_EDGE_NODE_KEY_PATH": ""}, ".ssh/id_musica", id="empty"),
    ],
)
def test_the_key_of_dagster_slurm_is_the_key_of_the_certificate(
    home: Path, environment: dict[str, str], key: str
) -> None:
    musica = settings(**environment)
    assert (musica.key, musica.certificate) == (home / key, home / f"{key}-cert.pub")


@pytest.mark.parametrize(
    ("entry", "program", "arguments"),
    [
        pytest.param("", "step", (), id="neither"),
        pytest.param("step_binary: step-cli\n", "step-cli", (), id="another name"),
        pytest.param("step_binary: ~/bin/step\n", "HOME/bin/step", (), id="a path"),
        pytest.param(
            "extra_step_args: [--not-after, 8h]\n", "step", ("--not-after", "8h"), id="arguments"
        ),
    ],
)
def test_the_profile_chooses_the_step_command(
    home: Path, entry: str, program: str, arguments: tuple[str, ...]
) -> None:
    (home / "profile.yaml").write_text(PROFILE + entry)
    musica = settings()
    assert musica.step_binary == program.replace("HOME", str(home))
    assert musica.extra_step_args == arguments


def test_the_agent_gets_a_key_only_where_gen_makes_it(home: Path) -> None:
    (home / "profile.yaml").write_text(f"{PROFILE}key_in_agent: true\n")
    assert settings("musica").key_in_agent
    # The command of the centre writes its files itself.
    assert not settings("cscs-daint").key_in_agent


# dagster-slurm writes null for an unknown value.
@pytest.mark.parametrize("value", ["", " ", "null"])
def test_an_empty_variable_counts_as_not_set(home: Path, value: str) -> None:
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
            "ASC_STEP_REFRESH_SKEW: auth.renew_before: 'soon' is not a duration (90s, 30m, "
            "16h, 1d)",
            id="skew",
        ),
        pytest.param(
            {"ASC_OIDC_TOKEN_URL": "http://example.org/token"},
            "ASC_OIDC_TOKEN_URL: auth.oidc.token_url: 'http://example.org/token' is not an "
            "https:// address "
            "(http:// only on the loopback)",
            id="plain http",
        ),
        pytest.param(
            {"ASC_AUTHENTIK_TOKEN_INTENT": "api"},
            "ASC_AUTHENTIK_TOKEN_INTENT: the token endpoint does not accept 'api'; set it to "
            "app_password",
            id="intent",
        ),
        pytest.param(
            {"ASC_AUTHENTIK_REFRESH_SKEW_DAYS": "-1"},
            "ASC_AUTHENTIK_REFRESH_SKEW_DAYS: '-1' is not a number of days",
            id="days",
        ),
    ],
)
def test_a_bad_variable_is_reported_by_its_name(
    home: Path, environment: Mapping[str, str], message: str
) -> None:
    with pytest.raises(GenError) as caught:
        settings(**environment)
    assert str(caught.value) == message


def test_every_variable_of_the_env_file_means_the_same_here(home: Path) -> None:
    # Sourcing the `.env.musica` that `gen site` writes changes no setting.
    profile = SiteProfile(user="ada", email="ada@example.org", client_id="abc123", home=str(home))
    site = validate.site(resources.CATALOGUE / "musica.yaml")
    environment = {}
    for line in variables(Account(site, profile)):
        if line.name.startswith("ASC_") and line.value:
            environment[line.name] = line.value
    # Otherwise the comparison below says nothing.
    assert len(environment) > 12
    assert settings(**environment) == settings()


def test_variables_with_another_prefix_are_ignored(home: Path) -> None:
    assert settings(OIDC_SCOPE="x", XASC_OIDC_SCOPE="x", MUSICA_OIDC_SCOPE="x") == settings()


def test_unknown_values_of_the_profile_stay_open(home: Path) -> None:
    musica = settings(profile=None)
    assert (musica.user, musica.identity) == (None, None)
    assert (musica.client_id, musica.username) == (None, None)
    assert musica.oidc and musica.oidc.scope == "profile"


def test_the_user_name_replaces_an_unknown_email_address(home: Path) -> None:
    (home / "profile.yaml").write_text("user: ada\n")
    assert settings().identity == "ada"


def test_the_command_of_a_centre_is_filled_in(home: Path) -> None:
    isambard = settings("isambard-ai")
    assert isinstance(isambard.auth, CommandCertificateAuth)
    key = str(home / ".ssh/id_isambard-ai")
    assert isambard.auth.command == ("clifton", "auth", "--identity", key)
    assert isambard.auth.asks
    assert isambard.docs == "https://docs.isambard.ac.uk/"
    assert (isambard.prefix, isambard.skew) == ("ISAMBARD_AI", 10800)


def test_a_quota_is_read_from_the_spec(home: Path) -> None:
    assert settings("cscs-daint").auth.max_per_day == 5


def test_a_command_that_needs_an_unknown_value_says_so(home: Path) -> None:
    with pytest.raises(GenError) as caught:
        settings("nersc-perlmutter", profile=None)
    assert str(caught.value) == (
        "nersc-perlmutter: your user is not known; add it to ~/.config/gen/profile.yaml"
    )


def test_a_site_without_certificates_says_so(home: Path) -> None:
    with pytest.raises(NoCertificateError) as caught:
        settings("mila")
    assert str(caught.value) == "mila: logs in with publickey; there is no certificate to renew"
