"""`.env.SITE`: every variable that a site's documentation names, values of one meaning, and no secret."""

from pathlib import PurePosixPath
from typing import Any

import pytest

from generator import resources
from generator.compiler.account import Account
from generator.compiler.emitters import env_file
from generator.compiler.emitters.env_file import AmbiguousValueError, Variable, content
from generator.loading import validate
from generator.schema.profile import SiteProfile
from generator.schema.site import SiteSpec

MUSICA = validate.site(resources.CATALOGUE / "musica.yaml")
KEYS: dict[str, Any] = {"method": "publickey"}


def site(**more: Any) -> SiteSpec:
    return SiteSpec.model_validate(
        {"site": "x", "title": "X", "hosts": {"x": {"host": "x.example.org"}}, "auth": KEYS} | more
    )


def text(site: SiteSpec, profile: SiteProfile) -> str:
    return next(env_file.emit(Account(site, profile))).content.decode()


def assigned(site: SiteSpec, profile: SiteProfile) -> dict[str, str]:
    """Return what the file assigns."""
    lines = text(site, profile).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def comments(site: SiteSpec, profile: SiteProfile) -> list[str]:
    return [line for line in text(site, profile).splitlines() if line.startswith("#")]


def test_the_file_is_for_the_person_alone_and_is_used_where_it_lies(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    artifact = next(env_file.emit(Account(shipped, ada)))
    assert (artifact.path, artifact.mode) == (PurePosixPath(f".env.{shipped.site}"), 0o600)
    assert artifact.install_to is None


def test_the_first_line_says_what_made_the_file_and_how_to_change_it(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    first = text(shipped, ada).splitlines()[0]
    assert first.startswith(f"# Made by gen for {shipped.site}; do not edit.")
    assert first.endswith(f"gen site {shipped.site}")


def test_no_variable_stands_twice(shipped: SiteSpec, ada: SiteProfile) -> None:
    names = [variable.name for variable in env_file.variables(Account(shipped, ada))]
    assert len(names) == len(set(names))


# Every variable in the documentation of MUSICA, and what becomes of it for a person whose every value is known.
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
NAMED_ONLY = {
    "SLURM_RESERVATION": "is left out: it needs --set slurm.reservation=NAME, if you were given one",
    "ASC_OIDC_APP_PASSWORD": "in a file of mode 0600, never here",
    "ASC_AUTHENTIK_API_TOKEN": "in a file of mode 0600, never here",
}
# What gen adds: the account that jobs are charged to, and where the secrets are.
ADDED = {
    "SLURM_ACCOUNT": "p12345",
    "ASC_OIDC_TOKEN_FIELD": "access_token",
    "ASC_AUTHENTIK_CREDENTIALS_FILE": "/home/ada/.config/dagster-slurm/musica-auth.env",
}


def test_musica_assigns_what_its_documentation_names_and_nothing_else_but_what_gen_adds(
    ada: SiteProfile,
) -> None:
    assert assigned(MUSICA, ada) == DOCUMENTED | ADDED


@pytest.mark.parametrize(("name", "words"), NAMED_ONLY.items())
def test_musica_names_in_a_comment_what_it_may_not_or_cannot_assign(
    name: str, words: str, ada: SiteProfile
) -> None:
    assert [words in line for line in comments(MUSICA, ada) if name in line] == [True]
    assert name not in assigned(MUSICA, ada)


@pytest.mark.parametrize("name", [*DOCUMENTED, *NAMED_ONLY])
def test_musica_names_every_documented_variable_even_to_a_person_it_knows_nothing_of(
    name: str,
) -> None:
    assert name in text(MUSICA, SiteProfile())


@pytest.mark.parametrize(
    ("name", "needs"),
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
def test_a_value_that_is_not_known_leaves_a_comment_that_says_what_it_needs(
    name: str, needs: str
) -> None:
    assert f"# {name} is left out: it needs {needs}" in comments(MUSICA, SiteProfile())
    assert name not in assigned(MUSICA, SiteProfile())


def test_nobodys_values_are_all_that_an_unknown_person_lacks(
    shipped: SiteSpec, ada: SiteProfile
) -> None:
    unknown = assigned(shipped, SiteProfile())
    assert unknown.items() <= assigned(shipped, ada).items()
    assert "ada" not in text(shipped, SiteProfile())


SLURM: dict[str, Any] = {"partitions": {"cpu": {"qos": ["normal", "long"]}, "gpu": {}}}


@pytest.mark.parametrize(
    ("slurm", "profile", "expected"),
    [
        pytest.param({}, {}, {}, id="nothing is known of the queues"),
        pytest.param(SLURM, {}, {}, id="partitions, none of them chosen"),
        pytest.param(
            SLURM | {"partition": "cpu"},
            {},
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
            id="the QoS that the spec chooses",
        ),
        pytest.param(
            {"reservation": "course"}, {}, {"SLURM_RESERVATION": "course"}, id="a reservation"
        ),
        pytest.param(
            {"accounts": {"default": "all"}},
            {},
            {"SLURM_ACCOUNT": "all"},
            id="an account for everybody",
        ),
        pytest.param(
            {"accounts": {"default": "all"}},
            {"account": "mine"},
            {"SLURM_ACCOUNT": "mine"},
            id="an account of one's own",
        ),
    ],
)
def test_what_jobs_ask_for(
    slurm: dict[str, Any], profile: dict[str, Any], expected: dict[str, str]
) -> None:
    wanted = ("SLURM_PARTITION", "SLURM_QOS", "SLURM_RESERVATION", "SLURM_ACCOUNT")
    found = assigned(site(slurm=slurm), SiteProfile(**profile))
    assert {name: value for name, value in found.items() if name in wanted} == expected


def test_an_account_that_jobs_must_name_is_asked_for() -> None:
    assert "# SLURM_ACCOUNT is left out: it needs account" in comments(
        site(slurm={"accounts": {"required": True}}), SiteProfile()
    )


@pytest.mark.parametrize(
    ("renew_before", "minutes"),
    [
        pytest.param("30m", "30", id="minutes"),
        pytest.param("2h", "120", id="hours"),
        pytest.param("90s", "2", id="never later than the timer"),
    ],
)
def test_the_skew_is_in_minutes(renew_before: str, minutes: str, ada: SiteProfile) -> None:
    auth = MUSICA.auth.model_copy(update={"renew_before": renew_before})
    assert (
        assigned(MUSICA.model_copy(update={"auth": auth}), ada)["ASC_STEP_REFRESH_SKEW"] == minutes
    )


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(KEYS, id="keys"),
        pytest.param({"method": "keyboard", "asks": "password"}, id="passwords"),
        pytest.param(
            {"method": "certificate", "command": "get-certificate"},
            id="certificates of another kind",
        ),
        pytest.param(
            {
                "method": "step",
                "ca_url": "https://ca.example.org",
                "ca_fingerprint": "0" * 64,
                "context": "x",
            },
            id="a certificate authority whose documentation names no variables",
        ),
    ],
)
def test_a_site_without_documented_variables_for_certificates_has_none(
    auth: dict[str, Any], ada: SiteProfile
) -> None:
    assert not [name for name in assigned(site(auth=auth), ada) if "STEP" in name or "OIDC" in name]


def test_a_site_without_key_files_points_at_none(ada: SiteProfile) -> None:
    assert "SLURM_EDGE_NODE_KEY_PATH" not in text(
        site(auth={"method": "keyboard", "asks": "password"}), ada
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("~", id="a tilde"),
        pytest.param("~/x", id="a home folder"),
        pytest.param("~ada/x", id="another's home folder"),
        pytest.param("/a:~/b", id="a home folder in a list"),
        pytest.param("a b", id="a space"),
        pytest.param(" a", id="a space in front"),
        pytest.param("a ", id="a space at the end"),
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
        pytest.param("#a", id="a hash in front"),
        pytest.param("a;b", id="a semicolon"),
        pytest.param("a&b", id="an ampersand"),
        pytest.param("a|b", id="a pipe"),
        pytest.param("a>b", id="an arrow"),
        pytest.param("(a)", id="parentheses"),
        pytest.param("a\nB=c", id="a line of its own"),
        pytest.param("a\rB=c", id="a carriage return"),
        pytest.param("a\x00", id="a null"),
        pytest.param("a\x1b[2J", id="an escape"),
        pytest.param("a\u00a0", id="a space that does not break"),
        pytest.param("\u2003a", id="a wide space"),
        pytest.param("a\u2028b", id="a line break of Unicode"),
        pytest.param("a\u202eb", id="a change of direction"),
        pytest.param("a\ufeff", id="a byte order mark"),
    ],
)
def test_a_value_with_more_than_one_meaning_is_refused_by_name(value: str) -> None:
    with pytest.raises(AmbiguousValueError) as refusal:
        content("x", "head", [Variable("FINE", "fine"), Variable("NAME", value)])
    assert str(refusal.value) == (
        f"x: NAME: {value!r} would not mean the same to a shell, systemd, docker and dotenv; "
        "use letters, digits and @%+=:,./_- and no ~ in front"
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("xy12345", id="a word"),
        pytest.param("/home/ada/.ssh/id_musica", id="a path"),
        pytest.param("/data/~ada/x~", id="a tilde within"),
        pytest.param("https://auth.example.org:9000/o/token/", id="an address"),
        pytest.param("ada+hpc@example.org", id="an e-mail address"),
        pytest.param("cpu,gpu", id="a list"),
        pytest.param("a=b==", id="equals signs"),
        pytest.param("100%", id="a per cent sign"),
        pytest.param("-v", id="a dash in front"),
        pytest.param("::1", id="an address with colons"),
        pytest.param("/home/józef/日本", id="letters of any language"),
    ],
)
def test_a_value_with_one_meaning_stays_as_it_is(value: str) -> None:
    assert content("x", "head", [Variable("NAME", value)]) == f"# head\nNAME={value}\n".encode()


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        pytest.param(
            {"home": "/home/ada lovelace"}, "SLURM_EDGE_NODE_KEY_PATH", id="a home folder"
        ),
        pytest.param({"identity_file": "/keys/my key"}, "SLURM_EDGE_NODE_KEY_PATH", id="a key"),
        pytest.param(
            {"identity_file": "/keys/a:~b"}, "SLURM_EDGE_NODE_KEY_PATH", id="a tilde behind a colon"
        ),
    ],
)
def test_a_persons_value_is_refused_where_it_would_be_written(
    profile: dict[str, Any], name: str
) -> None:
    with pytest.raises(AmbiguousValueError, match=f"^musica: {name}: '/"):
        text(MUSICA, SiteProfile(**profile))
