"""Quantities with units: text such as ``80 GiB``, ``3.35 TB/s`` or ``12 us`` to plain numbers in base units and back.

A *dimension* is a name (``bytes``, ``s``, ``flop``, ``W``, ``J``, ``usd``, ``tokens``, ``count``, ``share``,
``ratio``) or a quotient of two (``bytes/s``, ``1/s``, ``usd/h``, ``J/flop``); the dimension's own name is its base
unit.  Simplification: a unit is one prefix and one symbol with at most one divisor; there is no unit algebra.
Bare numbers are counts or ratios; a quantity that has a unit must be written with it.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

TICKS_PER_SECOND = 10**12
MAX_RANGE = 10_000

_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
_SMALL = {"m": "1e-3", "u": "1e-6", "µ": "1e-6", "μ": "1e-6", "n": "1e-9", "p": "1e-12"}


def _scaled(symbols: list[str], *, binary: bool = False, small: bool = False, base: str = "1") -> dict[str, Decimal]:
    """Symbols with every prefix, each with its factor to the base unit."""
    prefixes: dict[str, Decimal] = {prefix: Decimal(factor) for prefix, factor in _DECIMAL.items()}
    prefixes["K"] = Decimal(1000)
    if binary:
        prefixes |= {prefix: Decimal(factor) for prefix, factor in _BINARY.items()}
    if small:
        prefixes |= {prefix: Decimal(factor) for prefix, factor in _SMALL.items()}
    return {prefix + symbol: factor * Decimal(base) for symbol in symbols for prefix, factor in prefixes.items()}


def _words(text: str) -> dict[str, Decimal]:
    return dict.fromkeys(text.split(), Decimal(1))


_TIME = {"s": Decimal(1), "sec": Decimal(1), "min": Decimal(60), "h": Decimal(3600), "hour": Decimal(3600)}
_TIME |= {"d": Decimal(86400), "day": Decimal(86400), "ms": Decimal("1e-3"), "year": Decimal(365 * 86400)}
_TIME |= {prefix + "s": Decimal(factor) for prefix, factor in _SMALL.items()}

_COUNT = _words("1 req reqs request requests sequence sequences")
_TOKENS = _words("token tokens tok")
_RATIO = {"": Decimal(1), "x": Decimal(1), "%": Decimal("0.01")}

# Symbols of each dimension; the factor leads to the dimension's base unit.
_UNITS: dict[str, dict[str, Decimal]] = {
    "bytes": _scaled(["B"], binary=True) | _scaled(["bit"], base="0.125") | _words("byte bytes"),
    "s": _TIME,
    "h": {unit: factor / 3600 for unit, factor in _TIME.items()},
    "flop": _scaled(["FLOP", "FLOPs", "OP", "OPs", "op", "ops"]),
    "W": _scaled(["W"], small=True),
    "J": _scaled(["J"], small=True) | _scaled(["Wh"], base="3600"),
    "usd": _scaled(["usd"]) | _scaled(["USD"]) | {"$": Decimal(1)},
    "tokens": _TOKENS | {"": Decimal(1)},
    "count": _COUNT | {"": Decimal(1)},
    "number": {"": Decimal(1)},
    "share": _RATIO,
    "ratio": _RATIO,
    "1": _COUNT | _TOKENS | {"": Decimal(1), "IO": Decimal(1), "IOs": Decimal(1)},
}
# Whole units that are quotients in disguise.
_RATES: dict[str, dict[str, Decimal]] = {
    "bytes/s": {
        **_scaled(["Bps"], binary=True),
        **_scaled(["bps", "b/s", "bit/s"], base="0.125"),
    },
    "flop/s": _scaled(["FLOPS", "OPS"]),
    "1/s": _scaled(["Hz", "IOPS"]),
}
_WHOLE = frozenset({"bytes", "tokens", "count"})
_EXAMPLES = {
    "bytes": "80 GiB, 80 GB or 512 MB",
    "bytes/s": "3.35 TB/s, 64 GB/s or 400 Gb/s",
    "s": "2 s, 50 ms or 12 us",
    "1/s": "10 /s or 600 /min",
    "flop": "2 TFLOP",
    "flop/s": "989 TFLOP/s or 1 PFLOPS",
    "W": "700 W",
    "J": "3 kJ or 1 kWh",
    "usd": "30000 usd",
    "usd/h": "2.5 usd/h",
    "share": "0.5 or 50 %",
    "ratio": "0.5 or 50 %",
    "tokens": "a whole number such as 4096",
    "count": "a whole number such as 256",
    "number": "a number",
}
_NUMBER = re.compile(r"([+-]?)((?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d{1,4})?)\s*(.*)", re.DOTALL)


def expected(dimension: str) -> str:
    """What a value of the dimension looks like, for messages and documentation."""
    return _EXAMPLES.get(dimension, f"a number in {dimension}")


def parse(value: object, dimension: str, *, negative: bool = False, bare: bool = False) -> float | int:
    """A quantity as a number in the base unit of ``dimension``.

    ``value`` is text with a unit, or a plain number where the dimension is a count or a ratio (``bare=True`` also
    takes plain numbers, in base units).  Bytes, tokens and counts come back as ``int``, all else as ``float``.
    Raises ``ValueError`` with a sentence for a missing or wrong unit, NaN, infinity, a share outside 0..1 and, unless
    ``negative``, for numbers below zero.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"{_show(value)} is not a quantity; expected {expected(dimension)}")
    text = value.strip() if isinstance(value, str) else str(value)
    number, unit = _split(text, dimension)
    amount = number * _factor(unit, dimension, text, bare)
    result = float(amount)
    if not math.isfinite(result):
        raise ValueError(f"{_show(text)} is too large")
    if result < 0 and not negative:
        raise ValueError(f"{_show(text)} is negative; expected {expected(dimension)}")
    if dimension == "share" and result > 1:
        raise ValueError(f"{_show(text)} is more than the whole; expected a share between 0 and 1, such as 0.5 or 50 %")
    if dimension in _WHOLE:
        if dimension != "bytes" and amount != amount.to_integral_value():
            raise ValueError(f"{_show(text)} is not whole; expected {expected(dimension)}")
        return int(amount.to_integral_value())
    return result


