"""Two runs side by side as text: figures with their ratio, then the settings that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.metrics.difference import Row


def lines(
    one: Mapping[str, Any], two: Mapping[str, Any], rows: Sequence[Row], changed: Sequence[tuple[str, Any, Any]]
) -> list[str]:
    """A table of names, both figures and the second over the first."""
    names = [_cut(str(summary["name"])) for summary in (one, two)]
    if names[0] == names[1]:
        names = [f"{name[:13]} ({number})" for number, name in enumerate(names, 1)]
    out = [f"{'':<32}{names[0]:>18}{names[1]:>18}{'ratio':>10}"]
    out += [f"{name:<32}{_figure(a):>18}{_figure(b):>18}{_times(ratio):>10}" for name, a, b, ratio in rows]
    if changed:
        out += ["", "set differently:"]
        out += [f"  {path}: {_shown(a)} -> {_shown(b)}" for path, a, b in changed]
    same = one.get("digest") == two.get("digest")
    return [*out, "", "the results are the same to the last digit"] if same else out


def _cut(name: str) -> str:
    return name if len(name) <= 17 else name[:16] + "…"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int) or (abs(value) >= 1000 and value == value // 1):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}x" if ratio < 100 else f"{ratio:,.0f}x"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
