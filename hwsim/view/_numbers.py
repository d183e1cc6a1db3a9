"""Numbers for people: few digits, a unit that fits, thousands apart."""

from __future__ import annotations

from hwsim.units import format_quantity

NONE = "–"


def plain(value: float | None, digits: int = 3) -> str:
    """A number with at least ``digits`` significant digits, never with an exponent where it can be read."""
    if value is None:
        return NONE
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e15 or size < 1e-4:
        return f"{value:.{digits - 1}e}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    size = float(f"{size:.{digits - 1}e}")  # 0.9997 has the decimals of 1.00
    decimals = 0
    while size * 10**decimals < 10 ** (digits - 1) and decimals < 7:
        decimals += 1
    return f"{value:,.{decimals}f}"


def milliseconds(value: float | None, digits: int = 3) -> str:
    """A time given in ms, in the unit that reads best."""
    if value is None:
        return NONE
    for limit, factor, unit in (
        (1.0, 1e3, "µs"),
        (1e3, 1.0, "ms"),
        (300e3, 1e-3, "s"),
        (1e99, 1 / 60e3, "min"),
    ):
        # 999.6 ms would be shown as 1,000 ms
        if abs(value) < limit * 0.9995 or unit == "min":
            return f"{plain(value * factor, digits)} {unit}" if value else "0 ms"
    return NONE


def share(value: float | None) -> str:
    """A share as per cent."""
    if value is None:
        return NONE
    percent = value * 100
    if 99.95 <= percent < 100 or 0 < percent < 0.05:
        return f"{percent:.3g} %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def gibibytes(value: float | None) -> str:
    """Bytes in GiB, or smaller units below one."""
    if value is None:
        return NONE
    for factor, unit in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if abs(value) >= factor:
            return f"{plain(value / factor)} {unit}"
    return f"{plain(value)} B"


def quantity(value: float | None, dimension: str) -> str:
    """A number in the base unit of a dimension with a decimal prefix (J, W, …)."""
    return NONE if value is None else format_quantity(value, dimension, digits=3)


def usd(value: float | None) -> str:
    """Dollars, with cents where they matter."""
    if value is None:
        return NONE
    return f"${plain(value)}" if value < 0.1 else f"${value:,.2f}"
