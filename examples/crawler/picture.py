"""The link graph as an SVG picture: pages on a circle, related ones side by side, a line for each link."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby

import attrs

from crawler.addresses import family_of, short_name
from crawler.sitemap import PageRow

SHOWN = 84
"""Pages that fit on the circle so that their names can be read."""

SIZE = 1080
RADIUS = 340
LONGEST_NAME = 24
GAP = 0.6
"""Room between two families, in pages."""


@attrs.frozen(kw_only=True)
class Node:
    """A page on the circle. angle: radians from the top, clockwise. hue: its family's, if it has one."""

    name: str
    angle: float
    dot: float
    hue: float | None

    @property
    def colour(self) -> str:
        return "var(--alone)" if self.hue is None else f"hsl({self.hue:.0f} 65% var(--light))"

    def at(self, radius: float) -> tuple[float, float]:
        """The point in this direction from the centre."""
        return radius * math.sin(self.angle), -radius * math.cos(self.angle)


def draw_links(pages: Sequence[PageRow], links: Iterable[tuple[str, str]]) -> str:
    """Draw the pages with the most links, without the start page, which links to all."""
    inner = [page for page in pages if page.words is not None and page.depth > 0]
    names = {page.url: short_name(page.url) for page in inner}
    between = [(a, b) for a, b in links if a in names and b in names and a != b]
    degree = Counter(url for link in between for url in link)
    shown = [url for url, _ in sorted(degree.items(), key=lambda found: (-found[1], found[0]))[:SHOWN]]
    nodes = place({url: names[url] for url in shown}, Counter(target for _, target in between))
    drawn = [(a, b) for a, b in between if a in nodes and b in nodes]
    return svg(nodes, drawn)


def place(names: dict[str, str], links_in: Counter[str]) -> dict[str, Node]:
    """Put the pages on the circle, by family and name, with a gap between families."""
    urls = sorted(names, key=lambda url: (family_of(url), names[url]))
    families = {family: len(list(members)) for family, members in groupby(urls, family_of)}
    large = [family for family, size in families.items() if size > 1]
    step = 2 * math.pi / max(1.0, len(urls) + GAP * len(families))
    most = max([links_in[url] for url in urls], default=1) or 1
    nodes: dict[str, Node] = {}
    for number, family in enumerate(families):
        for url in (url for url in urls if family_of(url) == family):
            nodes[url] = Node(
                name=names[url],
                angle=step * (len(nodes) + GAP * number),
                dot=2.5 + 9 * math.sqrt(links_in[url] / most),
                hue=360 * large.index(family) / len(large) if family in large else None,
            )
    return nodes


def svg(nodes: dict[str, Node], links: list[tuple[str, str]]) -> str:
    """Lines first, so that dots and names lie on top; pointing at a page shows where it leads."""
    targets = {url: [nodes[b] for a, b in links if a == url] for url in nodes}
    parts = "\n".join(_page(node, targets[url]) for url, node in nodes.items())
    half = SIZE / 2
    return (
        f'<svg viewBox="{-half} {-half} {SIZE} {SIZE}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>Which pages link to which</title>\n{parts}\n</svg>"
    )


def _page(node: Node, targets: list[Node]) -> str:
    lines = "".join(f'<path d="{_line(node, target)}"/>' for target in targets)
    x, y = node.at(RADIUS)
    return (
        f'<g class="page" style="--colour: {node.colour}"><g class="lines">{lines}</g>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{node.dot:.1f}"/>{_label(node)}</g>'
    )


def _line(source: Node, target: Node) -> str:
    """A curve that is the closer to the centre the farther apart the two pages are."""
    (x1, y1), (x2, y2) = source.at(RADIUS), target.at(RADIUS)
    pull = (math.hypot(x1 + x2, y1 + y2) / 2 / RADIUS) ** 2
    x, y = pull * (x1 + x2) / 2, pull * (y1 + y2) / 2
    return f"M{x1:.0f} {y1:.0f}Q{x:.0f} {y:.0f} {x2:.0f} {y2:.0f}"


def _label(node: Node) -> str:
    """The name, outside of the dot, never upside down."""
    degrees = math.degrees(node.angle) - 90
    is_left = 90 < degrees % 360 < 270
    distance = RADIUS + 14
    turn = f"rotate({degrees:.1f}) translate({distance} 0)" + (" rotate(180)" if is_left else "")
    anchor = "end" if is_left else "start"
    return f'<text transform="{turn}" text-anchor="{anchor}" dy=".35em">{escape(_cut(node.name))}</text>'


def _cut(name: str) -> str:
    """The end of a name tells more than its beginning."""
    return name if len(name) <= LONGEST_NAME else f"…{name[1 - LONGEST_NAME :]}"
