"""A picture of a site as SVG: the user, jump hosts, login nodes and the machines behind them.

The picture is a tree. Each machine is below the one that it is reached through, and further to the
right, so the picture fits on a narrow screen with any number of machines. It uses the colours of
the page around it.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field

from generator.schema.batch import SCHEDULER_NAMES
from generator.schema.hosts import Compute, Host
from generator.schema.site import SiteSpec
from site_pages.labels import ROLES, login

# In units of the viewBox; a chart of the overview has the same width.
_WIDTH, _INDENT, _GAP, _PADDING, _LINE = 372, 22, 12, 10, 17
# Width of a letter in the first line of a box, and in its other lines.
_WIDE, _NARROW = 7.4, 6.7


@dataclass
class Node:
    """A box of the picture, and the boxes that are reached through it."""

    kind: str
    name: str
    tag: str
    lines: list[str] = field(default_factory=list)
    behind: list["Node"] = field(default_factory=list)


@dataclass(frozen=True)
class _Box:
    node: Node
    depth: int
    top: int

    @property
    def left(self) -> int:
        return 1 + self.depth * _INDENT

    @property
    def width(self) -> int:
        return _WIDTH - 1 - self.left

    @property
    def height(self) -> int:
        return 2 * _PADDING + _LINE * (1 + len(self.node.lines)) - 4

    @property
    def middle(self) -> int:
        return self.top + self.height // 2


def tree(site: SiteSpec) -> Node:
    """Return the node of the user, with all machines behind it."""
    user = Node("you", "you", "your machine")
    hosts = {alias: _host(site, alias, host) for alias, host in site.hosts.items()}
    # A machine may be reached through one of the nodes of a host.
    by_alias = {machine.alias: hosts[machine.entry] for machine in site.machines()}
    for alias, host in site.hosts.items():
        nearer = user
        if host.via:
            nearer = by_alias[host.via]
        nearer.behind.append(hosts[alias])
    for alias, job in site.jobs.items():
        node = Node("job", alias, "Slurm job", ["started by logging in"])
        by_alias[job.through].behind.append(node)
    for group in site.compute.values():
        by_alias[group.through].behind.append(_compute(group))
    # A site without compute nodes that users log in to has some all the same.
    if not site.compute:
        node = _scheduled_nodes(site)
        hosts[site.usual_host.entry].behind.append(node)
    return user


def _scheduled_nodes(site: SiteSpec) -> Node:
    """Return the node for the compute nodes that only jobs reach."""
    if site.scheduler == "slurm":
        return Node("slurm", "compute nodes", "by Slurm", ["sbatch, srun"])
    name = SCHEDULER_NAMES[site.scheduler]
    lines: list[str] = []
    if site.batch.submit:
        lines.append(site.batch.submit)
    return Node("slurm", "compute nodes", f"by {name}", lines)


def _host(site: SiteSpec, alias: str, host: Host) -> Node:
    lines = [host.host, login(site.auth_of(host))]
    if host.nodes:
        lines.append(f"nodes {host.nodes.alias.replace('{n}', f'[{host.nodes.n}]')}")
    if host.network:
        lines.append(host.network)
    return Node(host.role, alias, f"{ROLES[host.role]}, port {host.port}", lines)


def _compute(group: Compute) -> Node:
    names: list[str] = []
    for name in group.match:
        # `!name` leaves a machine out (ssh_config(5), PATTERNS).
        if not name.startswith("!"):
            names.append(name)
    lines: list[str] = []
    if group.host:
        lines.append(group.host)
    return Node("compute", " ".join(names), f"compute, port {group.port}", lines)


def description(root: Node) -> str:
    """Return the picture as text, for screen readers."""
    sentences = []
    for node in _all_nodes(root):
        if node.behind:
            targets = ", ".join(map(_label, node.behind))
            sentences.append(f"from {node.name} to {targets}")
    return "; ".join(sentences) + "."


def _label(node: Node) -> str:
    return f"{node.name} ({', '.join([node.tag, *node.lines])})"


def _all_nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.behind:
        yield from _all_nodes(child)


def picture(site: SiteSpec) -> str:
    """Return the picture of a site as an SVG element."""
    root = tree(site)
    boxes = list(_boxes(root, 0, 1))
    height = boxes[-1].top + boxes[-1].height + 1
    # Headings have ids too, and each id must be unique in the page (html.spec.whatwg.org).
    title_id, description_id = f"way-in-{site.site}-title", f"way-in-{site.site}-words"
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "role": "img",
            "aria-labelledby": f"{title_id} {description_id}",
            "fill": "none",
            "stroke": "currentColor",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
        },
    )
    ET.SubElement(svg, "title", {"id": title_id}).text = f"The route to {site.title}"
    ET.SubElement(svg, "desc", {"id": description_id}).text = description(root)
    # By identity: two nodes may have the same texts.
    box_of = {id(box.node): box for box in boxes}
    for box in boxes:
        start = box.top + box.height
        for child in box.node.behind:
            start = _draw_arrow(svg, box.left + _INDENT // 2, start, box_of[id(child)])
    # After the arrows, which SVG would draw over the boxes otherwise.
    for box in boxes:
        _draw_box(svg, box)
    ET.indent(svg, " ")
    return ET.tostring(svg, encoding="unicode")


def _boxes(node: Node, depth: int, top: int) -> Iterator[_Box]:
    box = _Box(node, depth, top)
    yield box
    top += box.height + _GAP
    for child in node.behind:
        for below in _boxes(child, depth + 1, top):
            yield below
            top = below.top + below.height + _GAP


def _draw_arrow(svg: ET.Element, x: int, start: int, end: _Box) -> int:
    """Draw the arrow to a box, and return the y at which the arrow to the next box starts."""
    y = end.middle
    bend = f"M{x} {start}V{y - 6}q0 6 6 6H{end.left - 1}"
    head = f"M{end.left - 6} {y - 4}L{end.left - 1} {y}L{end.left - 6} {y + 4}"
    ET.SubElement(svg, "path", {"class": "way", "d": bend + head, "stroke-opacity": "0.6"})
    return y - 6


def _draw_box(svg: ET.Element, box: _Box) -> None:
    node = box.node
    group = ET.SubElement(svg, "g", {"class": f"place {node.kind}"})
    frame = {
        "x": str(box.left),
        "y": str(box.top),
        "width": str(box.width),
        "height": str(box.height),
        "rx": "6",
    }
    # Dashes: only jobs reach these, and no login.
    if node.kind == "slurm":
        frame["stroke-dasharray"] = "4 3"
    ET.SubElement(group, "rect", frame)
    # The name may take the room that the tag leaves, and a space between.
    inside = box.width - 2 * _PADDING
    x, y = str(box.left + _PADDING), box.top + _PADDING + 11
    room = int((inside - _NARROW * (len(node.tag) + 1)) / _WIDE)
    name = {"x": x, "y": str(y), "font-weight": "600", "font-size": "13"}
    _write(group, node.name, room, name)
    tag = {"x": str(box.left + box.width - _PADDING), "y": str(y)}
    _write(group, node.tag, len(node.tag), {**tag, "text-anchor": "end", "class": "tag"})
    for number, line in enumerate(node.lines, start=1):
        _write(group, line, int(inside / _NARROW), {"x": x, "y": str(y + number * _LINE)})


def _write(group: ET.Element, line: str, room: int, attributes: dict[str, str]) -> None:
    """Write a line. If it is cut, a tooltip shows all of it."""
    element = ET.SubElement(group, "text", {"fill": "currentColor", "stroke": "none", **attributes})
    if len(line) <= room:
        element.text = line
        return
    tooltip = ET.SubElement(element, "title")
    tooltip.text = line
    tooltip.tail = line[: room - 1] + "…"
