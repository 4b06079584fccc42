"""A repository as a team keeps one: five specs, what they compile to in four folders, and changes that people make."""

import hashlib
import json
import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from running import Gen

TODAY = date(2026, 6, 15)
VERSION = "7.0.0"
"""What the tool says that it is, so that no snapshot changes with a release."""


def fingerprint(name: str) -> str:
    """Return the fingerprint of a host key that nobody has."""
    return "SHA256:" + b64encode(hashlib.sha256(name.encode()).digest()).decode().rstrip("=")


CA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBADeLjSj4J0MFrdxdn9M/mcZi1fqKnQB6ZHjysUl"
    "ontzFXI9PVoxPjYqMDDO0hM6IM6NCnkiiFqveEvSoXDnGWI="
)
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDumqy+fbEwTOtyVlPGqzS/k4i/hJ8L+kUDf6MpWO1OI"

ASTER = f"""\
# yaml-language-server: $schema=../docs/site-spec.schema.json
site: aster
title: Aster cluster
operator: Institute of Flowers
country: AT
docs: https://docs.aster.example/

sources:
  handbook: {{ ref: "aster/docs:login.md@0a1b2c3", checked: 2026-05-01 }}
  faq: {{ ref: "aster/docs:faq.md@0a1b2c3", checked: 2026-05-01 }}
  queues: {{ url: https://docs.aster.example/queues, checked: 2026-05-02 }}

hosts:
  aster:
    host: login.aster.example
    port: 2222
    nodes: {{ alias: "aster{{n}}", host: "login-{{n}}.aster.example", n: 1-3 }}
    keepalive: {{ interval: 120, count: 5 }}
    note: Sends you to the node that has least to do.
    source: handbook
  aster-data:
    host: data.aster.example
    role: transfer
    source: [handbook, faq]

compute:
  nodes:
    match: cn-????
    host: "%h.aster.example"
    also: ["*.aster.example", "!login*.aster.example", "!data.aster.example"]
    through: aster
    source: handbook

jobs:
  aster-cpu:
    through: aster
    proxy: /opt/site/slurm-proxy aster-cpu --mem=8G
    command: /opt/site/enter aster-cpu
    timeout: 600
    source: faq

host_keys:
  login:
    hosts: [aster, aster-data]
    fingerprints:
      ed25519: {fingerprint("login ed25519")}
      ecdsa: {fingerprint("login ecdsa")}
      rsa: {fingerprint("login rsa")}
    source: handbook
  compute:
    hosts: nodes
    fingerprints:
      ed25519: {fingerprint("compute ed25519")}
      rsa: {fingerprint("compute rsa")}
    source: faq

auth:
  method: publickey
  then: keyboard-interactive
  key_types: [ed25519, ecdsa]
  max_keys: 4
  submit: at the help desk

slurm:
  partition: long
  partitions:
    long: {{ max_walltime: 7-00:00:00, cores: 64, mem: 256G, source: queues }}
    main: {{ max_walltime: 5-00:00:00, cores: 64, mem: 256G, source: queues }}
    debug: {{ max_walltime: 01:00:00, note: For trials., source: queues }}
  qos_limits:
    normal: {{ max_walltime: 7-00:00:00, source: queues }}
  ignored_options: [--exclusive, --mem]
  source: queues

ray:
  pre_start_commands: ulimit -n 65536

filesystems:
  home: {{ path: "/home/<user>", quota: 100GB, source: faq }}
  scratch: {{ path: "/scratch/<user>", quota: 5TB, purge_days: 90, source: faq }}
"""

BIRCH = f"""\
site: birch
title: Birch, with certificates
docs: https://docs.birch.example/
sources:
  handbook: {{ url: https://docs.birch.example/login, checked: 2026-05-01 }}
hosts:
  birch:
    host: login.birch.example
    source: handbook
host_keys:
  all:
    hosts: birch
    authorities:
      hosts: "*.birch.example"
      key: {CA}
    source: handbook
auth:
  method: step
  ca_url: https://ca.birch.example
  ca_fingerprint: {hashlib.sha256(b"birch").hexdigest()}
  context: birch
  lifetime: 16h
slurm:
  partition: cpu
  partitions:
    cpu: {{ max_walltime: 1-00:00:00, source: handbook }}
"""

CEDAR = """\
site: cedar
title: Cedar, with passwords
sources:
  handbook: { url: https://docs.cedar.example/, checked: 2026-05-01 }
hosts:
  cedar:
    host: cedar.example
    source: handbook
auth:
  method: keyboard
  asks: [password, otp]
slurm:
  partition: batch
  partitions:
    batch: { max_walltime: 2-00:00:00, source: handbook }
    wide: { max_walltime: 1-00:00:00, source: handbook }
"""

