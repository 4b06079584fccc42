"""Lines that look like secrets are masked; lines that gen itself writes never are."""

import pytest

from generator.workspace.redaction import masked

M = "********"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        pytest.param(
            "ASC_OIDC_APP_PASSWORD=hunter2\n", f"ASC_OIDC_APP_PASSWORD={M}\n", id="a password"
        ),
        pytest.param(
            "export API_TOKEN=abc\n", f"export API_TOKEN={M}\n", id="a token that is exported"
        ),
        pytest.param("client_secret: abc\n", f"client_secret: {M}\n", id="a secret in YAML"),
        pytest.param("MY_API_KEY = abc", f"MY_API_KEY = {M}", id="a key, without an end of line"),
        pytest.param(
            "X=https://ada:pw@example.org/\n", f"X=https://ada:{M}@example.org/\n", id="an address"
        ),
        pytest.param("PASSWORD=a\r\n", f"PASSWORD={M}\r\n", id="a line of Windows"),
        pytest.param(
            "export A=1 MY_PASSWORD=x\n", f"export A=1 MY_PASSWORD={M}\n", id="the second of two"
        ),
        pytest.param(
            # The rest of the line goes too: a secret may contain a `&`.
            "U=https://h/?token=abc&x=1\n",
            f"U=https://h/?token={M}\n",
            id="a part of an address",
        ),
        pytest.param("GITHUB_PAT=ghp_x\n", f"GITHUB_PAT={M}\n", id="a token of GitHub's"),
        pytest.param("AWS_ACCESS_KEY_ID=x\n", f"AWS_ACCESS_KEY_ID={M}\n", id="an access key"),
        # The name of the variable gives no hint here; the scheme of the header does.
        pytest.param(
            "ProxyCommand sshpass -p hunter2 ssh h\n",
            f"ProxyCommand sshpass -p {M} ssh h\n",
            id="a password for sshpass",
        ),
        pytest.param("sshpass -phunter2 ssh h\n", f"sshpass -p{M} ssh h\n", id="without a blank"),
        pytest.param(
            "sshpass -v -p 'two words' ssh h\n", f"sshpass -v -p {M} ssh h\n", id="in quotes"
        ),
        pytest.param(
            "curl -s -u ada:hunter2 https://h/\n",
            f"curl -s -u {M} https://h/\n",
            id="a user for curl",
        ),
        pytest.param("curl -su ada:pw https://h/\n", f"curl -su {M} https://h/\n", id="options"),
        pytest.param(
            "curl --user=ada:pw https://h/\n", f"curl --user={M} https://h/\n", id="a long option"
        ),
        pytest.param("mysql -u ada -phunter2 db\n", f"mysql -u ada -p{M} db\n", id="mysql"),
        pytest.param(
            "-H 'Authorization: Basic YWRh'\n", f"-H 'Authorization: {M}\n", id="another header"
        ),
        pytest.param(
            "X=https://ada:p@ss/w@example.org/\n",
            f"X=https://ada:{M}@example.org/\n",
            id="an address with a password that has an at sign and a slash",
        ),
        pytest.param(
            "U=https://ghp_abc@github.com/x\n", f"U=https://{M}@github.com/x\n", id="only a token"
        ),
        pytest.param("ssh -p 2222 host\n", "ssh -p 2222 host\n", id="the port of ssh"),
        pytest.param("curl -sS https://h/\n", "curl -sS https://h/\n", id="curl without a user"),
        pytest.param("X=ssh://ada@h/\n", "X=ssh://ada@h/\n", id="a user name for ssh"),
        pytest.param("H=Bearer abc\n", f"H=Bearer {M}\n", id="a header"),
        pytest.param("# password hunter3\n", f"# password {M}\n", id="a remark"),
        pytest.param(
            # These look like secrets, but a reader of a diff needs them.
            "PasswordAuthentication no\n",
            "PasswordAuthentication no\n",
            id="a setting of ssh's",
        ),
        pytest.param("PASSWORD=\n", "PASSWORD=\n", id="no value"),
        pytest.param("SLURM_PARTITION=long\n", "SLURM_PARTITION=long\n", id="no secret"),
        pytest.param(
            "IdentityFile ~/.ssh/id_mila\n", "IdentityFile ~/.ssh/id_mila\n", id="the path of a key"
        ),
        pytest.param(
            # No user and password come before this @: it is in the path.
            "X=https://example.org:9000/a@b\n",
            "X=https://example.org:9000/a@b\n",
            id="a port",
        ),
    ],
)
def test_a_line_that_looks_like_a_secret_is_masked(line: str, shown: str) -> None:
    assert masked([line], [], is_env_file=False) == [shown]


