# Made by gen for all projects; do not edit. gen site and gen project write it again.
"""Secrets stay on this machine: others at the site may read the script of a job, its environment and its files."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

SECRET_NAME = re.compile(
    "(^|_)(TOKEN|PGPASSWORD|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIALS?|COOKIE|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)"
    "(?=_(?!PATH|FILE)|$)|_(PWD|PASS|PAT)$"
)
SECRET_VALUE = re.compile(
    # A private key, the password in a URL (not one that code fills in), and tokens of services that many payloads use.
    r"PRIVATE KEY-----(\\n|\s)+(Proc-Type|[\w+/]{16})|://[^/\s:@{}$%<]+:[^/\s@{}$%<]+@"
    r"|\b(gh[opsu]_|github_pat_|hf_|sk-(proj-|ant-)?)[A-Za-z0-9]{20}|\bglpat-[\w-]{20}|\bAKIA[A-Z0-9]{16}|\bxox[abp]-\d{8}"
)
SECRET_FILE = re.compile(
    r"^\.env|^[._]netrc$|^\.(pgpass|pypirc|npmrc|git-credentials|vault-token)$|^(credentials|auth_token)(\.json)?$"
    r"|^id_(rsa|dsa|ecdsa|ed25519)(?!.*\.pub$)|\.(pem|p12|pfx|kdbx|key|keytab)$",
    re.IGNORECASE,
)
SECRET_DIRECTORIES = {".ssh", ".gnupg", ".aws", ".kube", ".docker"}
EXTRA = re.compile(r'"([\w-]+)": "([^"]*)"')
"""A name and its text in JSON, at any depth."""
SHORT = 12
"""Characters of a secret that may be a usual word, so that it is not looked for within other text."""
READ_BYTES = 10**6
"""How much of a file is read: a payload is smaller."""


def refuse_job(variables: Mapping[str, str], extras: Mapping[str, Any], files: list[str]) -> None:
    """Refuse a job with a secret in its variables, in what Pipes hands to its payload, or in its files.

    Raises:
        Failure: names the variable or the file.
    """
    for name, value in variables.items():
        refuse_value(f"extra_env[{name!r}]", name, value)
    handed_over = json.dumps(extras, default=str)
    for name, value in EXTRA.findall(handed_over):
        refuse_value(f"extras: {name}", name, value)
    refuse_value("extras", "", handed_over)
    for file in files:
        refuse_file(file)


def refuse_value(where: str, name: str, value: str) -> None:
    """Refuse a value that is a secret, by its name or by itself."""
    # A number is a count, as in MAX_TOKEN_LENGTH.
    if (SECRET_NAME.search(name.upper()) and not value.isdigit()) or secret_in(value):
        raise dg.Failure(
            f"{where}: looks like a secret, which would be in the script of the job; "
            "let the payload read it from a file at the site that only you can read",
            allow_retries=False,
        )


def refuse_file(file: str) -> None:
    """Refuse to upload a file that is a secret or has one in it. A link is also judged by the file that it leads to."""
    path, target = Path(file), Path(file).resolve()
    is_secret = SECRET_FILE.search(path.name) or SECRET_FILE.search(target.name)
    if is_secret or SECRET_DIRECTORIES & {*target.parts}:
        raise dg.Failure(f"{file}: looks like a secret; it is not uploaded", allow_retries=False)
    with target.open("rb") as stream:
        content = stream.read(READ_BYTES)
    # A packed environment is not text, and may have the shape of a secret by chance.
    if b"\0" not in content:
        refuse_text(file, content.decode(errors="replace"))


def refuse_text(file: str, text: str) -> None:
    """Refuse to write a text to a file at the site if it has a secret in it."""
    if secret_in(text):
        raise dg.Failure(f"{file}: contains a secret; it is not uploaded", allow_retries=False)


def secret_in(text: str) -> bool:
    """Return whether a text has a secret: one of a known shape, or one of this machine under whatever name."""
    if SECRET_VALUE.search(text):
        return True
    return any(secret == text or (len(secret) >= SHORT and secret in text) for secret in own_secrets())


def own_secrets() -> Iterator[str]:
    """Yield the secrets in the environment of this process, which has the values of `.env` too."""
    for name, value in os.environ.items():
        # A name that goes on is about a secret: TOKEN_URL. The variable may also name the file that has the secret.
        ends_so = any(match.end() == len(name) for match in SECRET_NAME.finditer(name.upper()))
        if ends_so and len(value) > 7 and not Path(value).exists():
            yield value
