"""`gen install` lists the trust that a site asks for, and the changes of it at an update."""

import shutil
from pathlib import Path

import pytest
from homes import spec, tree
from running import Gen

from generator import resources

FINGERPRINT = "SHA256:" + "A" * 42 + "8"
KEY = {
    "hosts": "ours",
    "fingerprints": {"ed25519": FINGERPRINT},
    "source": "page",
}
SOURCES = {"page": {"url": "https://docs.example.org", "checked": "2026-11-01"}}
STEP = {
    "method": "step",
    "ca_url": "https://ca.example.org",
    "ca_fingerprint": "0" * 64,
    "context": "ca",
    "oidc": {"token_url": "https://sso.example.org/token"},
    "authentik": {
        "api_base": "https://sso.example.org",
        "credentials_file": "~/.config/ours/auth.env",
    },
}
# Written out, because each line of it is a decision of the user: none may go missing.
SUMMARY = f"""\
ours, from WORK/ours.yaml, will be trusted with:
  names         gate gate.example.org ours ours.example.org ours-job cn-?
                cn-?.example.org
  host          gate is gate.example.org, port 2222, gets your ssh agent
  host          ours is ours.example.org, port 22, through gate
  host          cn-? cn-?.example.org, port 22, through ours
  host key      gate: not pinned, ssh asks at the first connection
  host key      ours: {FINGERPRINT}
  host key      nodes: not pinned, ssh asks at the first connection
  reads         ~/.ssh/id_ours  (private key)
  command       gen refresh ours  (by timer and ssh)
  command       step ssh certificate …  (by gen refresh)
  sends to      https://ca.example.org  (token), CA with root
                {"0" * 64}
  sends to      https://sso.example.org/token  (app password)
  sends to      https://sso.example.org  (API token)
  reads         ~/.config/ours/auth.env  (credentials)
  command       ssh gate salloc  (for ssh ours-job)
"""


@pytest.mark.parametrize(
    ("options", "is_installed"),
    [(["--dry-run"], False), ([], False), (["--yes"], True), (["--yes", "--json"], True)],
    ids=["dry run", "question", "yes", "yes and json"],
)
def test_everything_that_a_new_site_is_trusted_with_is_listed_before_the_question(
    gen: Gen, home: Path, options: list[str], is_installed: bool
) -> None:
    # Root at such a host can log in as the user wherever the keys of the agent are known.
    gate = {"host": "gate.example.org", "port": 2222, "forward_agent": True}
    path = spec(
        Path(),
        hosts={"ours": {"host": "ours.example.org", "via": "gate"}, "gate": gate},
        compute={"nodes": {"match": "cn-?", "host": "%h.example.org", "through": "ours"}},
        jobs={"ours-job": {"through": "gate", "proxy": "salloc", "command": "srun"}},
        host_keys={"ours": KEY},
        sources=SOURCES,
        auth=STEP,
    )
    before = tree(home)
    result = gen("install", str(path), "--user", "ada", "--email", "a@example.org", *options)
    assert result.err.startswith(SUMMARY.replace("WORK", str(Path.cwd())))
    # With --yes the summary goes to the log of whatever ran gen.
    assert (tree(home) != before) == is_installed


def test_the_command_of_a_jump_host_is_listed(gen: Gen, home: Path) -> None:
    front = {"host": "front.example.org", "via": "gate", "proxy": "ssh-proxy %h"}
    path = spec(Path(), hosts={"front": front, "gate": {"host": "gate.example.org"}})
    result = gen("install", str(path), "--user", "ada", "--dry-run")
    assert "  command       ssh gate ssh-proxy %h  (for ssh front)\n" in result.err


def test_the_command_of_a_certificate_and_its_secret_are_listed(gen: Gen, home: Path) -> None:
    auth = {"method": "certificate", "command": ["get-it", "--user", "{user}"], "lifetime": "1d"}
    path = spec(Path(), auth=auth | {"secret": "SITE_TOKEN"})
    result = gen("install", str(path), "--user", "ada", "--dry-run")
    assert "  command       get-it --user ada  (by gen refresh)\n" in result.err
    assert "  reads         the variable SITE_TOKEN  (secret for the command)\n" in result.err


def test_an_update_shows_the_changes_and_an_update_of_prose_shows_none(
    gen: Gen, home: Path
) -> None:
    path = spec(Path())
    assert gen("install", str(path), "--yes").status == 0
    spec(Path(), title="Another title")
    # A question about prose would train users to answer yes.
    assert "trusted with" not in gen("install", str(path), "--yes").err
    spec(Path(), hosts={"ours": {"host": "other.example.org"}})
    result = gen("install", str(path), "--yes")
    assert result.status == 0
    assert result.err.startswith(
        f"ours, from {path.resolve()}, changes what it is trusted with:\n"
        "  - name          ours.example.org\n"
        "  - host          ours is ours.example.org, port 22\n"
        "  + name          other.example.org\n"
        "  + host          ours is other.example.org, port 22\n"
    )