DAHLIA = """\
site: dahlia
title: Dahlia, with tickets
sources:
  handbook: { url: https://docs.dahlia.example/, checked: 2026-05-01 }
hosts:
  dahlia:
    host: dahlia.example
    via: gate
    source: handbook
  gate:
    host: gate.dahlia.example
    role: jump
    source: handbook
auth:
  method: kerberos
  principal: "{user}@DAHLIA.EXAMPLE"
"""

ELDER = """\
site: elder
title: Elder, with certificates by command
sources:
  handbook: { url: https://docs.elder.example/, checked: 2026-05-01 }
hosts:
  elder:
    host: elder.example
    port: 8022
    source: handbook
auth:
  method: certificate
  command: [elder-cert, --user, "{user}"]
  lifetime: 24h
deployment:
  base_path: /work/{user}/dagster
"""

SPECS = {"aster": ASTER, "birch": BIRCH, "cedar": CEDAR, "dahlia": DAHLIA, "elder": ELDER}
FOLDERS = {
    "aster": ".",
    "birch": ".",
    "cedar": "teams/a",
    "dahlia": "teams/a",
    "elder": "teams/b/lab",
}
PEOPLE = {"aster": "ada", "birch": "grace", "cedar": "edsger", "dahlia": "barbara", "elder": "tony"}

_IDENTITY = (
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.org",
    "-c",
    "commit.gpgSign=false",
)
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_DATE": "2026-06-01T12:00:00Z",
    "GIT_COMMITTER_DATE": "2026-06-01T12:00:00Z",
}


def git(*arguments: str, folder: Path = Path(), given: str = "", status: int = 0) -> str:
    """Run git as nobody in particular, and return what it prints."""
    done = subprocess.run(
        ["git", *_IDENTITY, *arguments],
        cwd=folder,
        env={**os.environ, **_ENVIRONMENT},
        input=given.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode("utf-8", "surrogateescape")


def commit(message: str) -> None:
    """Commit everything below the current folder."""
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)


def generate(gen: Gen, *sites: str) -> None:
    """Generate sites of the repository for the first time."""
    for site in sites:
        result = gen(
            "site",
            f"./site_specs/{site}.yaml",
            "--out",
            FOLDERS[site],
            "--user",
            PEOPLE[site],
            "--no-project",
        )
        assert result.status == 0, result.err


def begin(gen: Gen) -> None:
    """Make the repository in the current folder, which is empty: one commit on main."""
    git("init", "--quiet", "--template=", "--initial-branch=main")
    Path("site_specs").mkdir()
    for name, text in SPECS.items():
        spec(name).write_text(text)
    generate(gen, *SPECS)
    commit("Generate five sites")
    git("gc", "--quiet")  # few files, so that a copy is quick


def spec(site: str) -> Path:
    """Return the path of a spec."""
    return Path("site_specs", f"{site}.yaml")


def lock(site: str) -> Path:
    """Return the path of a lock."""
    return Path(FOLDERS[site], ".gen", f"{site}.lock")


def replace(path: Path, old: str, new: str) -> None:
    """Replace a text that is in a file once."""
    before = path.read_bytes().decode()
    assert before.count(old) == 1, f"{path} holds {old!r} {before.count(old)} times"
    path.write_bytes(before.replace(old, new).encode())


