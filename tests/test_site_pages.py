"""The pages of the documentation site: they say all that a spec says, and no text of a spec breaks out of them."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import markdown
import pytest
from site_pages import guides
from site_pages.markup import code, link, paragraph, prose, table, text
from site_pages.overview import HEADINGS, overview
from site_pages.page import page
from site_pages.topology import picture, places
from site_pages.words import gpus, host_keys, login
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.auth import PublicKeyAuth
from generator.schema.site import SiteSpec

pytestmark = pytest.mark.long

DOCS = Path(__file__).parent.parent / "docs"
SITES = sorted(path.stem for path in CATALOGUE.glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"


@cache
def shipped_site(name: str) -> SiteSpec:
    return validate.site(CATALOGUE / f"{name}.yaml")


@cache
def as_html(source: str) -> str:
    """Render a page as mkdocs does, with the extensions of mkdocs.yml; what stands above the page is taken off."""
    body = re.sub(r"\A---\n.*?\n---\n", "", source, flags=re.DOTALL)
    extensions = [
        "admonition",
        "attr_list",
        "md_in_html",
        "pymdownx.highlight",
        "pymdownx.superfences",
    ]
    extensions += ["tables", "fenced_code", "toc"]
    return markdown.markdown(body, extensions=extensions)


def drawn(site: SiteSpec) -> ET.Element:
    return ET.fromstring(picture(site))  # noqa: S314 - made here a moment ago


class Reader(HTMLParser):
    """Collects what a person reads, and the elements and attributes that it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {(tag, name) for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.parts).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def leaves(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a spec with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*keys, key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, keys)
    elif isinstance(value, str):
        yield keys, value


# Whole keys are shown as fingerprints; words of the spec's own language as words of the page; files of a source apart.
OTHERWISE = {"keys", "key", "method", "role", "asks", "then", "ref", "state", "docs"}


def worth_reading(site: SiteSpec) -> Iterator[str]:
    for keys, value in leaves(site.model_dump(mode="json", exclude_defaults=True)):
        if not OTHERWISE & {keys[-1]} or keys[-2:] == ("auth", "key"):
            yield value


def example(**changes: Any) -> SiteSpec:
    """Return a small site with something in every place where a person may write a text."""
    fact = {"source": ["doc"], "note": "a note"}
    given: dict[str, Any] = {
        "site": "example",
        "title": "Example",
        "operator": "An operator",
        "note": "a note",
        "docs": "https://docs.example.org/",
        "sources": {
            "doc": {"ref": "a document", "weak": "a reason", "url": "https://docs.example.org/page"}
        },
        "hosts": {
            "ex": {
                "host": "ex.example.org",
                "network": "by VPN",
                "key_options": ["restrict"],
                **fact,
            }
        },
        "compute": {"nodes": {"match": ["n???"], "through": "ex", **fact}},
        "jobs": {"ex-job": {"through": "ex", "proxy": "run it", "command": "enter it", **fact}},
        "host_keys": {
            "login": {"hosts": ["ex"], "fingerprints": {"ed25519": ["SHA256:" + "A" * 43]}, **fact}
        },
        "auth": {"method": "publickey", "submit": "in a form"},
        "slurm": {
            "partitions": {"batch": {"gpu": "a GPU", **fact}},
            "qos_limits": {"normal": fact},
            "accounts": {"form": "a form", "known": {"acc": {"note": "a note"}}, **fact},
            "reservations": "on request",
            **fact,
        },
        "status": {"state": "retiring", "ends": "2026-12-31", **fact},
        "ray": {"pre_start_commands": ["a command"], **fact},
        "filesystems": {"home": {"path": "/home/<user>", "quota": "a quota", **fact}},
        "http_api": {"kind": "an API", "url": "https://api.example.org/", **fact},
    }
    return SiteSpec.model_validate(given | changes)


