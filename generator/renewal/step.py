"""The `step` command: its knowledge of a CA, and requests to the CA.

step writes its files in place, one after the other (its `cautils/bootstrap.go`), so gen counts a
context only when all of it exists. step also reads options from the environment: STEP_TOKEN keeps
the token out of the process list.
"""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from generator import codec
from generator.clock import Deadline
from generator.errors import GenError
from generator.files import KEY_LIMIT, read_regular
from generator.renewal import child_process
from generator.renewal.failures import PassingError
from generator.renewal.secret import Secret
from generator.renewal.settings import Settings
from generator.renewal.step_errors import certainly_refused, explanation
from generator.schema.auth import StepAuth
from generator.ssh.keys import fingerprint
from generator.workspace import writer

_INSTALL = "install it: https://smallstep.com/docs/step-cli/installation"


class NothingIssuedError(GenError):
    """The CA refused the request: it certainly issued nothing."""


class NotReachedError(NothingIssuedError, PassingError):
    """The request did not reach the CA."""


@dataclass(frozen=True)
class _Context:
    authority: str


@dataclass(frozen=True)
class _Defaults:
    """The `defaults.json` of an authority."""

    root: str
    fingerprint: str


@dataclass(frozen=True)
class Authority:
    """A CA, used through step."""

    settings: Settings
    auth: StepAuth
    environment: Mapping[str, str]
    deadline: Deadline
    report: Callable[[str], None] = lambda _: None
    """Gets the errors of step in its own words."""

    def bootstrap(self) -> None:
        """Let step learn the CA, once; the user's current context stays the same.

        gen sends nothing to a CA that step knows by another root certificate than the spec.
        """
        if not self.settings.bootstrap_again and self._is_known():
            return
        self._set_broken_files_aside()
        # `step ca bootstrap` makes the new context the current one.
        current = self._directory() / "current-context.json"
        before = _content(current)
        try:
            # --force: do not ask whether to overwrite a context that is not complete.
            root = ("--fingerprint", self.auth.ca_fingerprint)
            self._run("ca", "bootstrap", *self._ca_options(), *root, "--force")
        finally:
            if before is not None and _content(current) != before:
                writer.replace(current, before, 0o644)
        if not self._is_known():
            raise GenError(f"step created no context {self.auth.context} below {self._directory()}")

    def health(self) -> None:
        """Ask the CA whether it works."""
        self._run("ca", "health", *self._ca_options())

    def sign(self, public_key: Path, token: Secret) -> Path:
        """Get a certificate for a public key, and return its path."""
        self._run(*self._certificate_command(public_key), secret=token)
        return _certificate_path(public_key)

    def sign_in_browser(self, public_key: Path, *, device: bool) -> Path:
        """Get a certificate through the user's browser, and return its path.

        `device` lets the user open the browser on another device (RFC 8628).
        """
        environment = dict(self.environment)
        if device:
            # A variable, and not --console: `step ssh certificate` runs `step oauth`, which reads
            # it too (command/oauth/cmd.go), in versions whose `ssh certificate` lacks the option.
            environment["STEP_CONSOLE"] = "true"
        command = (self.settings.step_binary, *self._certificate_command(public_key))
        status = child_process.run_in_terminal(command, environment, install=_INSTALL)
        if status and device:
            raise GenError(
                f"step ended with status {status}; the old certificate stays. If the site lets "
                "users log in on this machine only, leave --device out"
            )
        if status:
            raise GenError(f"step ended with status {status}; the old certificate stays")
        return _certificate_path(public_key)

    def signing_keys(self) -> set[str]:
        """Return the fingerprints of the keys with which the CA signs users' certificates."""
        fingerprints = set()
        # One public key in each line; other lines may be comments.
        for line in self._run("ssh", "config", "--roots", *self._ca_options()).splitlines():
            with suppress(ValueError):
                fingerprints.add(fingerprint(line))
        return fingerprints

    def _certificate_command(self, public_key: Path) -> list[str]:
        # --sign: a certificate for the existing key. A new key would have to be put in place as
        # well.
        request = (self.settings.identity or "", str(public_key), "--sign", "--force", "--no-agent")
        command = ["ssh", "certificate", *request, *self._ca_options()]
        if self.auth.provisioner:
            command += ["--provisioner", self.auth.provisioner]
        return [*command, *self.settings.extra_step_args]

    def _ca_options(self) -> tuple[str, ...]:
        return ("--context", self.auth.context, "--ca-url", self.auth.ca_url)

    def _run(self, *arguments: str, secret: Secret | None = None) -> str:
        environment = child_process.needed(self.environment)
        secrets = []
        if secret:
            environment["STEP_TOKEN"] = secret.reveal()
            secrets.append(secret)
        try:
            return child_process.output(
                (self.settings.step_binary, *arguments),
                environment,
                self.deadline,
                install=_INSTALL,
                secrets=secrets,
            )
        except GenError as error:
            output = str(error)
            if isinstance(error, child_process.FailedProgramError):
                output = error.output
            self.report(f"step {' '.join(arguments[:2])}: {output}")
            raise self._explained(str(error)) from None

    def _explained(self, message: str) -> GenError:
        """Return an error of step in the words of gen, and of the kind that its callers handle."""
        problem = explanation(message)
        if not problem:
            kind = NothingIssuedError if certainly_refused(message) else GenError
            return kind(message)
        text = f"{self.auth.ca_url}: {problem.text}"
        if certainly_refused(message):
            return NotReachedError(text) if problem.passes else NothingIssuedError(text)
        return PassingError(text) if problem.passes else GenError(text)

    def _set_broken_files_aside(self) -> None:
        """Rename files that step could not complete, since it refuses every command with them."""
        directory = self._directory()
        contexts = directory / "contexts.json"
        current = directory / "current-context.json"
        name = self.auth.context
        authority = directory / "authorities" / name / "config" / "defaults.json"
        profile = directory / "profiles" / name / "config" / "defaults.json"
        for path in (contexts, current, authority, profile):
            if path.is_file() and _object(path) is None:
                path.replace(path.with_name(f"{path.name}.broken"))
        if current.is_file():
            current_name = (_object(current) or {}).get("context")
            if current_name not in (_object(contexts) or {}):
                writer.remove(current)

    def _is_known(self) -> bool:
        """Return whether step knows the whole context; refuse one with another root certificate."""
        directory = self._directory()
        try:
            contexts = _object(directory / "contexts.json") or {}
            context = codec.decode(
                _Context, contexts.get(self.auth.context), "contexts.json", strict=False
            )
            authority = directory / "authorities" / context.authority
            values = _object(authority / "config" / "defaults.json")
            defaults = codec.decode(_Defaults, values, "defaults.json", strict=False)
            root = ssl.PEM_cert_to_DER_cert(read_regular(Path(defaults.root), KEY_LIMIT).decode())
        except (OSError, ValueError, GenError):
            return False
        fingerprints = {defaults.fingerprint.lower(), sha256(root).hexdigest()}
        unexpected = fingerprints - {self.auth.ca_fingerprint}
        if unexpected:
            raise GenError(
                f"{authority}: step knows {self.auth.context} by the root {min(unexpected)[:16]}…, "
                f"the spec by {self.auth.ca_fingerprint[:16]}…; gen sent nothing. "
                "Ask the site which one is right"
            )
        return True

    def _directory(self) -> Path:
        return Path(self.environment.get("STEPPATH") or Path.home() / ".step")


def _certificate_path(public_key: Path) -> Path:
    return public_key.with_name(f"{public_key.stem}-cert.pub")


def _content(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except FileNotFoundError:
        return None


def _object(path: Path) -> dict[str, object] | None:
    """Return the JSON object in a file, or ``None`` if there is none."""
    try:
        value = codec.parse(read_regular(path), str(path))
    except (OSError, GenError):
        return None
    return value if isinstance(value, dict) else None