@pytest.mark.parametrize("content", [b"# by hand\n", None], ids=["edited", "missing"])
def test_a_file_that_the_user_changed_is_no_change_of_trust(
    gen: Gen, home: Path, content: bytes | None
) -> None:
    path = spec(Path())
    assert gen("install", str(path), "--yes").status == 0
    conf = home / ".ssh/gen.d/ours.conf"
    original = conf.read_bytes()
    conf.unlink()
    if content:
        conf.write_bytes(content)
    result = gen("install", str(path), "--yes", "--force", "--dry-run")
    assert "trusted with" not in result.err
    # A real change is still shown, and it alone.
    spec(Path(), hosts={"ours": {"host": "other.example.org"}})
    result = gen("install", str(path), "--yes", "--force", "--dry-run")
    assert "  - name          ours.example.org\n" in result.err
    assert "  + name          other.example.org\n" in result.err
    assert "name          ours\n" not in result.err
    spec(Path())
    assert gen("install", str(path), "--yes", "--force").status == 0
    assert conf.read_bytes() == original


def test_another_spec_takes_over_an_installed_site_only_with_an_answer(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    checkout = Path("site_specs")
    checkout.mkdir()
    evil = spec(checkout, "mila", hosts={"mila": {"host": "login.evil.example"}})
    # By its name a checkout can replace a site, and by its path any file can.
    renamed = evil.rename("evil.yaml")
    spec(checkout, "mila", hosts={"mila": {"host": "login.evil.example"}})
    before = tree(home)
    by_name, by_path = (checkout / "mila.yaml").resolve(), renamed.resolve()
    for name, path, start in (
        ("mila", by_name, f"mila:\nThe spec is {by_name}.\n\n"),
        (str(by_path), by_path, ""),
    ):
        # --force is about edited files, and does not consent to another machine.
        result = gen("install", name, "--yes", "--force", "--user", "ada")
        assert result.status == 2
        assert result.err.startswith(
            f"{start}mila: is installed from catalogue:mila, and {path} "
            "changes what it is trusted with:\n"
        )
        assert "\n  + host          mila is login.evil.example, port 22\n" in result.err
        assert result.err.endswith(
            "\nNothing was written. To allow this, run gen install in a terminal without --yes, "
            "or first: gen uninstall mila\n"
        )
    assert tree(home) == before
    monkeypatch.setattr("generator.cli.output.agreed", lambda _: True)
    assert gen("install", "mila", "--user", "ada").status == 0
    assert b"login.evil.example" in (home / ".ssh/gen.d/mila.conf").read_bytes()


def test_another_spec_that_changes_no_trust_is_installed(gen: Gen, home: Path) -> None:
    assert gen("install", str(spec(Path())), "--yes").status == 0
    # A clone in another directory changes nothing for the user.
    (Path("a")).mkdir()
    assert gen("install", str(spec(Path("a"), title="Another")), "--yes").status == 0


def test_a_changed_value_of_the_profile_is_shown(gen: Gen, home: Path) -> None:
    path = str(spec(Path()))
    assert gen("install", path, "--yes", "--user", "hpc1").status == 0
    assert gen("install", path, "--yes", "--user", "ada").err.startswith(
        "ours:\nChanged since the last run:\n  user: hpc1 → ada\n"
    )
    assert "→" not in gen("install", path, "--yes", "--user", "ada").err


def test_a_spec_of_the_current_directory_with_the_name_of_a_shipped_one_is_named(
    gen: Gen, home: Path
) -> None:
    # gen reads the specs of the current directory first, whoever made it.
    Path("site_specs").mkdir()
    spec(Path("site_specs"), "mila")
    for options in (["--dry-run"], ["--yes"]):
        assert gen("install", "mila", *options).err.startswith(
            f"mila, from {Path.cwd()}/site_specs/mila.yaml, will be trusted with:\n"
            "  this is not the spec that ships with gen\n"
            "  names         mila mila.example.org\n"
        )


def test_a_copy_of_the_shipped_spec_is_not_called_another_one(gen: Gen, home: Path) -> None:
    # A clone of gen has one, and reads it first.
    Path("site_specs").mkdir()
    shutil.copy(resources.CATALOGUE / "mila.yaml", "site_specs")
    result = gen("install", "mila", "--user", "ada", "--dry-run").err
    assert result.startswith(f"mila, from {Path.cwd()}/site_specs/mila.yaml, will be")
    assert "not the spec that ships with gen" not in result


def test_a_spec_below_the_home_directory_is_shown_with_a_tilde(gen: Gen, home: Path) -> None:
    result = gen("install", str(spec(home)), "--dry-run")
    assert result.err.startswith("ours, from ~/ours.yaml, will be trusted with:\n")


@pytest.mark.parametrize("delegate", [True, False])
def test_a_delegated_ticket_is_listed(gen: Gen, home: Path, delegate: bool) -> None:
    auth = {"method": "kerberos", "principal": "{user}@EXAMPLE.ORG", "delegate": delegate}
    result = gen("install", str(spec(Path(), auth=auth)), "--user", "ada", "--dry-run")
    assert ("  gets          your Kerberos ticket" in result.err) == delegate


def test_the_key_of_the_agent_is_listed_where_the_spec_names_one(gen: Gen, home: Path) -> None:
    # The spec may name any file of the user's.
    auth = {"method": "agent", "key": "~/.ssh/id_{site}.pub"}
    result = gen("install", str(spec(Path(), auth=auth)), "--user", "ada", "--dry-run")
    assert "  reads         ~/.ssh/id_ours.pub  (public key of one in the agent)\n" in result.err
    result = gen(
        "install", str(spec(Path(), auth={"method": "agent"})), "--user", "ada", "--dry-run"
    )
    assert "  reads " not in result.err