HOSTILE = {
    "an element": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "ends of elements": "</code></figure></svg></title></text>--><b>bold</b>",
    "links and pictures": "[click](javascript:alert(1)) ![x](//evil.example/x) <javascript:alert(1)> [a][b]",
    "emphasis": "**bold** _thin_ ~~gone~~ ^up^ ==marked==",
    "columns": "a | b | c ||",
    "backticks": "`` ` ``` odd ` number",
    "attributes": "x {#id .class onclick=alert(1)} {: style=color:red }",
    "references": "&lt;b&gt; &#60; &amp;amp;",
    "quotes": '" \' onload=alert(1) "',
    "a heading": "# heading",
    "a list": "1. one",
    "a bullet": "- one",
    "code": "    indented",
    "an admonition": "!!! danger",
    "a snippet": '--8<-- "/etc/passwd"',
    "a tab": '=== "tab"',
    "a fence": "```sh rm",
    "an abbreviation": "*[HTML]: text",
    "a footnote": "[^1]: text [^1]",
    "a definition": ":   definition",
    "an escape": r"\* \[ \\",
    "yaml": 'x: "y" # z',
    "right to left": "שלום",
}


def filled(value: Any, words: str) -> Any:
    """Put hostile words in the place of each free text of the example."""
    free = {
        "note",
        "operator",
        "network",
        "submit",
        "form",
        "reservations",
        "quota",
        "kind",
        "gpu",
        "weak",
        "path",
        "ref",
    }
    lists = {"key_options", "pre_start_commands"}
    if not isinstance(value, dict):
        return value
    return {
        key: words if key in free else [words] if key in lists else filled(item, words)
        for key, item in value.items()
    }


@pytest.mark.parametrize("name", SITES)
def test_every_text_of_a_spec_is_on_its_page(name: str) -> None:
    site = shipped_site(name)
    shown = read(as_html(page(site))).words
    missing = [
        words
        for words in worth_reading(site)
        if " ".join(words.replace("`", "").split()).rstrip(".") not in shown
    ]
    assert missing == []


@pytest.mark.parametrize("name", SITES)
def test_every_source_of_a_spec_is_on_its_page_with_a_place_to_link_to(name: str) -> None:
    site, html = shipped_site(name), as_html(page(shipped_site(name)))
    for label, source in site.sources.items():
        assert f'id="source-{label}"' in html
        for repository, path, commit in re.findall(
            r"^([\w-]+/[\w.-]+):(\S+)@(\w{40})$", source.ref or ""
        ):
            assert f'href="https://github.com/{repository}/blob/{commit}/{path}"' in html


@pytest.mark.parametrize("name", SITES)
def test_no_markdown_is_left_in_what_a_person_reads(name: str) -> None:
    shown = read(as_html(page(shipped_site(name)))).words
    assert not re.search(r"\]\(|&#\d+;|<span|\*\*|\| ---", shown)


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_no_text_of_a_spec_adds_an_element_to_its_page(words: str) -> None:
    harmless = example()
    document = filled(harmless.model_dump(mode="json", exclude_defaults=True), words)
    hostile = SiteSpec.model_validate(document, strict=False)
    as_it_should = SiteSpec.model_validate(filled(document, "some words"), strict=False)
    page_of, should = read(as_html(page(hostile))), read(as_html(page(as_it_should)))
    # A backtick makes code, and a line of a picture that is cut has a tooltip.
    free = Counter(code=99, title=99)
    assert page_of.tags - free == should.tags - free
    assert page_of.attributes == should.attributes


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_shown_letter_by_letter(words: str) -> None:
    for source in (
        code(words),
        link(text(words), "https://example.org/"),
        "\n".join(paragraph(text(words))),
    ):
        assert " ".join(words.split()) == read(as_html(source)).words


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_title_stays_a_title(words: str) -> None:
    title = words.replace("\\", "")
    site = example(title=title)
    html = read(as_html(page(site)))
    assert html.tags["script"] == html.tags["img"] == 0
    assert " ".join(title.split()) in html.words
    assert "\n" not in page(site).split("\n")[1]
    assert "<" not in page(site).split("\n")[1]


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_cell_stays_one_cell(words: str) -> None:
    html = read(as_html("\n".join(table(("one", "two"), [(text(words), code(words))]))))
    assert (html.tags["td"], html.tags["th"], html.tags["tr"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ("see https://example.org/a.", "https://example.org/a"),
        ("(https://example.org/a(b))", "https://example.org/a%28b"),
        ("https://example.org/[x](y)|z*", "https://example.org/%5Bx%5D%28y%29%7Cz%2A"),
        ("https://example.org/?a=1&b=2#c", "https://example.org/?a=1&amp;b=2#c"),
    ],
)
def test_an_address_in_a_sentence_becomes_a_link_that_stays_in_its_quotes(
    words: str, address: str
) -> None:
    assert f'href="{address}"' in as_html(prose(words))
    assert words == read(as_html(prose(words))).words


