"""Two summaries as rows of figures with their ratio, and two resolved scenarios as the values that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

USUAL = (
    "request_throughput",
    "output_throughput",
    "output_throughput_per_gpu",
    "output_throughput_per_user",
    "goodput",
    "slo_attainment",
    *(f"{metric}_ms.{part}" for metric in ("ttft", "tpot", "itl", "e2e") for part in ("mean", "p50", "p99")),
    "mfu",
    "mbu",
    "joules_per_output_token",
    "cost_usd",
    "usd_per_million_output_tokens",
    "requests.completed",
    "requests.rejected",
    "gpus_owned",
    "steps",
)
Row = tuple[str, float | None, float | None, float | None]


def differences(one: Mapping[str, Any], two: Mapping[str, Any], *, every: bool = False) -> list[Row]:
    """(name, first, second, second over first) of the usual figures, or of all numbers of the summaries."""
    left, right = dict(_numbers(one)), dict(_numbers(two))
    names = list(dict.fromkeys([*left, *right])) if every else [name for name in USUAL if name in {**left, **right}]
    return [(name, left.get(name), right.get(name), _ratio(left.get(name), right.get(name))) for name in names]


def _numbers(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float | None]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{path}{key}.")
        elif value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            yield f"{path}{key}", value


def _ratio(one: float | None, two: float | None) -> float | None:
    return two / one if one and two is not None else None


def changes(one: str, two: str) -> list[tuple[str, Any, Any]]:
    """(path, first, second) of the values of two resolved scenarios that differ, in the order of the first."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    left, right = (dict(_leaves(yaml.load(text, Loader=loader) or {})) for text in (one, two))
    paths = dict.fromkeys([*left, *right])
    return [(path, left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)]


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, tree
