"""The pages of the site: they have every text of a spec, and no text becomes markup."""

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
from catalogue_sites import SAMPLE, SITES
from site_pages import guides
from site_pages.labels import gpus, host_keys, login
from site_pages.markup import code, link, paragraph, prose, table, text
from site_pages.overview import HEADINGS, overview
from site_pages.page import page
from site_pages.topology import picture, tree
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from generator.loading import validate
from generator.resources import CATALOGUE
from generator.schema.auth import PublicKeyAuth
from generator.schema.site import SiteSpec

DOCS = Path(__file__).parent.parent / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@cache
def shipped_site(name: str) -> SiteSpec:
    return validate.site(CATALOGUE / f"{name}.yaml")


@cache
def as_html(source: str) -> str:
    """Render a page without its front matter as mkdocs does, with the extensions of mkdocs.yml."""
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


def svg_of(site: SiteSpec) -> ET.Element:
    return ET.fromstring(picture(site))  # noqa: S314 - our own output


class Reader(HTMLParser):
    """Collects the text of a page, and its elements and attributes."""

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
    def visible_text(self) -> str:
        return " ".join("".join(self.parts).split())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def leaves(value: object, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every text of a spec with its key path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*keys, key))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, keys)
    elif isinstance(value, str):
        yield keys, value


# The page shows fingerprints instead of whole keys, its own content for some values, and links for
# sources.
SHOWN_DIFFERENTLY = {
    "keys",
    "key",
    "method",
    "role",
    "asks",
    "then",
    "ref",
    "state",
    "docs",
    "scheduler",
}


def visible_texts(site: SiteSpec) -> Iterator[str]:
    """Yield every text of a spec that its page must show as it is."""
    for keys, value in leaves(site.model_dump(mode="json", exclude_defaults=True)):
        if keys[-1] not in SHOWN_DIFFERENTLY or keys[-2:] == ("auth", "key"):
            yield value


