"""The sites that may use a secret, and the addresses that may get it.

`SITE.secrets` (0600) beside the state has each secret that a site has used, with the addresses that
got it. A secret is the path of a file, or the name of a variable (which a systemd credential and an
entry of the keyring share). Another site or another address needs the agreement of the user: a
spec may come from anybody, and names the files that gen reads.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from generator import codec, paths
from generator.errors import GenError, os_errors_named
from generator.files import read_regular, refuse_others
from generator.formatting import home, listed, printable
from generator.loading import catalogue, validate
from generator.renewal.credentials import API_TOKEN, APP_PASSWORD
from generator.renewal.settings import Settings
from generator.schema.auth import StepAuth
from generator.schema.site import SiteSpec
from generator.workspace import writer

_SUFFIX = ".secrets"
# To parse every spec of the catalogue would take seconds.
_STEP = re.compile(rb"\bmethod: *step\b")


class NotAgreedError(GenError):
    """A site would use a secret for the first time, and the user has not agreed to it."""

    def __init__(self, message: str, secret: str, question: str) -> None:
        super().__init__(message)
        self.secret = secret
        self.question = question


@dataclass(frozen=True)
class _Bindings:
    """The content of a file: the addresses that get a secret, by the secret."""

    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class SecretBindings:
    """The bindings of one site, and of the others that they must not collide with."""

    site: str
    words: str
    """The words of a command line that name the site."""
    directory: Path
    uses: Mapping[str, tuple[str, ...]]
    """The secrets of the site now, with the addresses that get them."""
    outputs: Collection[str]
    """Those of them that gen only writes."""
    earlier_secrets: Callable[[], Collection[Path] | None]
    """Returns the secrets that existed before the site was installed; ``None`` if unknown."""

    def check(self, secret: str | Path) -> None:
        """Refuse a secret that the site may not use; bind one that is the site's own.

        Raises:
            NotAgreedError: the user has to agree to it first.
        """
        name = str(secret)
        addresses = set(self.uses.get(name, ()))
        if not addresses and name not in self.outputs:
            return  # gen sends it nowhere
        own = self._read(self.site)
        bound = _addresses(own, name)
        if bound is not None and addresses <= bound:
            return
        problem = self._problem(name, addresses, bound)
        if problem:
            raise self._refusal(name, problem)
        self.agree(name)

    def agree(self, secret: str) -> None:
        """Bind a secret to the site and its addresses, as the user has agreed."""
        earlier = {}
        for name, addresses in self._read(self.site).secrets.items():
            if name in self.uses:
                earlier[name] = addresses
        path = self._path(self.site)
        refuse_others(path)
        content = codec.dump(_Bindings({**earlier, secret: self.uses.get(secret, ())}))
        with os_errors_named(path):
            writer.write_private(path, content, 0o600)

    def _problem(self, secret: str, addresses: set[str], bound: set[str] | None) -> str | None:
        """Return why the site may not use a secret, or ``None`` if it may."""
        shipped = dict(_shipped_uses())
        claimed = _claimed(shipped.get(self.site, {}), secret)
        # The catalogue came with gen, and not with a checkout.
        if claimed is not None and addresses <= claimed:
            return None
        if bound is None:
            bound = claimed
        installed = dict(_installed_uses())
        if bound is None:
            bound = _claimed(installed.get(self.site, {}), secret)
        if bound is not None and not addresses <= bound:
            return f"{self.site} is known to use it with {listed(sorted(bound))}"
        owner = self._owner(secret, {**shipped, **installed})
        if owner:
            return f"it belongs to {owner}"
        return self._problem_of_file(Path(secret)) if "/" in secret else None

    def _owner(self, secret: str, uses: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str | None:
        """Return another site that has used a secret, or whose spec names it."""
        for path in sorted(self.directory.glob(f"*{_SUFFIX}")):
            if path.stem != self.site and _addresses(self._read(path.stem), secret) is not None:
                return path.stem
        for site, secrets in sorted(uses.items()):
            if site != self.site and _claimed(secrets, secret) is not None:
                return site
        return None

    def _problem_of_file(self, path: Path) -> str | None:
        if not path.exists():
            return None  # gen is about to create it
        if catalogue.installed_copy(self.site) is None:
            return f"it exists already, and {self.site} is not installed"
        earlier_secrets = self.earlier_secrets()
        if earlier_secrets is None:
            return f"gen's record does not say whether it is older than {self.site}"
        if any(_is_same(path, earlier) for earlier in earlier_secrets):
            return f"it existed before {self.site} was installed"
        return None

    def _refusal(self, secret: str, problem: str) -> NotAgreedError:
        name = home(Path(secret)) if "/" in secret else secret
        addresses = printable(", ".join(self.uses.get(secret, ())))
        question = f"Let {self.site} use {name} with {addresses}?"
        purpose = f"send its secrets to {addresses}"
        if secret in self.outputs:
            question = f"Let {self.site} write a secret into {name}?"
            purpose = "write a secret into it"
        message = (
            f"{self.site}: {name}: {problem}, and {self.site} would {purpose}; "
            f"gen sent nothing. To allow it, run in a terminal: gen refresh {self.words}"
        )
        return NotAgreedError(message, secret, question)

    def _read(self, site: str) -> _Bindings:
        path = self._path(site)
        refuse_others(path)
        with os_errors_named(path):
            try:
                content = read_regular(path)
            except FileNotFoundError:
                return _Bindings()
        return codec.load(_Bindings, content, str(path), f"delete it with rm {path}")

    def _path(self, site: str) -> Path:
        return self.directory / f"{site}{_SUFFIX}"


def secret_bindings(
    settings: Settings, directory: Path, earlier_secrets: Callable[[], Collection[Path] | None]
) -> SecretBindings:
    """Return the bindings of a site."""
    uses: dict[str, tuple[str, ...]] = {}
    outputs = set()
    if isinstance(settings.auth, StepAuth):
        uses = _uses(settings.auth, settings.prefix)
    if settings.app_password_file:
        outputs.add(str(settings.app_password_file))
    return SecretBindings(settings.site, settings.words, directory, uses, outputs, earlier_secrets)


def _uses(auth: StepAuth, prefix: str) -> dict[str, tuple[str, ...]]:
    """Return the secrets that a site's login uses, with the addresses that get them."""
    # The CA gets the token, with which the user could get a certificate elsewhere too.
    token_urls = (auth.oidc.token_url, auth.ca_url) if auth.oidc else ()
    uses: dict[str, tuple[str, ...]] = {f"{prefix}_{APP_PASSWORD}": token_urls}
    if auth.authentik:
        api_and_token_urls = (auth.authentik.api_base, *token_urls)
        # gen tries an API token at the token endpoint too, to explain why the API refuses it.
        uses[f"{prefix}_{API_TOKEN}"] = api_and_token_urls
        uses[str(Path(auth.authentik.credentials_file).expanduser())] = api_and_token_urls
        if auth.authentik.app_password_file:
            uses[str(Path(auth.authentik.app_password_file).expanduser())] = token_urls
    return uses


