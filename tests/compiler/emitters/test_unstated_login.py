"""Where the sources do not state the login method, ssh does what it does by default."""

import subprocess
from pathlib import Path

import pytest
from homes import spec
from running import Gen

KEY_FIRST = "publickey,keyboard-interactive"
UNSTATED = {"method": "not-stated"}


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(UNSTATED, [], id="not stated"),
        pytest.param({"method": "agent"}, [f"preferredauthentications {KEY_FIRST}"], id="agent"),
    ],
)
def test_ssh_keeps_its_own_order_of_methods_and_its_own_keys(
    gen: Gen, auth: dict[str, str], expected: list[str]
) -> None:
    gen("site", str(spec(Path(), auth=auth)), "--user", "ada", "--no-project")
    command = ["ssh", "-G", "-F", "ssh/ours.conf", "ours"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    lines = output.splitlines()
    assert [line for line in lines if line.startswith("preferredauthentications")] == expected
    assert "identitiesonly no" in lines
    assert "user ada" in lines


def test_no_step_before_the_first_login_is_invented(gen: Gen) -> None:
    result = gen("site", str(spec(Path(), auth=UNSTATED)), "--no-project")
    assert "ssh-keygen" not in result.err
    assert "SLURM_EDGE_NODE_KEY_PATH" not in Path(".env.ours").read_text()


def test_the_page_of_the_site_says_that_nothing_is_known(gen: Gen) -> None:
    page = gen("show", str(spec(Path(), auth=UNSTATED))).out
    assert "Authentication: not-stated (ssh tries its own methods)\n" in page
