"""Who holds an API token and nothing else gets the first app password by it."""

import pytest
from step_ca import CREDENTIALS, OUTPUT, PREFIX, Member

pytestmark = [pytest.mark.system, pytest.mark.long]


def test_an_api_token_alone_is_enough_to_begin(member: Member) -> None:
    member.settle(
        credentials=False,
        authentik=member.spec()["auth"]["authentik"] | {"app_password_file": f"~/{OUTPUT}"},
    )
    (member.home / CREDENTIALS).unlink()
    token = member.provider.held["first-api"].key
    output = member.renewed(**{f"{PREFIX}_AUTHENTIK_API_TOKEN": token}).stderr
    assert "credentials rotated" in output and "renewed" in output
    assert member.works()
    app_password = (member.home / OUTPUT).read_text().strip()
    assert f'"{app_password}"' in (member.home / CREDENTIALS).read_text()
    assert "renewed" in member.renewed("--force").stderr, "the file is enough from now on"