def test_backticks_in_a_sentence_make_code() -> None:
    assert (
        as_html(prose("run `ssh -T <host>` now"))
        == "<p>run <code>ssh -T &#60;host&#62;</code> now</p>"
    )


def test_a_table_has_only_columns_that_hold_something() -> None:
    lines = list(table(("one", "two", "three"), [("a", "", "c"), ("d", "", "")]))
    assert lines == ["| one | three |", "| --- | --- |", "| a | c |", "| d |  |", ""]
    assert list(table(("one",), [])) == []


@pytest.mark.parametrize("name", SITES)
def test_a_picture_names_every_host_with_its_port(name: str) -> None:
    site = shipped_site(name)
    words = ["".join(element.itertext()) for element in drawn(site).iter(f"{SVG}text")]
    for alias, host in site.hosts.items():
        assert any(line.startswith(alias) for line in words)
        assert any(line.endswith(f"port {host.port}") for line in words)


@pytest.mark.parametrize("name", SITES)
def test_a_picture_is_told_in_words_for_those_who_do_not_see_it(name: str) -> None:
    svg = drawn(shipped_site(name))
    [title, words] = svg.attrib["aria-labelledby"].split()
    assert svg.attrib["role"] == "img"
    assert (svg[0].tag, svg[0].attrib["id"]) == (f"{SVG}title", title)
    assert (svg[1].tag, svg[1].attrib["id"]) == (f"{SVG}desc", words)
    for host in shipped_site(name).hosts.values():
        assert host.host in (svg[1].text or "")


@pytest.mark.parametrize("name", SITES)
def test_no_two_boxes_of_a_picture_overlap_and_all_are_inside(name: str) -> None:
    svg = drawn(shipped_site(name))
    width, height = (int(number) for number in svg.attrib["viewBox"].split()[2:])
    boxes = [
        {key: int(box.attrib[key]) for key in ("x", "y", "width", "height")}
        for box in svg.iter(f"{SVG}rect")
    ]
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] < below["y"]
    assert all(
        box["x"] + box["width"] < width and box["y"] + box["height"] < height for box in boxes
    )


def test_machines_behind_a_jump_host_are_drawn_behind_it() -> None:
    [triton, *_, kosh] = places(shipped_site("triton")).behind
    assert [place.name for place in kosh.behind] == ["triton-outside", "triton-code-outside"]
    assert [place.name for place in triton.behind] == ["compute nodes"]


def test_a_way_through_one_of_several_nodes_starts_at_the_host_that_has_them() -> None:
    hosts = {
        "ex": {"host": "ex.org", "nodes": {"alias": "ex{n}", "host": "n{n}.ex.org", "n": "1-2"}}
    }
    site = example(
        hosts=hosts, compute={"c": {"match": ["c?"], "through": "ex2"}}, jobs={}, host_keys={}
    )
    assert [place.name for place in places(site).behind[0].behind] == ["c?"]


def test_a_line_that_is_too_long_is_cut_and_whole_in_a_tooltip() -> None:
    long = "from " + "everywhere " * 20
    site = example(
        hosts={"ex": {"host": "ex.org", "network": long}}, compute={}, jobs={}, host_keys={}
    )
    svg = drawn(site)
    [cut] = [element for element in svg.iter(f"{SVG}text") if len(element)]
    assert cut[0].text == long
    assert (cut[0].tail or "").endswith("…")


def test_host_keys_from_weak_sources_are_shown_as_such_with_the_reason() -> None:
    [row] = (line for line in page(shipped_site("musica")).splitlines() if "SHA256:gzX5" in line)
    assert "no, unverified: read as an undated excerpt" in row


def test_hosts_without_host_keys_are_named() -> None:
    assert "No host keys are known of <code>nibi-robot</code>" in page(shipped_site("nibi"))


