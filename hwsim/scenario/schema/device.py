"""Devices of a node, with the fields that ``hwsim/hardware/kinds`` states for each kind: a new kind is one new file.

Every device is ``{like: PRODUCT, …}``: the fields given here change the product, the others come from the catalogue.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import create_model

from hwsim.hardware.curve import Shape, is_curve
from hwsim.part import Parts
from hwsim.scenario.schema.quantity import Count0, Quantity, Reader, Text
from hwsim.scenario.schema.record import Promised, Record
from hwsim.scenario.schema.short import PRICES, Spread
from hwsim.units import expected, parse


class Device(Record):
    """A product from the catalogue (``like``), some of them (``count``), with changed fields."""

    like: Text | None = None
    count: Count0 | None = None
    architecture: Text | None = None

    if TYPE_CHECKING:
        # The other fields follow from the kind; see hwsim/hardware/kinds.
        def __getattr__(self, name: str) -> Any: ...


def _raid(value: Any) -> str:
    if str(value) not in {"0", "none"}:
        raise ValueError(f"{str(value)[:20]!r} is not a way to join drives; expected 0 or none")
    return str(value)


_RAID = Annotated[str, Reader(_raid, {"enum": [0, "0", "none"], "description": "0 stripes over all drives"})]
# How the devices of a node are joined is no figure of the product, so it stands here.
_JOINED: dict[str, dict[str, Any]] = {
    "gpu": {"bridge": Literal["none", "mesh", "nvlink", "nvswitch", "pcie"]},
    "ssd": {"raid": _RAID},
}


def fields_of(kind: str) -> dict[str, Any]:
    """The fields of a device kind as pydantic wants them; ``hbm.bandwidth`` becomes a mapping ``hbm``."""
    fields = _nested(kind.title(), Parts("hwsim.hardware.kinds").get(kind))
    return fields | {name: (_optional(hint), None) for name, hint in _JOINED.get(kind, {}).items()}


def device(kind: str, base: type[Record] = Device, **more: Any) -> Any:
    """The type of a device of that kind, made when a scenario first describes one."""

    def build() -> type[Record]:
        document = base.__doc__ if base is not Device else Parts("hwsim.hardware.kinds").module(kind).__doc__
        return create_model(
            kind.title(), __base__=base, __doc__=document, __module__=__name__, **fields_of(kind), **more
        )

    return Annotated[base, Promised(build)]


def _number(dimension: str) -> Any:
    return Annotated[float, Quantity(dimension)]


def _points(title: str, text: str) -> Any:
    """Measured points as lists of equal length, one for each column."""
    columns: dict[str, Any] = {name: (_column(dimension), ...) for name, dimension in Shape.of(text).columns}
    model: Any = create_model(title, __base__=Record, __doc__="Measured points, column by column.", **columns)
    return model


def _column(dimension: str) -> Any:
    def read(value: Any) -> list[float]:
        if not isinstance(value, list) or not value:
            raise ValueError(f"points are a list of quantities; expected [{expected(dimension)}, ...]")
        return [float(parse(item, dimension)) for item in value]

    return Annotated[list[float], Reader(read, {"type": "array", "items": {"type": ["string", "number"]}})]


def _optional(hint: Any) -> Any:
    return hint | None


def _nested(title: str, dimensions: dict[str, str]) -> dict[str, Any]:
    """Dotted names with their dimensions as fields of records within records."""
    groups: dict[str, dict[str, str]] = {}
    fields: dict[str, Any] = {}
    for name, dimension in dimensions.items():
        first, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(first, {})[rest] = dimension
        else:
            hint = _points(f"{title}_{first}", dimension) if is_curve(dimension) else _number(dimension)
            fields[first] = (_optional(hint), None)
    for name, inner in groups.items():
        part = f"{title}_{name}"
        model = create_model(part, __base__=Record, __module__=__name__, **_nested(part, inner))
        hint: Any = Annotated[model, Spread("median")] if set(PRICES) == set(inner) else model
        fields[name] = (_optional(hint), None)
    return fields
