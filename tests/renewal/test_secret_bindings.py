"""A secret belongs to a site and to the addresses that get it; others need the user's agreement.

The server of the tests records what it gets. `step` is missing, so a site that may use its secrets
fails with the message about step, and gen sends nothing before.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from running import Gen

from generator.renewal.secret_bindings import NotAgreedError, SecretBindings

# Named by the spec of the catalogue, so it is musica's before any run.
MUSICA = ".config/dagster-slurm/musica-auth.env"
STATE = ".local/state/gen"
SECRET = 'ASC_OIDC_APP_PASSWORD="belongs-to-musica"\n'  # noqa: S105 - of no real site
# The error that comes after the check of the secrets: whoever gets it may use them.
NO_STEP = "step is not on PATH"
SPEC = """\
site: {site}
title: Harmless test cluster
sources: {{ s: {{ url: "https://example.org/keys", checked: 2026-11-01 }} }}
hosts: {{ {site}: {{ host: login.{site}.example, source: s }} }}
auth:
  method: step
  ca_url: https://ca.{site}.example:9000
  ca_fingerprint: bd913ff68243d41b9611b2690dfbf2b0f6e42ea14536a98232af60e9f64ffdaa
  context: {site}
  env_prefix: {prefix}
  oidc: {{ token_url: "{url}/token", client_id: x, username: x }}
  authentik: {{ api_base: "{url}", credentials_file: "{file}" }}
  source: s