def test_a_site_that_ends_says_so_on_top() -> None:
    assert '!!! warning "This site is retiring, until 2026-12-31"\n\n    a note. Source: ' in page(
        example()
    )
    assert '!!! warning "This site is retired"\n\n\n' in page(example(status={"state": "retired"}))


def test_commands_are_those_of_the_first_login() -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", page(shipped_site("mila")), re.DOTALL)
    assert commands.splitlines() == [
        "gen site mila --out . --user USER",
        "ssh-keygen -t ed25519 -f ~/.ssh/id_mila",
        "ssh -F ssh/mila.conf mila",
    ]


@pytest.mark.parametrize("name", SITES)
def test_what_is_not_known_of_the_reader_stands_in_capitals_in_commands(name: str) -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", page(shipped_site(name)), re.DOTALL)
    assert "{" not in commands


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("mila", "pinned"),
        ("musica", "unverified"),
        ("vsc5", "not published"),
        ("nibi", "pinned in part"),
    ],
)
def test_the_overview_tells_whether_host_keys_are_pinned(name: str, state: str) -> None:
    assert host_keys(shipped_site(name)) == state


@pytest.mark.parametrize(
    ("gpu", "kinds"),
    [
        ("NVIDIA A100 custom 64 GB", ["A100"]),
        ("H200 96 GB (GH200)", ["GH200", "H200"]),
        ("MI210/MI100", ["MI100", "MI210"]),
        ("RTX 3090, RTX 4090 or L40s", ["L40S", "RTX 3090", "RTX 4090"]),
        ("a new kind", ["a new kind"]),
    ],
)
def test_kinds_of_gpu_are_named_the_same_at_every_site(gpu: str, kinds: list[str]) -> None:
    assert gpus(example(slurm={"partitions": {"batch": {"gpu": gpu}}})) == kinds


def test_a_second_factor_is_part_of_the_login() -> None:
    assert login(PublicKeyAuth(method="publickey")) == "key"
    assert (
        login(PublicKeyAuth(method="publickey", then="keyboard-interactive"))
        == "key + second factor"
    )


def test_the_overview_has_a_row_for_every_site() -> None:
    html = as_html(overview([shipped_site(name) for name in SITES]))
    assert re.findall(r'<td><a href="([\w-]+)\.md">\1</a></td>', html) == SITES


def test_cards_on_a_narrow_screen_name_the_columns_of_the_overview() -> None:
    labels = re.findall(
        r'td:nth-child\((\d)\)::before \{\s+content: "([^"]+)"',
        (DOCS / "assets/sites.css").read_text(),
    )
    assert labels == [
        (str(number), name) for number, name in enumerate(HEADINGS, start=1) if number > 2
    ]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("[guide](docs/adding-a-site.md)", "[guide](adding-a-site.md)"),
        ("[a part](docs/spec-reference.md#host)", "[a part](spec-reference.md#host)"),
        ("[how](CONTRIBUTING.md)", "[how](contributing.md)"),
        ("[start](README.md#commands)", "[start](index.md#commands)"),
        ("[below](#commands)", "[below](#commands)"),
        ("[far](https://example.org/docs/a.md)", "[far](https://example.org/docs/a.md)"),
        ("the [table](generator/compile.py) there", "the table there"),
    ],
)
def test_links_of_the_repository_hold_on_the_site(there: str, here: str) -> None:
    assert guides.page(there) == here


class Page(SingleFileSnapshotExtension):
    """A snapshot that opens as the page that it is."""

    _write_mode = WriteMode.TEXT
    file_extension = "md"


class Picture(Page):
    """A snapshot that opens as the picture that it is."""

    file_extension = "svg"


@pytest.mark.parametrize("name", ["mila", "musica"])
def test_pages(name: str, snapshot: SnapshotAssertion) -> None:
    assert page(shipped_site(name)) == snapshot.use_extension(Page)


@pytest.mark.parametrize("name", ["mila", "vsc5", "trillium"])
def test_pictures(name: str, snapshot: SnapshotAssertion) -> None:
    assert picture(shipped_site(name)) == snapshot.use_extension(Picture)
