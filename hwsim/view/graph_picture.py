"""A picture of a task graph as SVG: a lane per stream, a box per task name, an arrow for what let what begin."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from hwsim.view._figure import BLUE, GREEN, GREY, ORANGE, PURPLE, SAND, TEAL

COLOURS = {"compute": ORANGE, "copy": BLUE, "collective": PURPLE, "host": SAND, "allocate": TEAL, "free": GREEN}
WIDE, HIGH, GAP, LANE, LEFT = 132, 34, 46, 74, 120
MOST_BOXES = 60


def picture(spans: Mapping[str, Any]) -> str:
    """The SVG, empty if there is nothing to draw; tasks of one name on one stream are one box with their number."""
    boxes: dict[tuple[str, str], int] = {}
    kinds: dict[tuple[str, str], str] = {}
    arrows: dict[tuple[tuple[str, str], tuple[str, str]], int] = {}
    key_of: dict[int, tuple[str, str]] = {}
    columns = (spans["span"], spans["track"], spans["name"], spans["kind"], spans["after"])
    for span, track, name, kind, cause in zip(*columns, strict=True):
        key = key_of[int(span)] = (str(track), str(name))
        boxes[key] = boxes.get(key, 0) + 1
        kinds[key] = str(kind)
        before = key_of.get(int(cause))
        if before is not None and before != key:
            arrows[before, key] = arrows.get((before, key), 0) + 1
    if not boxes or len(boxes) > MOST_BOXES:
        return ""
    lanes = {track: lane for lane, track in enumerate(dict.fromkeys(track for track, _ in boxes))}
    column = {key: number for number, key in enumerate(boxes)}
    width = LEFT + len(boxes) * (WIDE + GAP) + 20
    parts = [_lane(track, lane, width) for track, lane in lanes.items()]
    most = max(arrows.values(), default=1)
    parts += [_arrow(a, b, count / most, lanes, column) for (a, b), count in arrows.items()]
    parts += [_box(key, boxes[key], kinds[key], lanes, column) for key in boxes]
    head = '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    head += f'<path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/></marker></defs>'
    height = len(lanes) * LANE + 16
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{head}{"".join(parts)}</svg>'
    )


def _place(key: tuple[str, str], lanes: Mapping[str, int], column: Mapping[tuple[str, str], int]) -> tuple[int, int]:
    return LEFT + column[key] * (WIDE + GAP), lanes[key[0]] * LANE + 26


def _lane(track: str, lane: int, width: int) -> str:
    y = lane * LANE + 26 + HIGH // 2
    return (
        f'<line x1="{LEFT - 12}" y1="{y}" x2="{width}" y2="{y}" stroke="{GREY}" stroke-opacity=".25"/>'
        f'<text x="0" y="{y + 4}" font-size="12" fill="currentColor">{escape(track[:18])}</text>'
    )


def _box(key: tuple[str, str], count: int, kind: str, lanes: Mapping[str, int], column: Mapping[Any, int]) -> str:
    x, y = _place(key, lanes, column)
    times = f" ×{count:,}" if count > 1 else ""
    return (
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="7" fill="{COLOURS.get(kind, GREY)}"/>'
        f'<text x="{x + WIDE / 2}" y="{y + 21}" font-size="12" text-anchor="middle" fill="#fff">'
        f"{escape(key[1][:16])}{times}</text>"
    )


def _arrow(
    start: tuple[str, str], end: tuple[str, str], weight: float, lanes: Mapping[str, int], column: Mapping[Any, int]
) -> str:
    (x0, y0), (x1, y1) = _place(start, lanes, column), _place(end, lanes, column)
    if x1 > x0:
        x0, y0, y1 = x0 + WIDE, y0 + HIGH // 2, y1 + HIGH // 2
        bend = f"C{x0 + GAP} {y0} {x1 - GAP} {y1} {x1} {y1}"
    else:  # back to an earlier box: the next iteration
        x0, x1 = x0 + WIDE // 2, x1 + WIDE // 2
        bend = f"C{x0} {y0 - 26} {x1} {y1 - 26} {x1} {y1}"
    return (
        f'<path d="M{x0} {y0} {bend}" fill="none" stroke="{GREY}" stroke-width="{1 + 1.5 * weight:.1f}" '
        'marker-end="url(#tip)"/>'
    )
