"""Annotated types of the schema: quantities with units, names, truth values; each reads text and says what it wants."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from hwsim.scenario.tree import natural
from hwsim.units import expected, is_range, parse, parse_bounds, parse_range


class Reader:
    """A type read by one function, which raises ``ValueError`` with a sentence; ``free`` types take anything."""

    def __init__(self, read: Callable[[Any], Any], json: dict[str, Any], *, free: bool = False) -> None:
        self.read = read
        self.json = json
        self.free = free

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def validate(value: Any) -> Any:
            try:
                return self.read(value)
            except ValueError as error:
                raise PydanticCustomError("value", "{text}", {"text": str(error)}) from None

        return core_schema.no_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.json)


class Quantity(Reader):
    """A quantity of one dimension, between ``least`` and ``most`` in base units, or one of a few ``words``."""

    def __init__(
        self,
        dimension: str,
        *,
        least: float = 0,
        above: float | None = None,
        most: float = math.inf,
        bare: bool = False,
        words: tuple[str, ...] = (),
    ) -> None:
        self.dimension = dimension
        self.least, self.above, self.most = least, above, most
        self.bare, self.words = bare, words
        forms: list[dict[str, Any]] = [{"type": "string"}]
        if dimension in {"tokens", "count"}:
            forms.insert(0, {"type": "integer", "minimum": least})
        elif bare or dimension in {"share", "ratio", "number"}:
            forms.insert(0, {"type": "number"})
        hint = expected(dimension) + "".join(f", or {word}" for word in words)
        super().__init__(self._read, {"anyOf": forms, "description": hint})

    def _read(self, value: Any) -> float | int | str:
        if isinstance(value, str) and value in self.words:
            return str(value)
        if value is None:
            raise ValueError(f"nothing is given; expected {self._wanted()}")
        try:
            number = parse(value, self.dimension, bare=self.bare, negative=self.least < 0)
        except ValueError as error:
            raise ValueError(str(error) + "".join(f", or {word}" for word in self.words)) from None
        too_low = number < self.least or (self.above is not None and number <= self.above)
        if too_low or number > self.most:
            raise ValueError(f"{value} is too {'small' if too_low else 'large'}; expected {self._wanted()}")
        return number

    def _wanted(self) -> str:
        bounds = f" above {self.above:g}" if self.above is not None else ""
        bounds += f" of at least {self.least:g}" if self.least > 0 else ""
        bounds += f" of at most {self.most:g}" if self.most < math.inf else ""
        return expected(self.dimension) + (f" ({bounds.strip()})" if bounds else "")


def _text(value: Any) -> str:
    if value is None:
        raise ValueError("nothing is given; expected text")
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{_brief(value)} is not text")
    return str(value)


def _flag(value: Any) -> bool:
    seen = natural(value)
    if isinstance(seen, bool):
        return seen
    word = str(value).casefold()
    if word in {"on", "yes", "y", "off", "no", "n"}:
        meant = "true" if word in {"on", "yes", "y"} else "false"
        raise ValueError(f"{value} means different things to different YAML readers; expected {meant}")
    raise ValueError(f"{_brief(value)} is not a truth value; expected true or false")


_NAME = re.compile(r"[a-z][a-z0-9_-]*")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"{_brief(value)} is not a name; expected small letters, digits, - and _, a letter first")
    return str(value)


_AT = re.compile(r"[a-z][a-z0-9_-]*(\[[0-9:, ]+\])?(/[a-z][a-z0-9_-]*(\[[0-9:, ]+\])?)?")


def _at(value: Any) -> str:
    if not isinstance(value, str) or not _AT.fullmatch(value):
        raise ValueError(
            f"{_brief(value)} is not a place; expected group, group/device or device, such as fast/gpu[0:4]"
        )
    return str(value)


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _raw(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _raw(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_raw(item) for item in value]
    return natural(value)


def _axis(value: Any) -> list[Any]:
    if is_range(value):
        return parse_range(value)
    if isinstance(value, dict):
        raise ValueError("a mapping is not an axis; expected a range such as 1..8 or a list (variants name mappings)")
    values = _raw(value) if isinstance(value, list) else [_raw(value)]
    if not values or values == [None]:
        raise ValueError("an axis needs at least one value; expected a range such as 1..8 or a list")
    return values


def _whole_list(value: Any) -> list[int]:
    if not isinstance(value, list):
        raise ValueError(f"{_brief(value)} is not a list of whole numbers")
    return [int(parse(item, "count")) for item in value]


def _flag_or_sizes(value: Any) -> bool | list[int]:
    return _whole_list(value) if isinstance(value, list) else _flag(value)


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_brief(value)} is not a list of numbers")
    return [float(parse(item, "number")) for item in value]


def _shares(value: Any) -> list[float]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_brief(value)} is not a list of shares; expected [0, 50 %, 1]")
    return [float(parse(item, "share")) for item in value]


def _rates(value: Any) -> list[float]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{_brief(value)} is not a list of rates; expected [5 /s, 20 /s, 5 /s]")
    return [float(parse(item, "1/s")) for item in value]


def _correlation(value: Any) -> float:
    number = float(parse(value, "number", negative=True))
    if not -1 <= number <= 1:
        raise ValueError(f"{value} is no correlation; expected a number from -1 to 1")
    return number


Text = Annotated[str, Reader(_text, {"type": ["string", "number"]})]
Name = Annotated[str, Reader(_name, {"type": "string", "pattern": _NAME.pattern})]
At = Annotated[str, Reader(_at, {"type": "string", "description": "group[/device[slice]], such as fast/gpu[0:4]"})]
Flag = Annotated[bool, Reader(_flag, {"type": "boolean"})]
Raw = Annotated[Any, Reader(_raw, {}, free=True)]
Axis = Annotated[list[Any], Reader(_axis, {"description": "a range (1..8, 1..8 step 2, 1..64 x2) or a list"})]
Bounds = Annotated[
    tuple[Any, Any], Reader(parse_bounds, {"type": "string", "description": "two ends, such as 0.05..4"})
]
FlagOrSizes = Annotated[
    bool | list[int],
    Reader(_flag_or_sizes, {"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "integer"}}]}),
]
Numbers = Annotated[list[float], Reader(_numbers, {"type": "array", "items": {"type": "number"}})]
Shares = Annotated[list[float], Reader(_shares, {"type": "array", "items": {"type": ["number", "string"]}})]
Rates = Annotated[list[float], Reader(_rates, {"type": "array", "items": {"type": "string"}})]
Correlation = Annotated[float, Reader(_correlation, {"type": "number", "minimum": -1, "maximum": 1})]
Wholes = Annotated[list[int], Reader(_whole_list, {"type": "array", "items": {"type": "integer"}})]

Count = Annotated[int, Quantity("count", least=1)]
Count0 = Annotated[int, Quantity("count")]
Integer = Annotated[int, Quantity("count", least=-(2**63))]
Tokens = Annotated[int, Quantity("tokens", least=1)]
Tokens0 = Annotated[int, Quantity("tokens")]
Bytes = Annotated[int, Quantity("bytes")]
# For keys that name their unit themselves, as vLLM's do.
BareBytes = Annotated[int, Quantity("bytes", bare=True)]
Bandwidth = Annotated[float, Quantity("bytes/s", above=0)]
Seconds = Annotated[float, Quantity("s")]
Duration = Annotated[float, Quantity("s", above=0)]
Rate = Annotated[float, Quantity("1/s", above=0)]
Share = Annotated[float, Quantity("share")]
Number = Annotated[float, Quantity("number")]
Positive = Annotated[float, Quantity("number", above=0)]
Power = Annotated[float, Quantity("W")]
FlopRate = Annotated[float, Quantity("flop/s", above=0)]
Frequency = Annotated[float, Quantity("1/s", above=0)]
Money = Annotated[float, Quantity("usd")]
HourlyPrice = Annotated[float, Quantity("usd/h")]