"""
WriteSpec = Callable[..., Path]


@pytest.fixture
def received() -> Iterator[list[bytes]]:
    """The requests to a server, whose address is in the variable TEST_SERVER."""
    requests: list[bytes] = []

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append(self.path.encode() + body)
            # An error ends the run: whether a secret was sent is all that counts here.
            self.send_error(400)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    os.environ["TEST_SERVER"] = f"http://127.0.0.1:{server.server_port}"
    yield requests
    del os.environ["TEST_SERVER"]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def user(home: Path, received: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with a profile, and programs without step."""
    for name in list(os.environ):
        # A user of musica may have such variables, which would count as secrets of the tests.
        if name.startswith("ASC_"):
            monkeypatch.delenv(name)
    write(home / ".config/gen/profile.yaml", "user: ada\nemail: ada@example.org\nclient_id: x\n")
    programs = home / "bin"
    programs.mkdir()
    # The directory has no step, wherever this machine has it.
    for name in ("ssh", "ssh-keygen", "sh"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    return home


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # gen refuses a secret that other users can read, so the mode comes before the content.
    path.touch(0o600)
    path.write_text(content)
    return path


@pytest.fixture
def spec(user: Path) -> WriteSpec:
    """Return a function that writes a spec, and returns its path."""

    def write_spec(
        site: str = "evil", file: str = f"~/{MUSICA}", prefix: str = "EVIL", at: str = "", **_: str
    ) -> Path:
        # Only the path differs: the same server may have another service there.
        url = os.environ["TEST_SERVER"] + at
        text = SPEC.format(site=site, file=file, prefix=prefix, url=url)
        return write(Path(f"{site}.yaml"), text)

    return write_spec


def bound(home: Path, site: str) -> dict[str, list[str]]:
    secrets: dict[str, list[str]] = json.loads((home / STATE / f"{site}.secrets").read_text())[
        "secrets"
    ]
    return secrets


def addresses(site: str) -> str:
    server = os.environ["TEST_SERVER"]
    return f"{server}, {server}/token, https://ca.{site}.example:9000"


def refusal(site: str, name: str, problem: str, spec: str = "") -> str:
    return (
        f"{site}: {name}: {problem}, and {site} would send its secrets to {addresses(site)}; "
        f"gen sent nothing. To allow it, run in a terminal: gen refresh {spec or site}\n"
    )


@pytest.mark.parametrize("site_has_used_it", [True, False])
def test_an_installed_spec_does_not_get_the_secret_of_another_site(
    user: Path, gen: Gen, spec: WriteSpec, received: list[bytes], site_has_used_it: bool
) -> None:
    write(user / MUSICA, SECRET)
    if site_has_used_it:
        gen("refresh", "musica")
    assert gen("install", str(spec()), "--yes").status == 0
    result = gen("refresh", "evil")
    assert result.status == 2
    assert result.err == refusal("evil", f"~/{MUSICA}", "it belongs to musica")
    assert received == []
    # Run by ssh without a terminal, where a question would hang the connection.
    on_connect = gen("refresh", "evil", "--on-connect")
    assert (on_connect.status, on_connect.err.count("\n"), received) == (0, 1, [])


def test_a_site_of_the_catalogue_gets_its_own_secret_without_a_question(
    user: Path, gen: Gen
) -> None:
    write(user / MUSICA, SECRET)
    assert NO_STEP in gen("refresh", "musica").err
    assert bound(user, "musica") == {
        str(user / MUSICA): [
            "https://auth.asc.ac.at",
            "https://auth.asc.ac.at/application/o/token/",
            "https://auth.asc.ac.at:9000",
        ]
    }
    # Who can write the bindings can allow any address.
    assert (user / STATE / "musica.secrets").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Replace the keyring by one that has a secret of each site, and record the questions to it."""
    questions: list[tuple[str, str]] = []

    def get_password(service: str, name: str) -> str | None:
        questions.append((service, name))
        return "in-the-keyring" if name == "EVIL_OIDC_APP_PASSWORD" else None

    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    keyring.__dict__["get_password"] = get_password
    errors.__dict__["KeyringError"] = RuntimeError
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return questions


def test_a_secret_of_the_keyring_is_bound_to_its_site_and_addresses(
    user: Path,
    gen: Gen,
    spec: WriteSpec,
    received: list[bytes],
    asked: list[tuple[str, str]],
) -> None:
    file = "~/.config/evil/auth.env"
    path = spec("evil", file=file)
    assert NO_STEP in gen("refresh", str(path)).err
    assert asked[0] == ("gen-evil", "EVIL_OIDC_APP_PASSWORD")
    assert "EVIL_OIDC_APP_PASSWORD" in bound(user, "evil")
    # Another address of the same site, and another site with the same prefix.
    spec("evil", file=file, at="/elsewhere")
    for words in (["evil.yaml"], [str(spec("other", file="~/.config/other/auth.env"))]):
        result = gen("refresh", *words)
        assert result.status == 2
        assert "EVIL_OIDC_APP_PASSWORD: " in result.err
        assert "gen sent nothing" in result.err
    assert received == []


@pytest.mark.parametrize("site_has_used_it", [True, False])
def test_a_checkout_does_not_send_the_secret_of_a_site_elsewhere(
    user: Path, gen: Gen, spec: WriteSpec, received: list[bytes], site_has_used_it: bool
) -> None:
    write(user / MUSICA, SECRET)
    if site_has_used_it:
        gen("refresh", "musica")
    # The spec of a checkout has the name of one in the catalogue.
    path = write(Path("site_specs/musica.yaml"), spec("musica").read_text())
    result = gen("refresh", str(path))
    assert result.status == 2
    problem = (
        "musica is known to use it with "
        "https://auth.asc.ac.at, https://auth.asc.ac.at/application/o/token/, "
        "https://auth.asc.ac.at:9000"
    )
    assert result.err == refusal("musica", f"~/{MUSICA}", problem, str(path))
    assert received == []


def test_a_variable_does_not_send_the_secret_elsewhere(
    user: Path, gen: Gen, monkeypatch: pytest.MonkeyPatch, received: list[bytes]
) -> None:
    write(user / MUSICA, SECRET)
    # dagster-slurm reads this variable too, so direnv of a checkout may set it.
    monkeypatch.setenv("ASC_OIDC_TOKEN_URL", f"{os.environ['TEST_SERVER']}/token")
    assert "musica is known to use it with" in gen("refresh", "musica").err
    assert received == []


def test_a_spec_does_not_get_the_variable_of_another_site(
    user: Path,
    gen: Gen,
    spec: WriteSpec,
    monkeypatch: pytest.MonkeyPatch,
    received: list[bytes],
) -> None:
    monkeypatch.setenv("ASC_OIDC_APP_PASSWORD", "belongs-to-musica")
    # Two sites with one prefix: the variable cannot say whose it is.
    gen("install", str(spec(prefix="ASC", file="~/.config/evil.env")), "--yes")
    result = gen("refresh", "evil")
    assert (result.status, received) == (2, [])
    assert result.err == (
        "evil: ASC_OIDC_APP_PASSWORD: it belongs to musica, and evil would send its secrets to "
        f"{os.environ['TEST_SERVER']}/token, https://ca.evil.example:9000; gen sent nothing. "
        "To allow it, run in a terminal: gen refresh evil\n"
    )


def test_a_variable_of_the_site_itself_is_used_without_a_question(
    user: Path, gen: Gen, spec: WriteSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS_OIDC_APP_PASSWORD", "belongs-to-ours")
    path = spec("ours", prefix="OURS", file="~/.config/ours.env")
    assert NO_STEP in gen("refresh", str(path)).err
    addresses_of_password = [f"{os.environ['TEST_SERVER']}/token", "https://ca.ours.example:9000"]
    assert bound(user, "ours") == {"OURS_OIDC_APP_PASSWORD": addresses_of_password}


def test_a_link_to_the_secret_of_another_site_is_the_same_secret(
    user: Path, gen: Gen, spec: WriteSpec, received: list[bytes]
) -> None:
    write(user / MUSICA, SECRET)
    gen("install", str(spec(file="~/.config/evil/auth.env")), "--yes")
    (user / ".config/evil").mkdir(mode=0o700)
    # By its own path the secret would look like one of the site.
    (user / ".config/evil/auth.env").symlink_to(user / MUSICA)
    result = gen("refresh", "evil")
    assert result.err == refusal("evil", "~/.config/evil/auth.env", "it belongs to musica")
    assert received == []


class TestOwnFile:
    """A credentials file that no other site names."""

    FILE = ".config/ours/auth.env"

    def test_it_is_used_if_the_user_made_it_for_the_installed_site(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        gen("install", str(spec("ours", file=f"~/{self.FILE}")), "--yes")
        write(user / self.FILE, SECRET)
        assert NO_STEP in gen("refresh", "ours").err
        assert list(bound(user, "ours")) == [str(user / self.FILE)]

    def test_it_is_refused_if_it_was_there_before_the_site(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        # A file of before may be the secret of anything, so its path alone is no consent.
        write(user / self.FILE, SECRET)
        gen("install", str(spec("ours", file=f"~/{self.FILE}")), "--yes")
        problem = "it existed before ours was installed"
        assert gen("refresh", "ours").err == refusal("ours", f"~/{self.FILE}", problem)

    def test_it_is_refused_if_the_record_does_not_say_who_made_it(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        write(user / self.FILE, SECRET)
        gen("install", str(spec("ours", file=f"~/{self.FILE}")), "--yes")
        (user / STATE / "install/home.json").unlink()
        problem = "gen's record does not say whether it is older than ours"
        assert gen("refresh", "ours").err == refusal("ours", f"~/{self.FILE}", problem)

    def test_it_is_refused_if_the_site_is_not_installed(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        write(user / self.FILE, SECRET)
        path = spec("ours", file=f"~/{self.FILE}")
        problem = "it exists already, and ours is not installed"
        expected = refusal("ours", f"~/{self.FILE}", problem, str(path))
        assert gen("refresh", str(path)).err == expected

    def test_another_address_is_refused_after_the_first_use(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        gen("install", str(spec("ours", file=f"~/{self.FILE}")), "--yes")
        write(user / self.FILE, SECRET)
        gen("refresh", "ours")
        known = addresses("ours")
        assert (
            gen("install", str(spec("ours", file=f"~/{self.FILE}", at="/else")), "--yes").status
            == 0
        )
        message = gen("refresh", "ours").err
        assert f"~/{self.FILE}: ours is known to use it with {known}, and ours would" in message

    @pytest.mark.parametrize("answer", ["y", "n"])
    def test_the_user_decides_in_a_terminal(
        self, user: Path, gen: Gen, spec: WriteSpec, answer: str
    ) -> None:
        write(user / self.FILE, SECRET)
        path = spec("ours", file=f"~/{self.FILE}")
        status, output = typed(f"{answer}\n", "refresh", str(path))
        assert f"Let ours use ~/{self.FILE} with {addresses('ours')}? [y/N]:" in output
        assert status == 2
        if answer == "y":
            assert NO_STEP in output
            assert list(bound(user, "ours")) == [str(user / self.FILE)]
            assert NO_STEP in gen("refresh", str(path)).err
            return
        assert output.rstrip().endswith(f"ours: gen did not use {user / self.FILE}")
        assert "it exists already" in gen("refresh", str(path)).err

    def test_an_uninstallation_deletes_the_binding(
        self, user: Path, gen: Gen, spec: WriteSpec
    ) -> None:
        gen("install", str(spec("ours", file=f"~/{self.FILE}")), "--yes")
        write(user / self.FILE, SECRET)
        gen("refresh", "ours")
        # The secret is the user's; only --purge deletes it.
        assert gen("uninstall", "ours", "--yes").status == 0
        assert not (user / STATE).exists()
        assert (user / self.FILE).read_text() == SECRET


def typed(text: str, *arguments: str) -> tuple[int, str]:
    """Run gen in a terminal in which a text was typed ahead; return its status and output."""
    leader, follower = os.openpty()
    # Typed ahead, as the kernel keeps it for the program.
    os.write(leader, text.encode())
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "generator", *arguments],
        stdin=follower,
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env={**os.environ, "PYTHONPATH": str(root)},
        start_new_session=True,
    )
    os.close(follower)
    output = b""
    while True:
        try:
            chunk = os.read(leader, 65_536)
        # Linux reports a closed terminal as EIO, and not as an end of file.
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        output += chunk
    os.close(leader)
    return process.wait(timeout=60), output.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param("[[[[", id="cut off"),
        pytest.param('{"format_version": "2.0", "secrets": {"a": 1}}', id="another type"),
    ],
)
def test_a_damaged_binding_is_refused_with_the_fix(user: Path, gen: Gen, content: str) -> None:
    write(user / MUSICA, SECRET)
    path = write(user / STATE / "musica.secrets", content)
    result = gen("refresh", "musica")
    assert (result.status, path.read_text()) == (2, content)
    assert result.err.startswith(f"musica: {path}:")
    assert result.err.endswith(f"; delete it with rm {path}\n")


def test_a_binding_that_others_can_write_is_refused(user: Path, gen: Gen) -> None:
    write(user / MUSICA, SECRET)
    gen("refresh", "musica")
    path = user / STATE / "musica.secrets"
    # Another user could add an address to it.
    path.chmod(0o666)
    assert f"{path}: other users can write to it (mode 666)" in gen("refresh", "musica").err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ASC_STEP_CA_URL", "https://ca.evil.example:9000"),
        ("ASC_AUTHENTIK_API_BASE", "https://api.evil.example"),
    ],
)
def test_the_ca_and_the_api_are_addresses_too(
    user: Path, gen: Gen, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    write(user / MUSICA, SECRET)
    monkeypatch.setenv(variable, value)
    message = gen("refresh", "musica").err
    assert f"~/{MUSICA}: musica is known to use it with" in message
    assert value in message


def test_a_rotation_does_not_overwrite_a_file_that_is_not_its_own(user: Path) -> None:
    keys = write(user / ".ssh/authorized_keys", "ssh-ed25519 AAAA ada\n")
    bindings = SecretBindings("ours", "ours", user / STATE, {str(keys): ()}, {str(keys)}, tuple)
    with pytest.raises(NotAgreedError) as error:
        bindings.check(keys)
    assert str(error.value) == (
        "ours: ~/.ssh/authorized_keys: it exists already, and ours is not installed, "
        "and ours would write a secret into it; gen sent nothing. "
        "To allow it, run in a terminal: gen refresh ours"
    )
    bindings.agree(error.value.secret)
    bindings.check(keys)
