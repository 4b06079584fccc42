"""A spec gets no name of others: not of the internet without consent, and not of another site."""

from pathlib import Path
from typing import Any

import pytest
from homes import spec, tree
from running import Gen

from generator.compiler.compile import compile_site
from generator.compiler.foreign_names import foreign_names
from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.profile import SiteProfile

EVIL_HOST: dict[str, Any] = {"host": "login.evil.example"}
# The attack: `git push` to github.com goes to the host of the spec, and so does every name that ssh
# has no earlier block for.
CAPTURES: dict[str, dict[str, Any]] = {
    "hosts": {"evil": EVIL_HOST, "github.com": EVIL_HOST},
    "compute": {
        "nodes": {
            "match": "*",
            "also": ["!evil", "!login.evil.example", "!github.com"],
            "through": "evil",
        }
    },
}


def conf(*blocks: str) -> bytes:
    return "\n".join(f"Host {block}\n    Port 22" for block in blocks).encode()


HOSTS = "Host a\n    HostName login.cluster.example.org\nHost b\n    HostName cluster.ac.at\n"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("github.com", id="a host of others"),
        pytest.param("10.0.0.1", id="an address"),
        pytest.param("2130706433", id="an address as one number"),
        pytest.param("0x7f000001", id="and in hexadecimal"),
        pytest.param("ip6-localhost", id="this machine by another name"),
        pytest.param("evil-login.cluster.example.org", id="a name beside a host name"),
        pytest.param("*", id="every name"),
        pytest.param("????", id="every short name"),
        pytest.param("gpu*", id="a pattern without a domain"),
        pytest.param("*.example.org", id="a domain above that of the hosts"),
        # A public suffix: hosts of all universities of Austria.
        pytest.param("*.ac.at", id="a domain of many owners"),
        pytest.param("*cluster.example.org", id="a pattern that does not end in a whole domain"),
        pytest.param("git?.com", id="a pattern with a foreign end"),
    ],
)
def test_a_name_beyond_the_site_is_foreign(name: str) -> None:
    assert foreign_names(HOSTS.encode() + conf(name)) == (name,)


GITHUB = "Host github.com\n HostName github.com\n"
JUMP = " ProxyJump evil\nHost evil\n HostName login.evil.example\n"


@pytest.mark.parametrize(
    ("config", "names"),
    [
        # The host name is the real one, but the traffic goes through a machine of the spec.
        pytest.param(GITHUB + JUMP, ("github.com",), id="a real host through a foreign jump"),
        pytest.param(
            GITHUB + "Host www.github.com\n HostName login.evil.example\n",
            ("www.github.com",),
            id="a foreign host below a real one",
        ),
        pytest.param(
            GITHUB + "Host *.github.com\n ProxyJump login.evil.example\n",
            ("*.github.com",),
            id="nodes in the domain of a real host through a foreign jump",
        ),
        pytest.param(
            GITHUB + "Host any.github.com\n ProxyJump github.com\nHost *.github.com\n" + JUMP,
            ("any.github.com", "*.github.com"),
            id="nodes of which the example goes another way",
        ),
        pytest.param(
            GITHUB + 'Host job.github.com\n ProxyCommand ssh evil "x"\nHost evil\n HostName e.ev\n',
            ("job.github.com",),
            id="a job below a real host",
        ),
        pytest.param(
            GITHUB + ' ProxyCommand ssh evil "proxy %h"\nHost evil\n HostName e.ev\n',
            ("github.com",),
            id="a real host through a command of a foreign jump",
        ),
        pytest.param("Host localhost\n HostName e.example\n", ("localhost",), id="localhost"),
        pytest.param(
            "Host a.rent.amazonaws.com\n HostName a.rent.amazonaws.com\n"
            "Host *.rent.amazonaws.com\n ProxyJump a.rent.amazonaws.com\n",
            ("*.rent.amazonaws.com",),
            id="a domain in which anybody rents machines",
        ),
        pytest.param(
            "Host a.res.in\n HostName a.res.in\nHost *.res.in\n ProxyJump a.res.in\n",
            ("*.res.in",),
            id="a domain in which anybody registers names",
        ),
        pytest.param(
            "Host a.b.ck\n HostName a.b.ck\nHost *.b.ck\n ProxyJump a.b.ck\n",
            ("*.b.ck",),
            id="a country where each domain is such a one",
        ),
        pytest.param(
            "Host login.cdac.res.in\n HostName login.cdac.res.in\n ProxyJump e.evil.res.in\n",
            ("login.cdac.res.in",),
            id="a real host through a jump of another owner in the domain",
        ),
        # Nine characters: the pattern also matches localhost.
        pytest.param("Host lo???????\n ProxyJump e\n", ("lo???????",), id="short, localhost too"),
        pytest.param("Host ::1\n HostName ::1\n" + JUMP, ("::1",), id="an IPv6 address"),
    ],
)
def test_a_name_that_leads_through_a_machine_of_others_is_foreign(
    config: str, names: tuple[str, ...]
) -> None:
    assert foreign_names(config.encode()) == names