def record(site: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what a lock says."""
    content = json.loads(lock(site).read_bytes())
    change(content)
    lock(site).write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def line_of(path: Path, text: str) -> int:
    """Return the number of the one line of a file that starts with a text, spaces aside."""
    [found] = [
        number
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.match(rf"\s*(- )?{re.escape(text)}", line)
    ]
    return found


def state(folder: Path) -> Mapping[str, tuple[object, ...]]:
    """Return all that is below a folder: bytes, modes, times of change, where links lead."""
    return {str(path): _state(path) for path in sorted([folder, *folder.rglob("*")])}


def _state(path: Path) -> tuple[object, ...]:
    about = path.lstat()
    content = (
        path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
    )
    return about.st_mode, about.st_mtime_ns, about.st_ino, content


def outside(name: str, content: bytes = b"not yours\n") -> Path:
    """Make a file beside the repository, which nothing in it may lead to."""
    path = Path("..", "outside", name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path.resolve()


def lead_out(path: Path) -> None:
    """Move a file or folder out of the repository, and leave a link to it."""
    place = outside("x").parent / path.name
    path.rename(place)
    path.symlink_to(place)


# What people do to the repository. Each changes files and nothing else; the tests commit.


def nothing() -> None:
    """Leave everything as it is."""


def move_the_spec() -> None:
    """Change specs, and do not generate again."""
    replace(spec("aster"), "port: 2222", "port: 2200")
    replace(spec("cedar"), "partition: batch", "partition: wide")


def move_five_keys() -> None:
    """Change so much of a spec that a message cannot name it all."""
    for old, new in {
        "port: 2222": "port: 2200",
        "interval: 120": "interval: 60",
        "timeout: 600": "timeout: 300",
        "partition: long": "partition: main",
        "n: 1-3": "n: 1-4",
    }.items():
        replace(spec("aster"), old, new)


def edit_a_file() -> None:
    """Write into a generated file."""
    _insert(Path("ssh/aster.conf"), b"    # by hand\n")


def edit_with_other_bytes() -> None:
    """Write bytes into a generated file that are no UTF-8, and no line end at its end."""
    _insert(Path("ssh/aster.conf"), b"    # b\xff\r \x0c hand\n")
    path = Path("teams/a/ssh/cedar.conf")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))


def edit_and_sign() -> None:
    """Write into a generated file, and put its digest into the lock."""
    edit_a_file()
    digest = hashlib.sha256(Path("ssh/aster.conf").read_bytes()).hexdigest()
    record("aster", lambda it: it["files"]["ssh/aster.conf"].update(sha256=digest))


def edit_after_the_spec_moved() -> None:
    """Change a spec, and write into its file as well."""
    move_the_spec()
    edit_a_file()


def _insert(path: Path, line: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], line, *lines[5:]]))


def type_a_secret() -> None:
    """Type a password into the file of variables."""
    _insert(Path(".env.aster"), f"SLURM_EDGE_NODE_PASSWORD={SECRET}\n".encode())


def delete_a_file() -> None:
    """Delete a generated file."""
    Path("teams/a/.env.cedar").unlink()


def delete_all_files() -> None:
    """Delete everything that was generated of a site but its lock."""
    for name in json.loads(lock("elder").read_bytes())["files"]:
        Path(FOLDERS["elder"], name).unlink()


def remove_a_site() -> None:
    """Delete a spec, and leave what it was compiled to."""
    spec("cedar").unlink()


def call_it_another_site() -> None:
    """Let a spec be that of another site, under the name of its file."""
    replace(spec("cedar"), "site: cedar", "site: cypress")


def generate_less() -> None:
    """Take out of a spec what a whole file was made of."""
    text = spec("birch").read_text()
    spec("birch").write_text(re.sub(r"host_keys:\n(?:  .*\n)+", "", text))


def generate_less_than_was_edited() -> None:
    """The same, of a file that somebody wrote into."""
    generate_less()
    with Path("ssh/birch.known_hosts").open("a") as file:
        file.write("mine.example ssh-ed25519 AAAA\n")


def generate_more() -> None:
    """Put into a spec what another file is made of."""
    keys = f"host_keys:\n  all: {{ hosts: cedar, keys: [{OTHER_KEY}], source: handbook }}\n"
    replace(spec("cedar"), "auth:\n", f"{keys}auth:\n")


def upgrade() -> None:
    """Leave a file as an older gen wrote it, with the lock that goes with it."""
    older(ssh := Path("ssh/aster.conf"))
    record(
        "aster",
        lambda it: it["files"][str(ssh)].update(
            sha256=hashlib.sha256(ssh.read_bytes()).hexdigest()
        ),
    )
    record("aster", lambda it: it["inputs"].update(gen_version="6.0.0", templates_digest="0" * 12))


def older(path: Path) -> None:
    """Give a file the text of an older template."""
    path.write_bytes(path.read_bytes().replace(b"ControlPersist 10m", b"ControlPersist 5m"))


def upgrade_to_the_same() -> None:
    """Leave the locks of an older gen, which wrote the same."""
    for site in SPECS:
        record(site, lambda it: it["inputs"].update(gen_version="6.0.0", templates_digest="0" * 12))


def upgrade_after_the_spec_moved() -> None:
    """Change the spec as well."""
    upgrade()
    replace(spec("aster"), "timeout: 600", "timeout: 300")


def make_executable() -> None:
    """Set the executable bit of a file."""
    Path("systemd/gen-cert-birch.service").chmod(0o755)


def take_the_umask() -> None:
    """Give files the modes that a checkout gives them."""
    for path in Path().rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            path.chmod(0o664)


def write_windows_lines() -> None:
    """Write every file of a site with line ends of Windows."""
    for name in json.loads(lock("elder").read_bytes())["files"]:
        _windows(Path(FOLDERS["elder"], name))


def _windows(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def break_a_spec() -> None:
    """Write faults into a spec."""
    replace(spec("aster"), "port: 2222", "prot: 2222")
    replace(spec("aster"), "through: aster\n    proxy", "through: astre\n    proxy")


def break_a_lock() -> None:
    """Cut a lock in two."""
    content = lock("cedar").read_bytes()
    lock("cedar").write_bytes(content[: len(content) // 2])


def take_a_lock_of_later() -> None:
    """Have a lock of a format that this gen does not know."""
    record("cedar", lambda it: it.update(format_version="3.0"))


def rename_a_lock() -> None:
    """Have the lock of one site under the name of another."""
    lock("cedar").rename(lock("cedar").with_name("cypress.lock"))


def climb_out() -> None:
    """Have a lock that names a file above its folder."""
    outside("passwords")
    record("aster", lambda it: it["files"].update({"../outside/passwords": _WRITTEN}))


def be_absolute() -> None:
    """Have a lock that names a file by its absolute path."""
    record("aster", lambda it: it["files"].update({"/outside/passwords": _WRITTEN}))


def compile_from_outside() -> None:
    """Have a lock whose spec lies outside of the repository."""
    outside("aster.yaml", spec("aster").read_bytes())
    record("aster", lambda it: it["inputs"]["spec"].update(path="../outside/aster.yaml"))


def inject_into_the_person() -> None:
    """Have a lock with a value of the person's that would reach a file as more than a value."""
    record("aster", lambda it: it["inputs"]["profile"].update(user="ada\n    ProxyCommand evil"))


def inject_into_the_set() -> None:
    """Have a lock with a change of the spec that the spec does not take."""
    record("aster", lambda it: it["inputs"].update(overrides=["hosts.aster.port=99999"]))


def link_the_lock() -> None:
    """Have a lock that is a link out of the repository."""
    lead_out(lock("cedar"))


def link_the_folder_of_locks() -> None:
    """Have a folder of locks that is a link out of the repository."""
    lead_out(lock("cedar").parent)


def link_a_file() -> None:
    """Have a generated file that is a link out of the repository."""
    lead_out(Path("ssh/aster.conf"))


def link_a_folder() -> None:
    """Have a folder of generated files that is a link out of the repository."""
    lead_out(Path("teams/a/ssh"))


def link_a_spec() -> None:
    """Have a spec that is a link out of the repository."""
    lead_out(spec("aster"))


def link_in_circles() -> None:
    """Have a generated file that is a link to itself."""
    Path("ssh/aster.conf").unlink()
    Path("ssh/aster.conf").symlink_to("aster.conf")


def link_inside() -> None:
    """Have a generated file that is a link to a place in the repository, which is well."""
    Path("kept.conf").write_bytes(Path("ssh/aster.conf").read_bytes())
    Path("ssh/aster.conf").unlink()
    Path("ssh/aster.conf").symlink_to("../kept.conf")


def be_a_folder() -> None:
    """Have a folder where a generated file should be."""
    Path("ssh/aster.conf").unlink()
    Path("ssh/aster.conf").mkdir()


_WRITTEN = {
    "sha256": hashlib.sha256(b"not yours\n").hexdigest(),
    "mode": "0644",
}
SECRET = "correct-horse-battery-staple"  # noqa: S105 - nobody's


def accept(until: str, path: str = "ssh/aster.conf", cause: str = "edited") -> None:
    """Accept that a file differs for a cause, up to a day."""
    entry = f"  - path: {path}\n    cause: {cause}\n    reason: waits for the new login nodes\n    until: {until}\n"
    file = Path(".gen/accepted.yaml")
    before = file.read_text() if file.exists() else "# What may differ for now.\naccepted:\n"
    file.write_text(before + entry)


def accept_an_edit() -> None:
    """Accept an edit up to today."""
    edit_a_file()
    accept("2026-06-15")


def accept_too_long() -> None:
    """Accept an edit, and forget it."""
    edit_a_file()
    accept("2026-06-14")


def accept_another_cause() -> None:
    """Accept that a file is stale, which is edited."""
    edit_a_file()
    accept("2026-12-31", cause="stale")


def accept_what_is_well() -> None:
    """Accept what does not differ."""
    accept("2026-12-31")


def accept_nonsense() -> None:
    """Accept up to no day."""
    accept("soon")


def link_what_is_accepted() -> None:
    """Have a list of what is accepted that is a link out of the repository."""
    accept_an_edit()
    lead_out(Path(".gen/accepted.yaml"))


def do_everything() -> None:
    """Have drift of each kind at once."""
    move_the_spec()
    remove_a_site()
    make_executable()
    generate_less()
    delete_all_files()
    _windows(Path("teams/a/ssh/dahlia.conf"))
    accept("2026-12-31", "systemd/gen-cert-birch.service", "mode")
    accept("2026-01-01", "teams/a/ssh/dahlia.conf")
    accept("2026-12-31", "ssh/birch.conf")
