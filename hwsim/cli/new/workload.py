"""A workload that resembles a trace: figures in YAML that one may publish, and none of the trace's rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsim.cli.new import Wish
from hwsim.errors import ScenarioError

FILE = "{name}.yaml"
_COMPARED = (
    ("requests per second", "rate_per_s"),
    ("gaps, std / mean", "gap_cv"),
    ("counts per second, variance / mean", "dispersion_1s"),
    ("counts per minute, variance / mean", "dispersion_60s"),
    ("input tokens, mean", "input_tokens.mean"),
    ("input tokens, p99", "input_tokens.p99"),
    ("output tokens, mean", "output_tokens.mean"),
    ("output tokens, p99", "output_tokens.p99"),
    ("rank correlation", "rank_correlation"),
    ("prefix hits, of prompt tokens", "prefix_hit_tokens"),
)


def workload(wish: Wish) -> str:
    """The fitted section with a table of the trace's figures and its own."""
    import yaml

    from hwsim.workload.fit import fitted, regenerated
    from hwsim.workload.trace import Trace, locate

    if wish.fit is None:
        raise ScenarioError.of(
            "a workload is fitted to a trace", where="hwsim new workload", expected="--fit TRACE (a name or a file)"
        )
    path = Path(wish.fit) if Path(wish.fit).is_file() else locate(wish.fit, Path.cwd())
    spec, found = fitted(Trace(path))
    again = regenerated(spec)
    lines = [
        f"# Fitted to {path.name}: it has the trace's statistics and none of its rows.",
        f"# Use it from a scenario: extends: {wish.file}",
        "#",
        f"#   {'':<36} {'trace':>12} {'this, seed 0':>14}",
    ]
    lines += [
        f"#   {title:<36} {_shown(one):>12} {_shown(_at(again, key)):>14}"
        for title, key in _COMPARED
        if (one := _at(found, key)) is not None
    ]
    if found["rate_per_s"] is None:
        lines.append("#   The trace has no times: the rate below is a placeholder.")
    text = yaml.safe_dump({"workload": spec}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return "\n".join(lines) + "\n" + text


def _at(facts: dict[str, Any], key: str) -> float | None:
    head, _, tail = key.partition(".")
    value = facts.get(head)
    return value[tail] if tail and value is not None else value


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"


PART = workload
