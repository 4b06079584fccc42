"""A site as a picture: you, the machines to jump through, those to log in to, and what lies behind, as SVG.

The picture is a tree, one machine below the other, each further in than the one it is reached through: so it stays
readable on a narrow screen, whatever number of machines there are. Its colours are those of the page around it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from generator.schema.hosts import Compute, Host
from generator.schema.site import SiteSpec
from site_pages.words import ROLES, login

_WIDTH, _INDENT, _GAP, _PADDING, _LINE = 372, 22, 12, 10, 17
_WIDE, _NARROW = 7.4, 6.7  # widths of a letter of the first line, and of one of the further lines


@dataclass
class Place:
    """A box of the picture, and the boxes that are reached through it."""

    kind: str
    name: str
    tag: str
    lines: list[str] = field(default_factory=list)
    behind: list["Place"] = field(default_factory=list)


@dataclass(frozen=True)
class _Box:
    place: Place
    depth: int
    top: int

    @property
    def left(self) -> int:
        return 1 + self.depth * _INDENT

    @property
    def height(self) -> int:
        return 2 * _PADDING + _LINE * (1 + len(self.place.lines)) - 4

    @property
    def middle(self) -> int:
        return self.top + self.height // 2


def places(site: SiteSpec) -> Place:
    """Return the person who logs in, with everything that is reached from there."""
    you = Place("you", "you", "your machine")
    hosts = {alias: _host(site, alias, host) for alias, host in site.hosts.items()}
    owner = {machine.alias: machine.entry for machine in site.machines()}
    for alias, host in site.hosts.items():
        (hosts[owner[host.via]] if host.via else you).behind.append(hosts[alias])
    for alias, job in site.jobs.items():
        hosts[owner[job.through]].behind.append(
            Place("job", alias, "Slurm job", ["started by logging in"])
        )
    for group in site.compute.values():
        hosts[owner[group.through]].behind.append(_compute(group))
    if not site.compute:
        hosts[site.usual_host.entry].behind.append(
            Place("slurm", "compute nodes", "by Slurm", ["sbatch, srun"])
        )
    return you


def _host(site: SiteSpec, alias: str, host: Host) -> Place:
    lines = [host.host, login(site.auth_of(host))]
    if host.nodes:
        lines.append(f"nodes {host.nodes.alias.replace('{n}', f'[{host.nodes.n}]')}")
    if host.network:
        lines.append(host.network)
    return Place(host.role, alias, f"{ROLES[host.role]}, port {host.port}", lines)


def _compute(group: Compute) -> Place:
    wanted = [name for name in group.match if not name.startswith("!")]
    lines = [group.host] if group.host else []
    return Place("compute", " ".join(wanted), f"compute, port {group.port}", lines)


def told(place: Place) -> str:
    """Return the picture in words, for those who do not see it."""
    ways = [
        f"{at.name} leads to {', '.join(map(_said, at.behind))}" for at in _all(place) if at.behind
    ]
    return "; ".join(ways) + "."


def _said(place: Place) -> str:
    return f"{place.name} ({', '.join([place.tag, *place.lines])})"


def _all(place: Place) -> Iterator[Place]:
    yield place
    for one in place.behind:
        yield from _all(one)


def picture(site: SiteSpec) -> str:
    """Return the picture of a site as an SVG element."""
    you = places(site)
    boxes = list(_boxes(you, 0, 1))
    height = boxes[-1].top + boxes[-1].height + 1
    ids = [f"way-in-{site.site}-{part}" for part in ("title", "words")]
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "role": "img",
            "aria-labelledby": " ".join(ids),
            "fill": "none",
            "stroke": "currentColor",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
        },
    )
    ET.SubElement(svg, "title", {"id": ids[0]}).text = f"The way into {site.title}"
    ET.SubElement(svg, "desc", {"id": ids[1]}).text = told(you)
    by_place = {id(box.place): box for box in boxes}
    for box in boxes:
        start = box.top + box.height
        for one in box.place.behind:
            start = _draw_way(svg, box.left + _INDENT // 2, start, by_place[id(one)])
    for box in boxes:
        _draw_box(svg, box)
    ET.indent(svg, " ")
    return ET.tostring(svg, encoding="unicode")


def _boxes(place: Place, depth: int, top: int) -> Iterator[_Box]:
    box = _Box(place, depth, top)
    yield box
    top += box.height + _GAP
    for one in place.behind:
        for below in _boxes(one, depth + 1, top):
            yield below
            top = below.top + below.height + _GAP


def _draw_way(svg: ET.Element, x: int, start: int, end: _Box) -> int:
    """Draw the way to a box, and return where the one to the next box leaves it."""
    y = end.middle
    bend = f"M{x} {start}V{y - 6}q0 6 6 6H{end.left - 1}"
    head = f"M{end.left - 6} {y - 4}L{end.left - 1} {y}L{end.left - 6} {y + 4}"
    ET.SubElement(svg, "path", {"class": "way", "d": bend + head, "stroke-opacity": "0.6"})
    return y - 6


def _draw_box(svg: ET.Element, box: _Box) -> None:
    place, width = box.place, _WIDTH - 1 - box.left
    group = ET.SubElement(svg, "g", {"class": f"place {place.kind}"})
    size = {
        "x": str(box.left),
        "y": str(box.top),
        "width": str(width),
        "height": str(box.height),
        "rx": "6",
    }
    ET.SubElement(
        group, "rect", size | ({"stroke-dasharray": "4 3"} if place.kind == "slurm" else {})
    )
    inside = width - 2 * _PADDING
    base = box.top + _PADDING + 11
    bold = {"x": str(box.left + _PADDING), "y": str(base), "font-weight": "600", "font-size": "13"}
    room = int((inside - _NARROW * (len(place.tag) + 1)) / _WIDE)
    _write(group, place.name, room, bold)
    right = {
        "x": str(box.left + width - _PADDING),
        "y": str(base),
        "text-anchor": "end",
        "class": "tag",
    }
    _write(group, place.tag, len(place.tag), right)
    for number, line in enumerate(place.lines, start=1):
        at = {"x": str(box.left + _PADDING), "y": str(base + number * _LINE)}
        _write(group, line, int(inside / _NARROW), at)


def _write(group: ET.Element, words: str, room: int, attributes: dict[str, str]) -> None:
    """Write a line, cut to its room; the whole of it then stands in a tooltip."""
    element = ET.SubElement(group, "text", {"fill": "currentColor", "stroke": "none", **attributes})
    if len(words) <= room:
        element.text = words
        return
    tooltip = ET.SubElement(element, "title")
    tooltip.text = words
    tooltip.tail = words[: room - 1] + "…"
