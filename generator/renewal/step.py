"""The `step` command: what it knows of a CA, and what it is asked for.

step writes in place and one file after the other (its `cautils/bootstrap.go`), so a context counts only when all of it
is there; and it takes options from the environment too (`STEP_TOKEN`), which keeps the token out of the process list.
"""

import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from generator.errors import GenError
from generator.renewal import process
from generator.renewal.deadline import Deadline
from generator.renewal.secret import Secret
from generator.renewal.settings import Step
from generator.ssh.keys import fingerprint
from generator.workspace import writer

_INSTALL = "install it: https://smallstep.com/docs/step-cli/installation"


@dataclass(frozen=True)
class Authority:
    """A CA, as step is told of it."""

    step: Step
    environment: Mapping[str, str]
    deadline: Deadline

    def bootstrap(self) -> None:
        """Let step know the CA, once; the person's current context stays what it was.

        Raises:
            GenError: what step knows has another root than the spec: nothing is sent to such a CA.
        """
        if not self.step.bootstrap_anew and self._known():
            return
        self._mend()
        current = self._folder() / "current-context.json"
        before = current.read_bytes() if current.is_file() else None
        try:
            self._run(
                "ca", "bootstrap", *self._ours(), "--fingerprint", self.step.fingerprint, "--force"
            )
        finally:
            if before is not None and current.read_bytes() != before:
                writer.replace(current, before, 0o644)
        if not self._known():
            raise GenError(f"step made no context {self.step.context} below {self._folder()}")

    def health(self) -> None:
        """Ask the CA whether it is well.

        Raises:
            GenError: it is not, or does not answer.
        """
        self._run("ca", "health", *self._ours())

    def sign(self, public_key: Path, token: Secret) -> Path:
        """Have a public key signed; return the certificate beside it."""
        self._run(*self._certificate(public_key), secret=token)
        return public_key.with_name(f"{public_key.stem}-cert.pub")

    def sign_with_a_person(self, public_key: Path) -> Path:
        """Have a public key signed by way of a browser; return the certificate beside it.

        Raises:
            GenError: it was not signed.
        """
        status = process.shown([self._program(), *self._certificate(public_key)], self.environment)
        if status:
            raise GenError(f"step ended with status {status}; the certificate is as it was")
        return public_key.with_name(f"{public_key.stem}-cert.pub")

    def roots(self) -> set[str]:
        """Return the fingerprints of the keys that the CA signs people's certificates with."""
        found = set()
        for line in self._run("ssh", "config", "--roots", *self._ours()).splitlines():
            with suppress(ValueError):
                found.add(fingerprint(line))
        return found

    def _certificate(self, public_key: Path) -> list[str]:
        provisioner = ["--provisioner", self.step.provisioner] if self.step.provisioner else []
        # Only a new certificate for the key that is there: a new key would have to be put in place as well.
        what = (self.step.identity or "", str(public_key), "--sign", "--force", "--no-agent")
        return ["ssh", "certificate", *what, *self._ours(), *provisioner]

    def _ours(self) -> tuple[str, ...]:
        return ("--context", self.step.context, "--ca-url", self.step.ca_url)

    def _run(self, *words: str, secret: Secret | None = None) -> str:
        token = {"STEP_TOKEN": secret.reveal()} if secret else {}
        try:
            return process.output(
                [self._program(), *words],
                process.needed(self.environment, **token),
                self.deadline,
                [secret] if secret else [],
            )
        except GenError as error:
            if "disabled due to an initialization error" in str(error):
                raise GenError(
                    f"{self.step.ca_url}: the CA has switched its OIDC provisioner off; only the site can mend that"
                ) from None
            raise

    def _program(self) -> str:
        return process.program("step", _INSTALL)

    def _mend(self) -> None:
        """Put aside what step was cut off in the middle of writing: it would refuse every command because of it."""
        folder, name = self._folder(), self.step.context
        contexts, current = folder / "contexts.json", folder / "current-context.json"
        own = (
            folder / kind / name / "config" / "defaults.json"
            for kind in ("authorities", "profiles")
        )
        for path in (contexts, current, *own):
            if path.is_file() and _object(path) is None:
                path.replace(path.with_name(f"{path.name}.broken"))
        if current.is_file() and (_object(current) or {}).get("context") not in (
            _object(contexts) or {}
        ):
            writer.remove(current)

    def _known(self) -> bool:
        """Tell whether step knows the whole context, and that by the right root."""
        folder = self._folder()
        try:
            name = json.loads((folder / "contexts.json").read_bytes())[self.step.context][
                "authority"
            ]
            defaults = json.loads(
                (folder / "authorities" / name / "config" / "defaults.json").read_bytes()
            )
            root = Path(defaults["root"]).read_text()
            found = {
                str(defaults["fingerprint"]).lower(),
                sha256(ssl.PEM_cert_to_DER_cert(root)).hexdigest(),
            }
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if found != {self.step.fingerprint}:
            other = next(iter(found - {self.step.fingerprint}))
            raise GenError(
                f"{folder}/authorities/{name}: step knows {self.step.context} by the root {other[:16]}…, the spec by "
                f"{self.step.fingerprint[:16]}…; nothing was sent. Ask the site which one is right"
            )
        return True

    def _folder(self) -> Path:
        return Path(self.environment.get("STEPPATH") or Path.home() / ".step")


def _object(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