def _show(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _split(text: str, dimension: str) -> tuple[Decimal, str]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        if text.casefold().lstrip("+-.") in {"nan", "inf", "infinity"}:
            raise ValueError(f"{_show(text)} is not a finite number; expected {expected(dimension)}")
        raise ValueError(f"{_show(text)} is not a number; expected {expected(dimension)}")
    sign, digits, unit = match.groups()
    if len(digits) > 400:
        raise ValueError(f"{_show(text)} has too many digits")
    try:
        number = Decimal(digits.replace("_", ""))
    except InvalidOperation as error:
        raise ValueError(f"{_show(text)} is not a number; expected {expected(dimension)}") from error
    return (-number if sign == "-" else number), unit.strip()


def _factor(unit: str, dimension: str, text: str, bare: bool) -> Decimal:
    """How many base units of ``dimension`` one ``unit`` is."""
    squeezed = re.sub(r"\s*/\s*", "/", unit)
    if bare and not squeezed:
        return Decimal(1)
    if squeezed in _RATES.get(dimension, {}):
        return _RATES[dimension][squeezed]
    top, slash, bottom = dimension.partition("/")
    over, unit_slash, under = squeezed.partition("/")
    above, below = _UNITS[top], _UNITS.get(bottom, {})
    if slash and unit_slash and over in above and under in below:
        return above[over] / below[under]
    if not slash and not unit_slash and squeezed in above:
        return above[squeezed]
    if not squeezed:
        raise ValueError(f"{_show(text)} has no unit; expected {expected(dimension)}")
    raise ValueError(f"{_show(text)} has the wrong unit {_show(unit)}; expected {expected(dimension)}{_hint(unit)}")


def _hint(unit: str) -> str:
    if unit in {"k", "K", "M", "G", "T"}:
        return " (a lone prefix is not a unit: k may mean 1000 or 1024)"
    if unit.casefold() in {"gb", "mb", "kb", "tb", "gib", "mib", "kib", "tib"}:
        return " (B is a byte, b is a bit)"
    return ""


def ticks(seconds: float) -> int:
    """Seconds rounded once to integer picoseconds, the unit of simulated time."""
    return round(seconds * TICKS_PER_SECOND)


def seconds(ticks: int) -> float:
    """Picoseconds as seconds."""
    return ticks / TICKS_PER_SECOND


_STEPS = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
_TIME_STEPS = (("h", 3600.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("ps", 1e-12))
_SYMBOLS = {"bytes": "B", "bytes/s": "B/s", "flop": "FLOP", "flop/s": "FLOP/s", "W": "W", "J": "J"}


def format_quantity(value: float, dimension: str, digits: int = 4) -> str:
    """A number in base units as text that :func:`parse` reads back, to ``digits`` significant digits.

    Bytes that are a whole number of binary units (80 GiB) are written so; all else takes decimal prefixes.
    """
    if dimension == "s":
        return _with_step(value, _TIME_STEPS, "", digits)
    if dimension == "bytes":
        for prefix, factor in reversed(_BINARY.items()):
            if value and value % factor == 0 and value / factor < 10 ** min(digits, 4):
                return f"{int(value // factor)} {prefix}B"
    if dimension in _SYMBOLS:
        return _with_step(value, _STEPS, _SYMBOLS[dimension], digits)
    if dimension == "share":
        return f"{_plain(value * 100, digits)} %"
    if dimension in {"tokens", "count", "number", "ratio"}:
        return str(int(value)) if value == int(value) else _plain(value, digits)
    unit = "/" + dimension[2:] if dimension.startswith("1/") else dimension
    return f"{_plain(value, digits)} {unit}"


def _with_step(value: float, steps: tuple[tuple[str, float], ...], symbol: str, digits: int) -> str:
    for prefix, factor in steps:
        if abs(value) >= factor:
            return f"{_plain(value / factor, digits)} {prefix}{symbol}"
    if value == 0:
        return f"0 {symbol or 's'}"
    prefix, factor = steps[-1]
    return f"{_plain(value / factor, digits)} {prefix}{symbol}"


def _plain(value: float, digits: int) -> str:
    """Significant digits without an exponent where the number is of a readable size."""
    text = f"{value:.{digits}g}"
    if "e" in text and abs(value) < 1e15 and value == int(value):
        return str(int(float(text)))
    return text


_RANGE = re.compile(
    r"\s*(?P<low>.+?)\s*\.\.\s*(?P<high>.+?)"
    r"(?:\s+(?:step\s+(?P<step>\S.*?)|[x×]\s*(?P<times>\S+)))?\s*"
)


def parse_range(text: object) -> list[int | float | str]:
    """The values of ``1..8``, ``1..8 step 2``, ``1..64 x2`` or ``10 ms..50 ms step 10 ms``, both ends included.

    Numbers come back as numbers; with a unit each value comes back as text with that unit.  Raises ``ValueError``
    for a range that runs down, never ends, or has more than 10,000 values.
    """
    low, high, step, times, unit = _range_parts(text)
    if step is None and times is None:
        if low != low.to_integral_value() or high != high.to_integral_value():
            raise ValueError(f"{_show(text)} needs a step, such as {_show(str(text).strip() + ' step 0.5')}")
        step = Decimal(1)
    values: list[Decimal] = []
    current = low
    while current <= high:
        values.append(current)
        if len(values) > MAX_RANGE:
            raise ValueError(f"{_show(text)} has more than {MAX_RANGE} values")
        current = current + step if step is not None else current * (times or 2)
    return [f"{value:f} {unit}" if unit else _number(value) for value in values]


def parse_bounds(text: object) -> tuple[int | float | str, int | float | str]:
    """The two ends of ``0.05..4``, for a search between them."""
    low, high, step, times, unit = _range_parts(text)
    if step is not None or times is not None:
        raise ValueError(f"{_show(text)} has a step; expected only two ends, such as 0.05..4")
    ends = [f"{end:f} {unit}" if unit else _number(end) for end in (low, high)]
    return ends[0], ends[1]


def is_range(value: object) -> bool:
    """Whether a value is written as a range (two numbers around ``..``)."""
    return isinstance(value, str) and re.match(r"\s*[+-]?[\d.]+[^.]*\.\.\s*[+-]?[\d.]", value) is not None


def _range_parts(text: object) -> tuple[Decimal, Decimal, Decimal | None, Decimal | None, str]:
    match = _RANGE.fullmatch(text) if isinstance(text, str) and len(text) < 200 else None
    if match is None:
        raise ValueError(f"{_show(text)} is not a range; expected 1..8, 1..8 step 2 or 1..64 x2")
    low, low_unit = _split(match["low"], "number")
    high, unit = _split(match["high"], "number")
    if low_unit not in {"", unit}:
        raise ValueError(f"{_show(text)} has ends in different units")
    step = times = None
    if match["step"]:
        step, step_unit = _split(match["step"], "number")
        if step_unit not in {"", unit}:
            raise ValueError(f"{_show(text)} has a step in another unit")
        if step <= 0:
            raise ValueError(f"{_show(text)} never ends: the step must be above zero")
    if match["times"]:
        times, _ = _split(match["times"], "number")
        if times <= 1 or low <= 0:
            raise ValueError(f"{_show(text)} never ends: the factor must be above 1 and the start above zero")
    if high < low:
        raise ValueError(f"{_show(text)} runs down; write the smaller end first")
    return low, high, step, times, unit


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
