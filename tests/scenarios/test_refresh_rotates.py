"""Rotation of the app password and the API token.

The credentials file always has a set that works.
"""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from identity_provider import API, NOT_ONE_OF_ITS, TOKEN, TOKENS, Answer, Fault
from sshd import logged_in
from step_ca import CREDENTIALS, OUTPUT, PREFIX, Member

pytestmark = [pytest.mark.system, pytest.mark.long]

FIRST = ["first-api", "first-app_password"]
AUTHENTIK = {"credentials_file": f"~/{CREDENTIALS}", "app_password_file": f"~/{OUTPUT}"}


def rotated(member: Member) -> bool:
    """Return whether a new set is stored, and the provider has no other token."""
    assert member.works()
    assert (member.home / CREDENTIALS).stat().st_mode & 0o777 == 0o600
    return sorted(member.provider.held) == member.named() != FIRST


def paste(member: Member) -> None:
    """Leave the secrets alone in the credentials file, as a user writes it."""
    path = member.home / CREDENTIALS
    # A user who pastes secrets knows neither their identifiers nor when they expire.
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not re.search("_(ID|AT)=", line)))


def test_new_credentials_are_tested_and_stored_before_the_previous_ones_are_deleted(
    member: Member,
) -> None:
    member.renewed()
    member.provider.requests.clear()
    assert "credentials rotated" in member.renewed("--rotate-app-password").stderr
    assert rotated(member)
    requests = [
        (request.method, request.path.removeprefix(TOKENS)) for request in member.provider.requests
    ]
    last_proof = requests.index(("POST", TOKEN))
    # A run that is killed before the proof must leave credentials that work.
    assert "DELETE" not in dict(requests[:last_proof])
    for name in FIRST:
        assert ("DELETE", f"{name}/") in requests[last_proof:]
    deletions = [request for request in requests if request[0] == "DELETE"]
    assert len(set(deletions)) == len(FIRST)
    assert "renewed" in member.renewed("--force").stderr


def test_the_option_of_dagster_slurm_rotates_too(member: Member) -> None:
    assert "credentials rotated" in member.renewed("--rotate-credentials").stderr
    assert rotated(member)


def test_dagster_slurm_and_gen_read_the_file_of_each_other(member: Member) -> None:
    member.renewed("--rotate-app-password")
    path = member.home / CREDENTIALS
    before = path.read_text()
    script = (
        # dagster-slurm itself reads and writes the file here, at the version that projects pin.
        "import sys, pathlib; from dagster_slurm.auth.authentik import AuthentikCredentialStore "
        "as Store\n"
        "store = Store(pathlib.Path(sys.argv[1])); loaded = store.load(); store.save(loaded)\n"
        "print(loaded.app_password_id, loaded.api_token_id, loaded.app_password_expires_at > "
        "loaded.api_token_expires_at)"
    )
    read = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    app, api, later = read.stdout.split()
    assert (sorted([app, api]), later) == (member.named(), "True")
    assert path.read_text() != before
    assert "renewed" in member.renewed("--force").stderr


@pytest.mark.parametrize(
    ("lifetime", "due"),
    [
        # A rotation is due a week before the end.
        pytest.param(timedelta(days=3), True, id="soon"),
        pytest.param(timedelta(days=20), False, id="not soon"),
    ],
)
def test_credentials_are_rotated_before_they_expire(
    lifetime: timedelta, due: bool, member: Member
) -> None:
    member.provider.held.clear()
    member.provider.token_lifetime = lifetime
    member.credentials()
    member.provider.token_lifetime = timedelta(days=20)
    assert ("credentials rotated" in member.renewed().stderr) is due
    assert (sorted(member.provider.held) == FIRST) is not due


def test_pasted_credentials_are_replaced_once_and_left_for_the_user_to_delete(
    member: Member,
) -> None:
    paste(member)
    output = member.renewed().stderr
    assert "credentials rotated" in output
    # gen does not know their identifiers, so it cannot delete them.
    assert "delete them in the provider's settings" in output
    assert len(member.named()) == 2
    assert set(FIRST) < set(member.provider.held)
    assert "rotated" not in member.renewed().stderr


def test_an_expired_app_password_is_replaced_with_the_api_token(
    member: Member,
) -> None:
    # Expired or deleted by the user: the API token alone is left.
    del member.provider.held["first-app_password"]
    assert "renewed" in member.renewed().stderr
    assert rotated(member)