@pytest.mark.parametrize(
    "config",
    [
        pytest.param("Host localhost\n HostName localhost\n ProxyJump 127.0.0.1\n", id="loopback"),
        pytest.param(
            "Host n.uni.ac.at\n HostName n.uni.ac.at\n ProxyJump gate.uni.ac.at\n", id="one owner"
        ),
        pytest.param(
            "Host a.cdac.res.in\n HostName a.cdac.res.in\nHost *.cdac.res.in\n"
            " ProxyJump a.cdac.res.in\n",
            id="one owner in a domain of many",
        ),
    ],
)
def test_a_name_that_stays_within_its_organisation_is_not_foreign(config: str) -> None:
    assert foreign_names(config.encode()) == ()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("cluster", id="a short alias"),
        pytest.param("LOGIN.cluster.example.org", id="a host name in capitals"),
        pytest.param("node1.login.cluster.example.org", id="below a host name"),
        pytest.param("cn-????", id="short names of nodes"),
        pytest.param("*.cluster.example.org", id="the domain of a host"),
        pytest.param("cn-?.cluster.example.org", id="nodes in the domain of a host"),
        pytest.param("a !github.com", id="an exclusion"),
    ],
)
def test_a_name_of_the_site_is_not_foreign(name: str) -> None:
    assert foreign_names(HOSTS.encode() + conf(name)) == ()


# Domains of the Public Suffix List, and of providers that rent machines.
@pytest.mark.parametrize(
    ("domain", "is_shared"),
    [
        ("github.io", True),
        ("pages.dev", True),
        ("ddns.net", True),
        ("us-east-1.elb.amazonaws.com", True),
        ("westeurope.cloudapp.azure.com", True),
        ("4.3.2.1.sslip.io", True),
        ("rit.edu", False),
        ("hpc.kuleuven.be", False),
    ],
)
def test_the_domain_of_a_host_is_the_sites_unless_many_owners_have_names_there(
    domain: str, is_shared: bool
) -> None:
    config = f"Host login.{domain}\n HostName login.{domain}\nHost *.{domain}\n Port 22\n"
    assert foreign_names(config.encode()) == ((f"*.{domain}",) if is_shared else ())


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_site_of_the_catalogue_has_a_foreign_name(path: Path, ada: SiteProfile) -> None:
    for artifact in compile_site(validate.site(path), ada):
        if artifact.path.suffix == ".conf":
            assert foreign_names(artifact.content) == ()


def test_strict_validation_asks_about_foreign_names(gen: Gen, home: Path) -> None:
    result = gen("validate", "--strict", str(spec(Path(), "evil", **CAPTURES)))
    question = "is not a name of this site; why does the spec decide where it leads?"
    assert result.status == 1
    assert f"hosts.github.com: github.com {question}\n" in result.err
    assert f"compute: * {question}\n" in result.err
    assert question not in gen("validate", "--strict", str(spec(Path()))).err


