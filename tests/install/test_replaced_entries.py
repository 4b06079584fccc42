"""Lines of the user's entries become comments where a site replaces them, and come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.install.managed_blocks import INCLUDE, arranged
from generator.install.replaced_entries import give_back, replaced_entries, take_over

CONF = b"""\
Match host big,big.example.org
    Port 2222
Host big big.example.org
    HostName login.example.org
Host big big.example.org
    Port 2222
    User ada
    ProxyJump gate
    IdentityFile ~/.ssh/id_big
    StrictHostKeyChecking ask
Host gate
    HostName gate.example.org
Host cn-???? !cn-0000
    HostName %h.example.org
"""
COMMENT = b"# taken over by gen for big: "


def taken_over(content: bytes) -> bytes:
    return take_over(content, replaced_entries(content, CONF), "big")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            b"Host big\n  HostName other\n  User bob\n",
            b"#Host big\n#  HostName other\n#  User bob\n",
            id="all lines",
        ),
        pytest.param(
            b"Host big\n  User bob\n  LocalForward 1 a:2\n\n  # mine\n  ForwardAgent yes\n",
            b"Host big\n#  User bob\n  LocalForward 1 a:2\n\n  # mine\n  ForwardAgent yes\n",
            id="forwards stay",
        ),
        pytest.param(
            b"Host big\n IdentityFile ~/.ssh/id_big\n IdentityFile ~/.ssh/second\n",
            b"Host big\n# IdentityFile ~/.ssh/id_big\n IdentityFile ~/.ssh/second\n",
            id="a second key stays",
        ),
        pytest.param(
            b"Host big\r\n  User bob\r\nHost z\r\n  User x\r\n",
            b"#Host big\r\n#  User bob\r\nHost z\r\n  User x\r\n",
            id="line endings of Windows",
        ),
        pytest.param(b"Host big\n User bob", b"#Host big\n# User bob", id="no last newline"),
        pytest.param(
            b"Host big big.example.org\nproxycommand = nc %h %p\n",
            b"#Host big big.example.org\n#proxycommand = nc %h %p\n",
            id="a command instead of the jump",
        ),
        pytest.param(
            b"Host cn-????\n  HostName x\nHost gate\n  HostName y\n",
            b"#Host cn-????\n#  HostName x\n#Host gate\n#  HostName y\n",
            id="a pattern of the site",
        ),
    ],
)
def test_lines_that_have_no_effect_below_the_site_become_comments(
    before: bytes, after: bytes
) -> None:
    assert taken_over(before) == after.replace(b"#", COMMENT).replace(COMMENT + b" mine", b"# mine")
    assert give_back(taken_over(before), ["big"]) == before


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"User bob\nHost other\n  User bob\n", id="lines for other names"),
        pytest.param(b"Host big other\n  User bob\n", id="a name that is not the site's"),
        pytest.param(b"Host big*\n  User bob\nHost *\n  User bob\n", id="wider patterns"),
        pytest.param(b"Host big !big.example.net\n  User bob\n", id="an exception of its own"),
        pytest.param(b"Match host big\n  User bob\n", id="a Match block"),
        pytest.param(b"Host gate\n  User bob\n  ProxyCommand nc\n", id="options without a value"),
        pytest.param(b"Host big\n  Include more\n  Compression yes\n", id="an Include"),
        pytest.param(
            b"# BEGIN ANSIBLE MANAGED BLOCK\nHost big\n  User bob\n# END ANSIBLE MANAGED BLOCK\n",
            id="a block of another tool",
        ),
        pytest.param(arranged(b"", "", {"big": CONF, "": INCLUDE}), id="the blocks of gen"),
    ],
)
def test_other_lines_stay(content: bytes) -> None:
    assert taken_over(content) == content


def test_a_site_gives_back_its_own_lines_alone() -> None:
    content = b"Host gate\n  HostName y\n"
    assert give_back(taken_over(content), ["other"]) == taken_over(content)
    assert give_back(taken_over(content)) == content


PARTS = [b"Host big\n", b"Host gate", b" User x\n", b"LocalForward 1 a:2\n", b"\n", b"\r\n", CONF]


@given(st.lists(st.sampled_from(PARTS) | st.binary(max_size=10), max_size=12).map(b"".join))
def test_taking_over_and_giving_back_returns_the_same_bytes(content: bytes) -> None:
    assert give_back(taken_over(content), ["big"]) == content