def test_a_line_that_gen_writes_is_shown() -> None:
    line = "ASC_OIDC_TOKEN_URL=https://auth.example.org/token/\n"
    assert masked([line], [line], is_env_file=True) == [line]
    # The same line is masked in a file where gen did not write it.
    assert masked([line], [], is_env_file=False) == [f"ASC_OIDC_TOKEN_URL={M}\n"]


def test_a_private_key_is_masked_from_its_first_line_to_its_last() -> None:
    lines = [
        'KEY="-----BEGIN OPENSSH PRIVATE KEY-----\n',
        "b3Bl\n",
        '-----END OPENSSH PRIVATE KEY-----"\n',
        "z\n",
    ]
    assert masked(lines, [], is_env_file=True) == [f"{M}\n", f"{M}\n", f"{M}\n", "z\n"]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        pytest.param(
            ['PASSWORD="one\n', "two\n", 'three"\n', "A b\n"],
            [f"PASSWORD={M}\n", f"{M}\n", f"{M}\n", "A b\n"],
            id="in double quotes",
        ),
        pytest.param(
            ["API_TOKEN='one\n", "two'\n", "A b\n"],
            [f"API_TOKEN={M}\n", f"{M}\n", "A b\n"],
            id="in single quotes",
        ),
        pytest.param(
            ["PASSWORD=one\\\n", "two\\\n", "three\n", "A b\n"],
            [f"PASSWORD={M}\n", f"{M}\n", f"{M}\n", "A b\n"],
            id="behind backslashes",
        ),
        pytest.param(['PASSWORD="one"\n', "A b\n"], [f"PASSWORD={M}\n", "A b\n"], id="in one line"),
        pytest.param(
            ['PASSWORD="a \\"\n', 'b"\n', "A b\n"],
            [f"PASSWORD={M}\n", f"{M}\n", "A b\n"],
            id="with a quote that is escaped",
        ),
        pytest.param(['A="one\n', "two\n"], ['A="one\n', "two\n"], id="without a secret"),
    ],
)
def test_the_further_lines_of_a_masked_value_are_masked(lines: list[str], shown: list[str]) -> None:
    assert masked(lines, [], is_env_file=False) == shown


def test_a_line_of_our_own_is_shown_below_an_open_quote() -> None:
    lines = ['PASSWORD="one\n', "Host mila\n"]
    assert masked(lines, ["Host mila\n"], is_env_file=False) == [f"PASSWORD={M}\n", "Host mila\n"]


def test_a_certificate_and_a_public_key_are_shown() -> None:
    lines = [
        "-----BEGIN CERTIFICATE-----\n",
        "b3Bl\n",
        "-----END CERTIFICATE-----\n",
        "ssh-ed25519 AAAA\n",
    ]
    assert masked(lines, [], is_env_file=True) == lines


def test_in_an_environment_file_the_value_of_every_variable_that_gen_does_not_write_is_masked() -> (
    None
):
    # Users put the credentials of other programs into a .env file, under any name.
    lines = ["SLURM_QOS=mine\n", "WANDB=abc\n"]
    assert masked(lines, ["SLURM_QOS=ours\n"], is_env_file=True) == [
        "SLURM_QOS=mine\n",
        f"WANDB={M}\n",
    ]
    assert masked(lines, [], is_env_file=False) == lines