# --yes and --force agree to the change of files, not to a route for names of others.
@pytest.mark.parametrize("options", [["--yes"], ["--yes", "--force"], []], ids=" ".join)
def test_a_foreign_name_is_refused_without_consent_to_it(
    gen: Gen, home: Path, options: list[str]
) -> None:
    before = tree(home)
    result = gen("install", str(spec(Path(), "evil", **CAPTURES)), *options)
    assert (result.status, result.out) == (2, "")
    effect = "is not a name of evil, but its spec decides where ssh connects for it"
    assert result.err == (
        f"github.com: {effect}; to allow that, add --allow-name github.com\n"
        f"*: {effect}; to allow that, add --allow-name '*'\n"
        "Nothing was written.\n"
    )
    assert tree(home) == before


def test_a_foreign_name_is_installed_with_consent_and_not_asked_for_again(
    gen: Gen, home: Path
) -> None:
    path = spec(Path(), "evil", hosts=CAPTURES["hosts"])
    assert gen("install", str(path), "--yes", "--allow-name", "github.com").status == 0
    assert gen("install", str(path), "--yes", "--user", "ada").status == 0
    # Who deletes the file takes nothing back.
    (home / ".ssh/gen.d/evil.conf").unlink()
    assert gen("install", str(path), "--yes").status == 0
    # Consent to one name is none to the next.
    spec(Path(), "evil", hosts={**CAPTURES["hosts"], "gitlab.com": EVIL_HOST})
    result = gen("install", str(path), "--yes")
    assert (result.status, result.err.startswith("gitlab.com: ")) == (2, True)


@pytest.mark.parametrize(("answer", "status"), [(False, 0), (True, 0)], ids=["no", "yes"])
def test_in_a_terminal_the_user_is_asked_for_the_name(
    gen: Gen, home: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, status: int
) -> None:
    questions: list[str] = []

    def agreed(question: str) -> bool:
        questions.append(question)
        return answer

    monkeypatch.setattr("generator.cli.install.agreed", agreed)
    monkeypatch.setattr("generator.cli.install.on_terminal", lambda: True)
    result = gen("install", str(spec(Path(), "evil", hosts=CAPTURES["hosts"])), "--json")
    assert (result.status, questions[0]) == (status, "Allow this name?")
    assert "github.com: is not a name of evil" in result.err
    assert (home / ".ssh/gen.d/evil.conf").exists() == answer


# ssh reads the files of ~/.ssh/gen.d in the order of their names: aaa.conf would win over
# mila.conf.
TAKES_OVER = {
    "hosts": {
        "mila": {"host": "evil.example.net"},
        "login.server.mila.quebec": {"host": "evil.example.net"},
    }
}
ALLOW = ("--allow-name", "login.server.mila.quebec")


@pytest.mark.parametrize("options", [[], ["--force"], ["--mode", "inline"]], ids=str)
def test_a_second_spec_cannot_take_a_name_of_an_installed_site(
    gen: Gen, home: Path, options: list[str]
) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    before = tree(home)
    result = gen("install", str(spec(Path(), "aaa", **TAKES_OVER)), "--yes", *ALLOW, *options)
    assert (result.status, result.out) == (2, "")
    title, *facts, host_conflict, alias_conflict, hint = result.err.splitlines()
    assert title == f"aaa, from {Path.cwd()}/aaa.yaml, will be trusted with:"
    assert all(fact.startswith("  ") for fact in facts)
    conflicts = {"login.server.mila.quebec": host_conflict, "mila": alias_conflict}
    for name, conflict in conflicts.items():
        assert conflict.startswith(
            f"{name}: aaa and mila give this name different meanings: "
            "hostname evil.example.net or login.server.mila.quebec, port 22 or 2222, "
        )
    assert hint == (
        "Nothing was written. Use one of the sites: gen uninstall SITE removes the other."
    )
    assert tree(home) == before


