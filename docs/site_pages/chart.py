"""A chart of numbers as SVG: one bar for each name, in the colours of the page around it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

# Widths in units of the viewBox; the picture of a site has the same width, so both look alike.
_WIDTH, _ROW, _NAMES, _NUMBERS = 372, 22, 120, 36


def bars(title: str, rows: Sequence[tuple[str, int]]) -> str:
    """Return a chart; its text for screen readers has all names and numbers."""
    height = _ROW * len(rows)
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "role": "img",
            "fill": "currentColor",
            "font-family": "system-ui, sans-serif",
            "font-size": "12",
        },
    )
    words = ", ".join(f"{name} {number}" for name, number in rows)
    ET.SubElement(svg, "title").text = f"{title}: {words}."
    longest = 1
    for _, number in rows:
        longest = max(longest, number)
    for index, (name, number) in enumerate(rows):
        middle = index * _ROW + _ROW / 2 + 4  # the base line of the letters
        _text(svg, str(_NAMES - 8), f"{middle:g}", name, "end")
        width = (_WIDTH - _NAMES - _NUMBERS) * number / longest
        ET.SubElement(
            svg,
            "rect",
            {
                "x": str(_NAMES),
                "y": str(index * _ROW + 4),
                "width": f"{width:.1f}",
                "height": str(_ROW - 8),
                "class": "bar",
            },
        )
        _text(svg, f"{_NAMES + width + 6:.1f}", f"{middle:g}", str(number), "start")
    return ET.tostring(svg, encoding="unicode")


def _text(svg: ET.Element, x: str, y: str, words: str, anchor: str) -> None:
    ET.SubElement(svg, "text", {"x": x, "y": y, "text-anchor": anchor}).text = words