def test_the_second_file_gets_the_new_app_password_too(member: Member) -> None:
    member.settle(authentik={"api_base": member.provider.url, **AUTHENTIK})
    member.renewed("--rotate-app-password")
    secret = (member.home / OUTPUT).read_text().strip()
    issued = {token.key: token.intent for token in member.provider.held.values()}
    assert issued[secret] == "app_password"
    assert (member.home / OUTPUT).stat().st_mode & 0o777 == 0o600


def test_nothing_is_deleted_if_the_second_file_cannot_be_written(member: Member) -> None:
    member.settle(authentik={"api_base": member.provider.url, **AUTHENTIK})
    member.renewed()
    # Root could write to a read-only directory, so a file is in the way.
    (member.home / OUTPUT.parent).write_text("no folder")
    assert str(OUTPUT.parent) in member.refused("--rotate-app-password")
    assert member.works()
    assert set(FIRST) < set(member.provider.held)
    (member.home / OUTPUT.parent).unlink()
    member.renewed()
    assert rotated(member)


def test_an_app_password_in_place_of_an_api_token_is_recognized(member: Member) -> None:
    member.renewed()
    path = member.home / CREDENTIALS
    tokens = member.provider.held
    path.write_text(
        # Both look alike in the settings of authentik.
        path.read_text().replace(tokens["first-api"].key, tokens["first-app_password"].key)
    )
    line = member.refused("--rotate-app-password")
    assert "it is an App Password; create a Token (intent API) in authentik's user settings" in line
    assert sorted(tokens) == FIRST


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(
            Fault(Answer(403, b'{"detail": "%s"}' % NOT_ONE_OF_ITS.encode()), at=API),
            id="403 to all",
        ),
        pytest.param(Fault(Answer(500), at=f"{TOKENS}dagster"), id="500 to the key of the first"),
        pytest.param(Fault(Answer(200, b"{}"), at=f"{TOKENS}dagster"), id="no key in the answer"),
        pytest.param(Fault(Answer(400), at=TOKEN), id="the new app password does not work"),
        pytest.param(Fault(Answer(400, b'{"expires": ["x"]}'), at=TOKENS), id="400 to the first"),
        # A captive portal, or a proxy that asks for a login.
        pytest.param(Fault(Answer(200, b"<html>"), at=API), id="no JSON"),
    ],
)
def test_a_rotation_that_fails_leaves_the_previous_credentials(
    wrong: Fault, member: Member
) -> None:
    member.renewed()
    before = (member.home / CREDENTIALS).read_bytes()
    member.provider.fault = wrong
    member.refused("--rotate-app-password")
    assert (member.home / CREDENTIALS).read_bytes() == before
    assert member.works()
    member.provider.fault = None
    member.renewed()
    assert sorted(member.provider.held) == FIRST
    assert member.temporary() == []


def test_a_rotation_that_fails_is_a_warning_while_the_credentials_last(member: Member) -> None:
    paste(member)
    member.provider.fault = Fault(Answer(503), at=API)
    note, result = member.renewed().stderr.splitlines()
    assert note == (
        f"rig: note: the credentials were not rotated: {member.provider.url}{API}core/users/me/: "
        "answers 503; the next run tries again"
    )
    assert result.startswith("rig: renewed, valid until ")
    status = member.gen("status", "rig").stdout
    assert "  last renewal  renewed at " in status
    assert "  rotation      failed: " in status
    member.provider.fault = None
    assert "credentials rotated" in member.renewed().stderr
    status = member.gen("status", "rig").stdout
    assert "  rotation " not in status
    assert re.search("  app password  expires at .*\n  api token     expires at ", status)


def test_a_rotation_that_fails_in_the_last_week_is_an_error_after_the_renewal(
    member: Member,
) -> None:
    member.provider.held.clear()
    member.provider.token_lifetime = timedelta(days=6)
    member.credentials()
    member.provider.token_lifetime = timedelta(days=20)
    member.provider.fault = Fault(Answer(503), at=API)
    assert "answers 503; the next run tries again" in member.refused()
    assert logged_in(member.login())


def test_a_token_that_could_not_be_deleted_is_deleted_by_the_next_run(member: Member) -> None:
    member.renewed()
    # The new ones are in use by then, so the run is a success.
    member.provider.fault = Fault(Answer(500), at=f"{TOKENS}first-")
    member.renewed("--rotate-app-password")
    assert member.works()
    assert set(FIRST) < set(member.provider.held)
    member.provider.fault = None
    member.renewed()
    assert rotated(member)


def test_two_rotations_at_once_rotate_once(member: Member) -> None:
    member.renewed()
    # The first run is slow, so that the second one waits for its lock.
    member.provider.fault = Fault(delay=1, at=API, times=1)
    assert [run.returncode for run in member.at_once(2, "--rotate-app-password")] == [0, 0]
    assert member.provider.count(TOKENS, "POST") == 2
    assert rotated(member)