@pytest.mark.parametrize(
    "match",
    [
        pytest.param(["c?-a001"], id="a pattern that overlaps with one of the site"),
        # gen compares by example names; an exclusion of the usual one must not hide the overlap.
        pytest.param(["cn-????", "!cn-0000"], id="a pattern without the usual example"),
        pytest.param(["cn-a001"], id="a node"),
    ],
)
def test_a_second_spec_cannot_take_a_compute_node_of_an_installed_site(
    gen: Gen, home: Path, match: list[str]
) -> None:
    assert gen("install", "mila", "--user", "ada", "--yes").status == 0
    before = tree(home)
    nodes = {"nodes": {"match": match, "through": "evil"}}
    evil = spec(Path(), "evil", hosts={"evil": EVIL_HOST}, compute=nodes)
    result = gen("install", str(evil), "--yes", "--user", "ada")
    assert result.status == 2
    assert "evil and mila give this name different meanings: hostname cn-" in result.err
    assert tree(home) == before


def test_two_sites_with_overlapping_patterns_of_other_names_live_together(
    gen: Gen, home: Path
) -> None:
    first = {"nodes": {"match": "cn-a??", "through": "one"}}
    second = {"nodes": {"match": "cn-b??", "through": "two"}}
    specs = [str(spec(Path(), "one", compute=first)), str(spec(Path(), "two", compute=second))]
    assert gen("install", *specs, "--yes").status == 0


def site(name: str, alias: str, **changes: Any) -> str:
    hosts = {alias: {"host": f"{name}.example.org"} | changes, "jump": {"host": "jump.example.org"}}
    auth = {"method": "publickey", "key": "~/.ssh/id_both"}
    return str(spec(Path(), name, hosts=hosts, auth=auth))


def test_two_sites_with_the_same_jump_host_live_together(gen: Gen, home: Path) -> None:
    specs = [site("one", "one", via="jump"), site("two", "two", via="jump")]
    assert gen("install", *specs, "--yes").status == 0
    assert gen("install", specs[0], "--yes", "--user", "ada").status == 2
    assert gen("install", *specs, "--yes", "--user", "ada").status == 0


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        pytest.param({"port": 2222}, "port 22 or 2222", id="port"),
        pytest.param({"user": "grace"}, "user ada or grace", id="user"),
        pytest.param({"via": "jump"}, "proxyjump (none) or jump", id="way there"),
        pytest.param(
            {"auth": {"method": "publickey", "key": "~/.ssh/id_2"}}, "identityfile", id="key"
        ),
    ],
)
def test_two_new_sites_with_different_meanings_of_a_name_are_refused(
    gen: Gen, home: Path, changes: dict[str, Any], difference: str
) -> None:
    before = tree(home)
    first = spec(Path(), "one", hosts={"login": {"host": "x.example.org", "user": "ada"}})
    jump = {"jump": {"host": "jump.example.org"}} if "via" in changes else {}
    second = spec(
        Path(), "two", hosts={"login": {"host": "x.example.org", "user": "ada"} | changes} | jump
    )
    result = gen("install", str(first), str(second), "--yes")
    assert result.status == 2
    assert "login: one and two give this name different meanings: " in result.err
    assert difference in result.err
    assert tree(home) == before


def test_two_accounts_at_one_host_live_together_under_two_aliases(gen: Gen, home: Path) -> None:
    host = {"host": "login.example.org"}
    first = spec(Path(), "one", hosts={"ada": host | {"user": "ada"}}, auth={"method": "agent"})
    second = spec(Path(), "two", hosts={"bob": host | {"user": "bob"}}, auth={"method": "agent"})
    result = gen("install", str(first), str(second), "--yes")
    assert result.status == 0
    # ssh takes the account of the first file for the host name itself, which gen reports.
    assert " User ada overrides User bob for login.example.org; two sites have" in result.err


def test_the_same_site_twice_is_installed_once(gen: Gen, home: Path) -> None:
    path = spec(Path())
    result = gen("install", str(path), f"./{path}", "--yes")
    assert (result.status, result.err.count("~/.ssh/gen.d/ours.conf")) == (0, 1)


def test_two_different_specs_of_one_site_are_refused(gen: Gen, home: Path) -> None:
    (Path("a")).mkdir()
    first = spec(Path())
    second = spec(Path("a"), title="Another")
    result = gen("install", str(first), str(second), "--yes")
    assert (result.status, result.err) == (
        2,
        "ours: ours.yaml and a/ours.yaml are different specs of this site; install one of them\n",
    )