def example(**changes: Any) -> SiteSpec:
    """Return a small site with a text in every field that takes one."""
    fact = {"source": ["doc"], "note": "a note"}
    spec: dict[str, Any] = {
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
    return SiteSpec.model_validate(spec | changes)


# A spec comes from anybody by a pull request, and its page runs in the browser of every reader.
# Each text is markup to Markdown, to an extension of it, or to HTML.
HOSTILE = {
    "an element": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "ends of elements": "</code></figure></svg></title></text>--><b>bold</b>",
    "links and pictures": (
        "[click](javascript:alert(1)) ![x](//evil.example/x) <javascript:alert(1)> [a][b]"
    ),
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
    # pymdownx.snippets would put a file of the machine that builds the site into the page.
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


FREE_TEXTS = {
    "note",
    "operator",
    "network",
    "not_for",
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
FREE_LISTS = {"key_options", "pre_start_commands"}


def filled(value: Any, replacement: str) -> Any:
    """Return the example with every free text replaced."""
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key in FREE_TEXTS:
            result[key] = replacement
        elif key in FREE_LISTS:
            result[key] = [replacement]
        else:
            result[key] = filled(item, replacement)
    return result


@pytest.mark.parametrize("name", SAMPLE)
def test_the_page_has_every_text_of_a_spec(name: str) -> None:
    site = shipped_site(name)
    shown = read(as_html(page(site))).visible_text
    for value in visible_texts(site):
        assert " ".join(value.replace("`", "").split()).rstrip(".") in shown


@pytest.mark.parametrize("name", SAMPLE)
def test_the_page_has_every_source_with_an_anchor(name: str) -> None:
    site, html = shipped_site(name), as_html(page(shipped_site(name)))
    for label, source in site.sources.items():
        assert f'id="source-{label}"' in html
        for repository, path, commit in re.findall(
            r"^([\w-]+/[\w.-]+):(\S+)@(\w{40})$", source.ref or ""
        ):
            assert f'href="https://github.com/{repository}/blob/{commit}/{path}"' in html


@pytest.mark.parametrize("name", SAMPLE)
def test_the_visible_text_has_no_markdown(name: str) -> None:
    shown = read(as_html(page(shipped_site(name)))).visible_text
    assert not re.search(r"\]\(|&#\d+;|<span|\*\*|\| ---", shown)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_no_text_of_a_spec_adds_an_element_to_its_page(content: str) -> None:
    document = filled(example().model_dump(mode="json", exclude_defaults=True), content)
    harmless_document = filled(document, "some content")
    hostile = SiteSpec.model_validate(document, strict=False)
    harmless = SiteSpec.model_validate(harmless_document, strict=False)
    hostile_page = read(as_html(page(hostile)))
    harmless_page = read(as_html(page(harmless)))
    # A backtick makes code, and a line of a picture that is cut has a tooltip.
    allowed = Counter(code=99, title=99)
    assert hostile_page.tags - allowed == harmless_page.tags - allowed
    assert hostile_page.attributes == harmless_page.attributes


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_shown_letter_by_letter(content: str) -> None:
    for source in (
        code(content),
        link(text(content), "https://example.org/"),
        "\n".join(paragraph(text(content))),
    ):
        assert " ".join(content.split()) == read(as_html(source)).visible_text


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_title_stays_text(content: str) -> None:
    title = content.replace("\\", "")
    site = example(title=title)
    html = read(as_html(page(site)))
    assert html.tags["script"] == html.tags["img"] == 0
    assert " ".join(title.split()) in html.visible_text
    assert "\n" not in page(site).split("\n")[1]
    assert "<" not in page(site).split("\n")[1]


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_cell_stays_one_cell(content: str) -> None:
    html = read(as_html("\n".join(table(("one", "two"), [(text(content), code(content))]))))
    assert (html.tags["td"], html.tags["th"], html.tags["tr"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("content", "url"),
    [
        ("see https://example.org/a.", "https://example.org/a"),
        ("(https://example.org/a(b))", "https://example.org/a%28b"),
        ("https://example.org/[x](y)|z*", "https://example.org/%5Bx%5D%28y%29%7Cz%2A"),
        ("https://example.org/?a=1&b=2#c", "https://example.org/?a=1&amp;b=2#c"),
    ],
)
def test_a_url_in_a_sentence_becomes_a_link(content: str, url: str) -> None:
    assert f'href="{url}"' in as_html(prose(content))
    assert content == read(as_html(prose(content))).visible_text


def test_backticks_in_a_sentence_make_code() -> None:
    html = as_html(prose("run `ssh -T <host>` now"))
    assert html == "<p>run <code>ssh -T &#60;host&#62;</code> now</p>"


def test_a_table_omits_empty_columns() -> None:
    lines = list(table(("one", "two", "three"), [("a", "", "c"), ("d", "", "")]))
    assert lines == ["| one | three |", "| --- | --- |", "| a | c |", "| d |  |", ""]
    assert list(table(("one",), [])) == []


@pytest.mark.parametrize("name", SAMPLE)
def test_a_picture_names_every_host_with_its_port(name: str) -> None:
    site = shipped_site(name)
    lines = ["".join(element.itertext()) for element in svg_of(site).iter(f"{SVG}text")]
    for alias, host in site.hosts.items():
        assert any(line.startswith(alias) for line in lines)
        assert any(line.endswith(f"port {host.port}") for line in lines)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_picture_has_a_description_for_screen_readers(name: str) -> None:
    svg = svg_of(shipped_site(name))
    [title, description] = svg.attrib["aria-labelledby"].split()
    assert svg.attrib["role"] == "img"
    assert (svg[0].tag, svg[0].attrib["id"]) == (f"{SVG}title", title)
    assert (svg[1].tag, svg[1].attrib["id"]) == (f"{SVG}desc", description)
    for host in shipped_site(name).hosts.values():
        assert host.host in (svg[1].text or "")


@pytest.mark.parametrize("name", SAMPLE)
def test_the_boxes_of_a_picture_do_not_overlap_and_are_inside(name: str) -> None:
    svg = svg_of(shipped_site(name))
    width, height = (int(number) for number in svg.attrib["viewBox"].split()[2:])
    boxes = list(svg.iter(f"{SVG}rect"))
    for above, below in pairwise(boxes):
        assert end(above, "y", "height") < int(below.attrib["y"])
    for box in boxes:
        assert end(box, "x", "width") < width
        assert end(box, "y", "height") < height


def end(box: ET.Element, start: str, size: str) -> int:
    """Return the coordinate at which a box ends."""
    return int(box.attrib[start]) + int(box.attrib[size])


def test_a_machine_is_drawn_behind_its_jump_host() -> None:
    [triton, *_, kosh] = tree(shipped_site("triton")).behind
    assert [node.name for node in kosh.behind] == ["triton-outside", "triton-code-outside"]
    assert [node.name for node in triton.behind] == ["compute nodes"]


def test_a_route_through_a_node_starts_at_the_host_of_the_node() -> None:
    hosts = {
        "ex": {"host": "ex.org", "nodes": {"alias": "ex{n}", "host": "n{n}.ex.org", "n": "1-2"}}
    }
    site = example(
        hosts=hosts, compute={"c": {"match": ["c?"], "through": "ex2"}}, jobs={}, host_keys={}
    )
    assert [node.name for node in tree(site).behind[0].behind] == ["c?"]


def test_a_long_line_is_cut_and_complete_in_a_tooltip() -> None:
    long = "from " + "everywhere " * 20
    site = example(
        hosts={"ex": {"host": "ex.org", "network": long}}, compute={}, jobs={}, host_keys={}
    )
    svg = svg_of(site)
    [cut] = [element for element in svg.iter(f"{SVG}text") if len(element)]
    assert cut[0].text == long
    assert (cut[0].tail or "").endswith("…")


def test_host_keys_from_a_weak_source_have_the_reason() -> None:
    [row] = (line for line in page(shipped_site("musica")).splitlines() if "SHA256:gzX5" in line)
    assert "no, unverified: read as an undated excerpt" in row


def test_the_page_names_hosts_without_host_keys() -> None:
    names = "<code>nibi-robot</code>, <code>nodes</code>"
    sentence = f"The spec has no host keys of {names}: ssh asks at the first connection."
    assert sentence in page(shipped_site("nibi"))


def test_a_site_that_closes_has_a_warning_at_the_top() -> None:
    warning = '!!! warning "This site is retiring, until 2026-12-31"\n\n    a note. Source: '
    assert warning in page(example())
    assert '!!! warning "This site is retired"\n\n\n' in page(example(status={"state": "retired"}))


def test_the_commands_are_those_of_the_first_login() -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", page(shipped_site("mila")), re.DOTALL)
    assert commands.splitlines() == [
        "gen site mila --out . --user USER",
        "ssh-keygen -t ed25519 -f ~/.ssh/id_mila",
        "ssh -F ssh/mila.conf mila",
    ]


@pytest.mark.parametrize("name", SAMPLE)
def test_the_commands_have_no_placeholder(name: str) -> None:
    [commands] = re.findall(r"```sh\n(.*?)```", page(shipped_site(name)), re.DOTALL)
    assert "{" not in commands


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("mila", "pinned"),
        ("musica", "unverified"),
        ("vsc5", "none found"),
        ("nibi", "pinned in part"),
    ],
)
def test_the_overview_says_whether_host_keys_are_pinned(name: str, state: str) -> None:
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
def test_a_kind_of_gpu_has_the_same_name_at_every_site(gpu: str, kinds: list[str]) -> None:
    assert gpus(example(slurm={"partitions": {"batch": {"gpu": gpu}}})) == kinds


def test_the_login_label_includes_a_second_factor() -> None:
    assert login(PublicKeyAuth(method="publickey")) == "key"
    with_factor = PublicKeyAuth(method="publickey", then="keyboard-interactive")
    assert login(with_factor) == "key + second factor"


def test_the_overview_counts_sites_by_host_keys_and_by_the_year_of_their_newest_source() -> None:
    lines = overview([shipped_site(name) for name in ("mila", "musica", "datalab", "dkrz-levante")])
    assert "by number of sites: pinned 1, unverified 1, none found 1, address only 1." in lines
    assert "Newest source, by number of sites: no date 1, 2026 3." in lines


def test_the_overview_has_a_row_for_every_site() -> None:
    html = as_html(overview([shipped_site(name) for name in SITES]))
    assert re.findall(r'<td><a href="([\w-]+)\.md">\1</a></td>', html) == SITES


def test_the_labels_on_a_narrow_screen_are_the_headings_of_the_overview() -> None:
    labels = re.findall(
        r'td:nth-child\((\d)\)::before \{\s+content: "([^"]+)"',
        (DOCS / "assets/sites.css").read_text(),
    )
    # The first two columns, the site and its title, need no label.
    headings = [(str(number), name) for number, name in enumerate(HEADINGS, start=1)]
    assert labels == headings[2:]


@pytest.mark.parametrize(
    ("in_repository", "on_site"),
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
def test_links_of_the_repository_become_links_of_the_site(in_repository: str, on_site: str) -> None:
    assert guides.page(in_repository) == on_site


class Page(SingleFileSnapshotExtension):
    """A snapshot in a Markdown file."""

    _write_mode = WriteMode.TEXT
    file_extension = "md"


class Picture(Page):
    """A snapshot in an SVG file."""

    file_extension = "svg"


@pytest.mark.parametrize("name", ["mila", "musica"])
def test_pages(name: str, snapshot: SnapshotAssertion) -> None:
    assert page(shipped_site(name)) == snapshot.use_extension(Page)


@pytest.mark.parametrize("name", ["mila", "vsc5", "trillium"])
def test_pictures(name: str, snapshot: SnapshotAssertion) -> None:
    assert picture(shipped_site(name)) == snapshot.use_extension(Picture)