def test_secrets_may_come_from_the_environment_or_from_systemd(
    member: Member, tmp_path: Path
) -> None:
    (member.home / CREDENTIALS).unlink()
    secret = member.provider.held["first-app_password"].key
    assert "renewed" in member.renewed("--force", **{f"{PREFIX}_OIDC_APP_PASSWORD": secret}).stderr
    # systemd.exec(5), LoadCredential=: a file for each credential.
    (tmp_path / f"{PREFIX}_OIDC_APP_PASSWORD").write_text(secret)
    assert "renewed" in member.renewed("--force", CREDENTIALS_DIRECTORY=str(tmp_path)).stderr
    member.refused("--force")


def expires(member: Member, secret: str) -> timedelta:
    """Return how long a credential of the file lasts from now."""
    text = (member.home / CREDENTIALS).read_text()
    end = re.search(rf'{PREFIX}_{secret}_EXPIRES_AT="(.+)"', text)
    assert end
    return datetime.fromisoformat(end[1]) - datetime.now(UTC)


def test_an_api_token_lasts_as_long_as_the_provider_says(member: Member) -> None:
    # authentik ignores the requested end of an API token, and has one day as its default.
    member.renewed()
    member.provider.token_lifetime = timedelta(days=1)
    try:
        member.renewed("--rotate-app-password")
        assert timedelta(hours=23) < expires(member, "AUTHENTIK_API_TOKEN") <= timedelta(days=1)
        assert expires(member, "OIDC_APP_PASSWORD") > timedelta(days=29)
        # A week ahead would mean a rotation at every look of the timer.
        assert "rotated" not in member.renewed().stderr
        assert rotated(member)
    finally:
        member.provider.token_lifetime = timedelta(days=20)


def test_an_app_password_of_a_provider_with_its_own_limit_takes_a_shorter_lifetime(
    member: Member,
) -> None:
    authentik = {"api_base": member.provider.url, "credentials_file": f"~/{CREDENTIALS}"}
    member.provider.longest = timedelta(days=1)
    try:
        line = member.refused("--rotate-app-password")
        assert "gives an app_password less time; lower auth.authentik.expires_days" in line
        assert sorted(member.provider.held) == FIRST
        member.settle(credentials=False, authentik={**authentik, "expires_days": 1})
        assert "credentials rotated" in member.renewed("--rotate-app-password").stderr
        assert rotated(member)
    finally:
        member.provider.longest = timedelta(days=31)


def test_an_app_password_that_has_ended_is_replaced_with_the_api_token(member: Member) -> None:
    held = member.provider.held
    for name in list(held):
        if name == "first-app_password":
            held[name] = replace(held[name], expires=datetime.now(UTC) - timedelta(minutes=1))
    assert "renewed" in member.renewed().stderr
    assert rotated(member)


def test_a_token_that_has_ended_rotates_nothing(member: Member) -> None:
    member.renewed()
    held = member.provider.held
    for name, token in list(held.items()):
        if name == "first-api":
            held[name] = replace(token, expires=datetime.now(UTC) - timedelta(minutes=1))
    before = (member.home / CREDENTIALS).read_bytes()
    result = member.refresh("--rotate-app-password")
    assert "refuses the API token …" in result.stderr
    assert "(403): it has expired, another machine has rotated it, or it is an" in result.stderr
    assert (member.home / CREDENTIALS).read_bytes() == before
    assert sorted(held) == FIRST


def test_a_user_whom_the_provider_does_not_know_is_named(member: Member) -> None:
    path = member.home / CREDENTIALS
    lines = [line for line in path.read_text().splitlines() if "_API_TOKEN" not in line]
    path.write_text("\n".join([*lines, ""]))
    line = member.refused(**{f"{PREFIX}_OIDC_USERNAME": "nobody"})
    assert "of nobody (invalid_grant): it has expired, another machine has rotated it" in line
    assert member.provider.count(TOKEN) == 1


def test_a_provider_that_is_busy_during_a_rotation_is_left_alone(member: Member) -> None:
    member.renewed()
    before = (member.home / CREDENTIALS).read_bytes()
    member.provider.fault = Fault(Answer(429, headers={"Retry-After": "3600"}), at=API)
    output = member.refresh("--rotate-app-password").stderr
    assert "the provider asked gen not to come back before" in output
    assert member.provider.count(API) == 1
    assert (member.home / CREDENTIALS).read_bytes() == before
    assert member.works()
