"""`.env.SITE`: every variable of a site's documentation, only unambiguous values, and no secret."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import env_file
from generator.compiler.emitters.env_file import AmbiguousValueError, Variable, env_content
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

MUSICA = validate.site(resources.CATALOGUE / "musica.yaml")
KEYS: dict[str, Any] = {"method": "publickey"}
STEP: dict[str, Any] = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "x",
}
PASSWORD: dict[str, Any] = {"method": "keyboard", "asks": "password"}
UNKNOWN = SiteProfile()


def site(**fields: Any) -> SiteSpec:
    spec = {"site": "x", "title": "X", "hosts": {"x": {"host": "x.example.org"}}, "auth": KEYS}
    return SiteSpec.model_validate(spec | fields)


def text(site: SiteSpec, profile: SiteProfile) -> str:
    return next(env_file.emit(Account(site, profile))).content.decode()


def assignments(site: SiteSpec, profile: SiteProfile) -> dict[str, str]:
    """Return the variables that the file sets."""
    values = {}
    for line in text(site, profile).splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            values[name] = value
    return values


def comments(site: SiteSpec, profile: SiteProfile) -> list[str]:
    return [line for line in text(site, profile).splitlines() if line.startswith("#")]


def test_only_the_user_can_read_the_file_and_it_is_not_installed(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    artifact = next(env_file.emit(Account(shipped, ada)))
    assert (artifact.path, artifact.mode) == (PurePosixPath(f".env.{shipped.site}"), 0o600)
    # It belongs to a project; a shell that reads it everywhere would name one site for all.
    assert artifact.install_to is None


def test_the_first_line_names_gen_and_the_command_that_updates_the_file(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    assert text(shipped, ada).splitlines()[0] == (
        f"# Made by gen for {shipped.site}; do not edit. Change the spec or your profile,"
        f" then run: gen site {shipped.site}"
    )


def test_no_variable_is_set_twice(shipped: SiteSpec, ada: SiteProfile) -> None:
    names = [variable.name for variable in env_file.variables(Account(shipped, ada))]
    assert len(names) == len(set(names))


# Every variable in MUSICA's documentation that gen sets for a user whose profile is complete.
DOCUMENTED = {
    "SLURM_EDGE_NODE_HOST": "musica.vie.asc.ac.at",
    "SLURM_EDGE_NODE_PORT": "22",
    "SLURM_EDGE_NODE_USER": "ada",
    "SLURM_EDGE_NODE_KEY_PATH": "/home/ada/.ssh/id_musica",
    "SLURM_DEPLOYMENT_BASE_PATH": "/home/ada/dagster-slurm",
    "SLURM_PARTITION": "zen4_0768_h100x4",
    "SLURM_QOS": "zen4_0768_h100x4",
    "SLURM_SUPERCOMPUTER_SITE": "musica",
    "DAGSTER_DEPLOYMENT": "production_supercomputer",
    "ASC_OIDC_CLIENT_ID": "abc123",
    "ASC_OIDC_USERNAME": "ada",
    "ASC_OIDC_TOKEN_URL": "https://auth.asc.ac.at/application/o/token/",
    "ASC_OIDC_SCOPE": "profile",
    "ASC_STEP_CONTEXT": "asc",
    "ASC_STEP_CA_URL": "https://auth.asc.ac.at:9000",
    "ASC_STEP_FINGERPRINT": "44b048473242281db1da57124c2b843741d6c92a8fb5d0482dec032e957f2919",
    "ASC_STEP_CERT_PATH": "/home/ada/.ssh/id_musica-cert.pub",
    "ASC_STEP_REFRESH_SKEW": "30",
    "ASC_AUTHENTIK_API_BASE": "https://auth.asc.ac.at",
    "ASC_AUTHENTIK_TOKEN_IDENTIFIER": "dagster-slurm",
    "ASC_AUTHENTIK_TOKEN_INTENT": "app_password",
    "ASC_AUTHENTIK_TOKEN_EXPIRES_DAYS": "30",
    "ASC_AUTHENTIK_APP_PASSWORD_OUTPUT": "/home/ada/.secrets/asc_app_password.txt",
}
# A comment, so that a user who looks for the variable learns where the value is.
ONLY_IN_COMMENTS = {
    "SLURM_RESERVATION": (
        "# SLURM_RESERVATION is left out: it needs --set slurm.reservation=NAME,"
        " if you have a reservation"
    ),
    "ASC_OIDC_APP_PASSWORD": (
        "# ASC_OIDC_APP_PASSWORD and ASC_AUTHENTIK_API_TOKEN are in a file of mode 0600, never here"
    ),
    "ASC_AUTHENTIK_API_TOKEN": (
        "# ASC_OIDC_APP_PASSWORD and ASC_AUTHENTIK_API_TOKEN are in a file of mode 0600, never here"
    ),
}
# gen adds the account that jobs are charged to, and the files of the secrets.
ADDED = {
    "SLURM_ACCOUNT": "p12345",
    "ASC_OIDC_TOKEN_FIELD": "access_token",
    "ASC_AUTHENTIK_CREDENTIALS_FILE": "/home/ada/.config/dagster-slurm/musica-auth.env",
}


def test_musica_sets_the_documented_variables_and_those_that_gen_adds(ada: SiteProfile) -> None:
    assert assignments(MUSICA, ada) == DOCUMENTED | ADDED


@pytest.mark.parametrize(("name", "comment"), ONLY_IN_COMMENTS.items(), ids=ONLY_IN_COMMENTS)
def test_musica_names_secrets_and_unknown_values_only_in_a_comment(
    name: str, comment: str, ada: SiteProfile
) -> None:
    assert [line for line in comments(MUSICA, ada) if name in line] == [comment]
    assert name not in assignments(MUSICA, ada)


@pytest.mark.parametrize("name", [*DOCUMENTED, *ONLY_IN_COMMENTS])
def test_musica_names_every_documented_variable_even_without_a_profile(name: str) -> None:
    assert name in text(MUSICA, UNKNOWN)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("SLURM_EDGE_NODE_USER", "user"),
        ("SLURM_EDGE_NODE_KEY_PATH", "home"),
        ("SLURM_DEPLOYMENT_BASE_PATH", "user"),
        ("ASC_OIDC_CLIENT_ID", "client_id"),
        ("ASC_OIDC_USERNAME", "user"),
        ("ASC_STEP_CERT_PATH", "home"),
        ("ASC_AUTHENTIK_CREDENTIALS_FILE", "home"),
        ("ASC_AUTHENTIK_APP_PASSWORD_OUTPUT", "home"),
    ],
)
def test_a_comment_names_the_profile_key_that_an_unknown_value_needs(name: str, key: str) -> None:
    assert f"# {name} is left out: it needs {key}" in comments(MUSICA, UNKNOWN)
    assert name not in assignments(MUSICA, UNKNOWN)


def test_the_path_of_a_certificate_needs_the_same_keys_as_the_path_of_its_key() -> None:
    # The certificate lies beside its key, so both paths need the same values.
    auth = STEP | {"env_prefix": "X", "key": "~/.ssh/{account}"}
    assert "# X_STEP_CERT_PATH is left out: it needs account" in comments(site(auth=auth), UNKNOWN)
    profile = SiteProfile(account="p1", home="/home/ada")
    assert assignments(site(auth=auth), profile)["X_STEP_CERT_PATH"] == (
        "/home/ada/.ssh/p1-cert.pub"
    )


def test_an_unknown_user_gets_a_subset_of_the_variables(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    unknown = assignments(shipped, UNKNOWN)
    # A value that only an unknown user had would be a guess.
    assert unknown.items() <= assignments(shipped, ada).items()
    # A value of an example, or of the maintainer, must not reach the file of a user.
    assert "ada" not in text(shipped, UNKNOWN)


SLURM: dict[str, Any] = {"partitions": {"cpu": {"qos": ["normal", "long"]}, "gpu": {}}}
JOB_VARIABLES = {"SLURM_PARTITION", "SLURM_QOS", "SLURM_RESERVATION", "SLURM_ACCOUNT"}


@pytest.mark.parametrize(
    ("slurm", "profile", "expected"),
    [
        pytest.param({}, {}, {}, id="no queues in the spec"),
        pytest.param(SLURM, {}, {}, id="partitions without a default"),
        pytest.param(
            SLURM | {"partition": "cpu"},
            {},
            # sbatch would take the default QoS of the user, which the partition may refuse.
            {"SLURM_PARTITION": "cpu", "SLURM_QOS": "normal"},
            id="the first QoS of the partition",
        ),
        pytest.param(
            SLURM | {"partition": "gpu"},
            {},
            {"SLURM_PARTITION": "gpu"},
            id="a partition without QoS",
        ),
        pytest.param(
            SLURM | {"partition": "cpu", "qos": "long"},
            {},
            {"SLURM_PARTITION": "cpu", "SLURM_QOS": "long"},
            id="the default QoS of the spec",
        ),
        pytest.param(
            {"reservation": "course"}, {}, {"SLURM_RESERVATION": "course"}, id="a reservation"
        ),
        pytest.param(
            {"accounts": {"default": "all"}},
            {},
            {"SLURM_ACCOUNT": "all"},
            id="the default account of the spec",
        ),
        pytest.param(
            {"accounts": {"default": "all"}},
            {"account": "mine"},
            {"SLURM_ACCOUNT": "mine"},
            id="the account of the profile",
        ),
    ],
)
def test_the_variables_of_jobs(
    slurm: dict[str, Any], profile: dict[str, Any], expected: dict[str, str]
) -> None:
    values = assignments(site(slurm=slurm), SiteProfile(**profile))
    job_values = {name: values[name] for name in JOB_VARIABLES & set(values)}
    assert job_values == expected


def test_a_comment_asks_for_an_account_that_jobs_must_name() -> None:
    # Without it sbatch refuses the job, or charges an account that the user did not mean.
    spec = site(slurm={"accounts": {"required": True}})
    assert "# SLURM_ACCOUNT is left out: it needs account" in comments(spec, UNKNOWN)


@pytest.mark.parametrize(
    ("renew_before", "minutes"),
    [
        pytest.param("30m", "30", id="minutes"),
        pytest.param("2h", "120", id="hours"),
        # A skew of one minute would let the certificate run for 30 seconds longer than the spec
        # says.
        pytest.param("90s", "2", id="seconds are rounded up, so that the timer is not earlier"),
    ],
)
def test_the_skew_is_in_minutes(renew_before: str, minutes: str, ada: SiteProfile) -> None:
    auth = MUSICA.auth.model_copy(update={"renew_before": renew_before})
    spec = MUSICA.model_copy(update={"auth": auth})
    assert assignments(spec, ada)["ASC_STEP_REFRESH_SKEW"] == minutes


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(KEYS, id="keys"),
        pytest.param(PASSWORD, id="passwords"),
        pytest.param(
            {"method": "certificate", "command": "get-certificate"},
            id="certificates from a command",
        ),
        pytest.param(STEP, id="a step CA whose documentation names no variables"),
    ],
)
def test_a_site_without_documented_certificate_variables_has_none(
    auth: dict[str, Any], ada: SiteProfile
) -> None:
    names = " ".join(assignments(site(auth=auth), ada))
    assert "STEP" not in names
    assert "OIDC" not in names


def test_a_site_without_key_files_has_no_key_path(ada: SiteProfile) -> None:
    assert "SLURM_EDGE_NODE_KEY_PATH" not in text(site(auth=PASSWORD), ada)


@pytest.mark.parametrize(
    "value",
    [
        # Shells expand a tilde, and systemd and docker do not: no value may have two meanings.
        pytest.param("~", id="a tilde"),
        pytest.param("~/x", id="a home directory"),
        pytest.param("~ada/x", id="the home directory of another user"),
        pytest.param("/a:~/b", id="a home directory in a list"),
        pytest.param("a b", id="a space"),
        pytest.param(" a", id="a leading space"),
        pytest.param("a ", id="a trailing space"),
        pytest.param("a\tb", id="a tab"),
        pytest.param("$HOME", id="a variable"),
        pytest.param("${HOME}", id="a variable in braces"),
        pytest.param("a$", id="a dollar"),
        pytest.param("`id`", id="a command"),
        pytest.param("$(id)", id="a command in parentheses"),
        pytest.param("'a'", id="single quotes"),
        pytest.param('"a"', id="double quotes"),
        pytest.param("it's", id="an apostrophe"),
        pytest.param("a\\b", id="a backslash"),
        pytest.param("a\\", id="a backslash at the end"),
        pytest.param("a #b", id="a comment"),
        pytest.param("#a", id="a leading hash"),
        pytest.param("a;b", id="a semicolon"),
        pytest.param("a&b", id="an ampersand"),
        pytest.param("a|b", id="a pipe"),
        pytest.param("a>b", id="an arrow"),
        pytest.param("(a)", id="parentheses"),
        # It would set a variable that the spec does not name.
        pytest.param("a\nB=c", id="a second line"),
        pytest.param("a\rB=c", id="a carriage return"),
        pytest.param("a\x00", id="a null"),
        pytest.param("a\x1b[2J", id="an escape"),
        pytest.param("a\u00a0", id="a no-break space"),
        pytest.param("\u2003a", id="a wide space"),
        pytest.param("a\u2028b", id="a line break of Unicode"),
        pytest.param("a\u202eb", id="a change of direction"),
        pytest.param("a\ufeff", id="a byte order mark"),
    ],
)
def test_an_ambiguous_value_is_refused(value: str) -> None:
    with pytest.raises(AmbiguousValueError) as refusal:
        env_content("x", "header", [Variable("FINE", "fine"), Variable("NAME", value)])
    assert str(refusal.value) == (
        f"x: NAME: {value!r}: a shell, systemd, docker and dotenv read this value differently;"
        " use only letters, digits and @%+=:,./_-, and no ~ in front"
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("xy12345", id="a word"),
        pytest.param("/home/ada/.ssh/id_musica", id="a path"),
        # A shell expands ~ only at the start and behind a colon (POSIX, 2.6.1).
        pytest.param("/data/~ada/x~", id="a tilde within"),
        pytest.param("https://auth.example.org:9000/o/token/", id="an address"),
        pytest.param("ada+hpc@example.org", id="an e-mail address"),
        pytest.param("cpu,gpu", id="a list"),
        pytest.param("a=b==", id="equals signs"),
        pytest.param("100%", id="a per cent sign"),
        pytest.param("-v", id="a leading dash"),
        pytest.param("::1", id="an address with colons"),
        pytest.param("/home/józef/日本", id="letters of any language"),
    ],
)
def test_an_unambiguous_value_stays_as_it_is(value: str) -> None:
    content = env_content("x", "header", [Variable("NAME", value)])
    assert content == f"# header\nNAME={value}\n".encode()


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        pytest.param(
            {"home": "/home/ada lovelace"}, "SLURM_EDGE_NODE_KEY_PATH", id="a home directory"
        ),
        pytest.param({"identity_file": "/keys/my key"}, "SLURM_EDGE_NODE_KEY_PATH", id="a key"),
        pytest.param(
            {"identity_file": "/keys/a:~b"}, "SLURM_EDGE_NODE_KEY_PATH", id="a tilde behind a colon"
        ),
    ],
)
def test_an_ambiguous_value_of_the_profile_is_refused(profile: dict[str, Any], name: str) -> None:
    with pytest.raises(AmbiguousValueError, match=f"^musica: {name}: '/"):
        text(MUSICA, SiteProfile(**profile))
