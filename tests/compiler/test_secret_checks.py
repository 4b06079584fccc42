"""A project keeps secrets on this machine: what it refuses to upload or to put into a job."""

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from generator import resources

TEMPLATE = resources.PROJECT / "{{cookiecutter.__slug}}/src/{{cookiecutter.__package}}"

SECRET = "correct-horse-battery"  # noqa: S105 - of the test
# A key of no one: the shape counts.
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return the module of the project that refuses secrets."""
    directory = tmp_path_factory.mktemp("project")
    # The modules of the template have no placeholder.
    shutil.copytree(TEMPLATE, directory / "keeping")
    sys.path.insert(0, str(directory))
    yield importlib.import_module("keeping.secret_checks")
    sys.path.remove(str(directory))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    # A usual word, which must not be looked for within other text.
    monkeypatch.setenv("DB_PASSWORD", "postgres")
    # Of `.env.musica`: every script of dagster-slurm has this text.
    monkeypatch.setenv("ASC_AUTHENTIK_TOKEN_IDENTIFIER", "dagster-slurm")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    key_file = tmp_path / "a-service.json"
    key_file.touch()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file))


@pytest.mark.parametrize(
    ("variables", "extras"),
    [
        pytest.param({"HF_TOKEN": "some text"}, {}, id="a name"),
        pytest.param({"hf_token": "some text"}, {}, id="a lowercase name"),
        pytest.param({"INNOCENT": SECRET}, {}, id="a secret of this machine by another name"),
        pytest.param({"HEADER": f"Bearer {SECRET}"}, {}, id="a secret within a value"),
        pytest.param({"OF_S3": "wJalrXUtnFEMI"}, {}, id="a secret whose name has two such words"),
        pytest.param({"NAME": "postgres"}, {}, id="a secret that is a word"),
        pytest.param({"DB": "postgresql://ada:x1@db/runs"}, {}, id="the password in a URL"),
        pytest.param({"VALUE": f"hf_{'a1' * 17}"}, {}, id="the token of a service"),
        pytest.param({"VALUE": KEY}, {}, id="a private key"),
        pytest.param({}, {"token": "some text"}, id="what Pipes hands over"),
        pytest.param({}, {"login": {"password": "some text"}}, id="and what is deep in it"),
        pytest.param({}, {"headers": ["Accept: */*", f"Bearer {SECRET}"]}, id="a list of it"),
    ],
)
def test_a_secret_is_kept_out_of_a_job(
    variables: dict[str, str], extras: dict[str, Any], module: Any
) -> None:
    with pytest.raises(dg.Failure, match="looks like a secret") as error:
        module.refuse_job(variables, extras, [])
    # The refusal is in the log of the run, so it does not have the secret.
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("variables", "extras"),
    [
        pytest.param(
            {"DATA_DIR": "/scratch/ada/data", "TOKENIZERS_PARALLELISM": "false"}, {}, id="others"
        ),
        pytest.param({"MAX_TOKEN_LENGTH": "512", "HF_TOKEN_PATH": "~/.hf"}, {}, id="counts, paths"),
        pytest.param({"DB": "postgresql://db.example.org/postgres"}, {}, id="a word in a text"),
        pytest.param({}, {"token_limit": 4096, "monkey": "a1", "sizes": [1, 2]}, id="extras"),
    ],
)
def test_other_variables_reach_a_job(
    variables: dict[str, str], extras: dict[str, Any], module: Any
) -> None:
    module.refuse_job(variables, extras, [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(
            pytest.param(name, "some text", id=name)
            for name in (
                *(".env", ".env.musica", ".ENV", ".netrc", "_netrc", ".pgpass", "id_ed25519"),
                *("ID_RSA", "id_rsa.old", "host.pem", "auth_token", "credentials", "ada.keytab"),
                *(".ssh/config", ".aws/config", ".kube/config"),
            )
        ),
        pytest.param("notes.txt", KEY, id="a private key"),
        pytest.param(
            "sa.json",
            f'{{"private_key": {KEY.splitlines()[0]}\\nMIIEvQIBADANBgkqhkiG}}',
            id="a key in JSON",
        ),
        pytest.param("train.py", "# licence\n" * 1000 + f'KEY = "{SECRET}"\n', id="a payload"),
        pytest.param("run.sh", f"export TOKEN=ghp_{'aB3' * 12}\n", id="a script with a token"),
    ],
)
@pytest.mark.parametrize("is_link", [False, True], ids=["a file", "a link with another name"])
def test_a_secret_is_not_uploaded(
    name: str, content: str, is_link: bool, module: Any, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    if is_link:
        (tmp_path / "data.csv").symlink_to(file)
        file = tmp_path / "data.csv"
    with pytest.raises(dg.Failure, match="; it is not uploaded") as error:
        module.refuse_job({}, {}, [str(file)])
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("id_ed25519.pub", "ssh-ed25519 AAAA ada\n", id="a public key"),
        pytest.param(
            "train.py", 'DB = f"postgresql://{user}:{password}@{host}"\n', id="a template"
        ),
        pytest.param("job.sh", "# dagster-slurm\n", id="a script of dagster-slurm"),
        pytest.param("keys.py", 'START = "-----BEGIN PRIVATE KEY-----"\n', id="code about keys"),
        pytest.param("train.py", "hf_model_name_or_path_of_the_run = 1\n", id="a long name"),
        pytest.param("packed.sh", "#!/bin/sh\n\0\xff://\xfe:\xfd@", id="a packed environment"),
    ],
)
def test_other_files_are_uploaded(name: str, content: str, module: Any, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    module.refuse_job({}, {}, [str(tmp_path / name)])


def test_every_payload_of_the_example_is_uploaded(module: Any) -> None:
    payloads = list((TEMPLATE / "payloads").glob("*.py"))
    assert payloads
    module.refuse_job({}, {}, [str(file) for file in payloads])