def _shipped_uses() -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    for name, path in catalogue.shipped().items():
        if _STEP.search(path.read_bytes()):
            yield name, _uses_of_site(validate.site(path))


def _installed_uses() -> Iterator[tuple[str, dict[str, tuple[str, ...]]]]:
    for lock in sorted((Path.home() / paths.INSTALL_RECORDS).glob("*.lock")):
        copy = lock.with_suffix(".yaml")
        if not copy.exists():
            continue
        with os_errors_named(copy):
            content = read_regular(copy)
        if b"step" in content:
            yield lock.stem, _uses_of_site(validate.site(copy))


def _uses_of_site(site: SiteSpec) -> dict[str, tuple[str, ...]]:
    if not isinstance(site.auth, StepAuth):
        return {}
    return _uses(site.auth, site.auth.env_prefix or site.site.upper().replace("-", "_"))


def _addresses(bindings: _Bindings, secret: str) -> set[str] | None:
    return _claimed(bindings.secrets, secret)


def _claimed(uses: Mapping[str, tuple[str, ...]], secret: str) -> set[str] | None:
    """Return the addresses that get a secret, or ``None`` if it is not among the secrets."""
    for name, addresses in uses.items():
        if name == secret or ("/" in name and "/" in secret and _is_same(Path(name), Path(secret))):
            return set(addresses)
    return None


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one file: through links, or in a spelling of macOS."""
    try:
        return path.samefile(other)
    except OSError:
        return os.path.realpath(path) == os.path.realpath(other)
