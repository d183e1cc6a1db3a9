"""Values drawn at random for the parameters of any registered kind, from what its fields say of themselves."""

from __future__ import annotations

import random
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hwsim.scenario.schema.quantity import Quantity
from hwsim.scenario.schema.record import Kind
from hwsim.scenario.schema.short import Choice
from hwsim.units import format_quantity

# Ranges that keep a case small, in base units; a field's own limits cut them further.
RANGES: dict[str, tuple[float, float]] = {
    "count": (1, 5),
    "tokens": (1, 60),
    "s": (0.001, 0.5),
    "1/s": (2, 60),
    "share": (0.05, 0.95),
    "number": (0.2, 3),
    "ratio": (0.2, 3),
    "bytes": (1 << 20, 1 << 30),
}


class Undrawable(Exception):
    """A field whose values only its author knows, such as the name of a file."""


def kinds(question: str, home: str = "") -> dict[str, type[Kind]]:
    """The parameter models of every registered kind of a question."""
    return Choice(question, home).models()


def drawn(model: type[Kind], rng: random.Random) -> dict[str, Any]:
    """Parameters of one kind: every field that must be given, and some of the others."""
    hints = get_type_hints(model, include_extras=True)
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name == "kind":
            values["kind"] = get_args(field.annotation)[0]
        elif field.is_required() or rng.random() < 0.3:
            try:
                values[field.alias or name] = value(hints[name], rng)
            except Undrawable:
                if field.is_required():
                    raise
    return values


def value(hint: Any, rng: random.Random) -> Any:
    """One value of an annotated type, as one would write it."""
    origin = get_origin(hint)
    if origin is Literal:
        return rng.choice(get_args(hint))
    marks = getattr(hint, "__metadata__", ())
    for mark in marks:
        if isinstance(mark, Quantity):
            return _quantity(mark, rng)
        if isinstance(mark, Choice):
            return drawn(rng.choice(list(mark.models().values())), rng)
    if origin is None and hint is bool:
        return rng.random() < 0.5
    arms = [arm for arm in get_args(hint) if arm is not type(None)]
    if origin is not None and arms and not marks and type(None) in get_args(hint):
        return value(arms[0], rng)
    raise Undrawable(str(hint))


def _quantity(mark: Quantity, rng: random.Random) -> Any:
    if mark.dimension not in RANGES:
        raise Undrawable(mark.dimension)
    low, high = RANGES[mark.dimension]
    low = max(low, mark.least, mark.above if mark.above is not None else low)
    high = max(low, min(high, mark.most))
    if mark.dimension in ("count", "tokens"):
        return rng.randint(int(low), int(high))
    number = rng.uniform(low, high)
    if mark.dimension in ("share", "number", "ratio"):
        return round(number, 3)
    return format_quantity(number, mark.dimension, digits=4)


def preset_names() -> list[str]:
    """Names that the ``preset`` kind of lengths takes."""
    from hwsim.workload.lengths.preset import names

    return names()
