"""Quantities: every spelling that the language allows, every one it refuses, and laws over random ones."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.units import format_quantity, is_range, parse, parse_bounds, parse_range, seconds, ticks


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("80 GiB", "bytes", 80 * 2**30),
        ("80GB", "bytes", 80 * 10**9),
        ("4 KiB", "bytes", 4096),
        ("1.1 GiB", "bytes", 1181116006),
        ("3.35 TB/s", "bytes/s", 3.35e12),
        ("400 Gb/s", "bytes/s", 50e9),
        ("25 Gbit/s", "bytes/s", 3.125e9),
        ("12 us", "s", 12e-6),
        ("12 µs", "s", 12e-6),
        ("2 min", "s", 120.0),
        ("50 %", "share", 0.5),
        ("50%", "share", 0.5),
        (0.5, "share", 0.5),
        ("150 %", "ratio", 1.5),
        ("10 /s", "1/s", 10.0),
        ("10/s", "1/s", 10.0),
        ("10 req/s", "1/s", 10.0),
        ("90 /min", "1/s", 1.5),
        ("900 kIOPS", "1/s", 9e5),
        ("3e12", "count", 3 * 10**12),
        (256, "count", 256),
        ("1_000", "count", 1000),
        ("2048 tokens", "tokens", 2048),
        ("989 TFLOPS", "flop/s", 989e12),
        ("1 PFLOP/s", "flop/s", 1e15),
        ("1.5 pJ/B", "J/bytes", 1.5e-12),
        ("2.5 usd/h", "usd/h", 2.5),
        ("1 kWh", "J", 3.6e6),
        ("700 W", "W", 700.0),
    ],
)
def test_spellings(text: object, dimension: str, value: float) -> None:
    assert parse(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension", "says"),
    [
        ("900", "s", "no unit"),
        (900, "s", "no unit"),
        ("900 MB", "s", "wrong unit 'MB'"),
        ("80 gb", "bytes", "B is a byte"),
        ("128k", "tokens", "lone prefix"),
        ("nan", "s", "not a finite number"),
        (".inf", "count", "not a finite number"),
        (float("nan"), "number", "not a finite number"),
        (float("inf"), "number", "not a finite number"),
        ("1e999", "number", "too large"),
        ("-1 s", "s", "negative"),
        (-1, "count", "negative"),
        ("1.5", "count", "not whole"),
        ("50", "share", "more than the whole"),
        (True, "count", "not a quantity"),
        (None, "s", "not a quantity"),
        ("fast", "s", "not a number"),
        ("", "s", "not a number"),
        ("10 /s", "s", "wrong unit"),
        ("1/2 s", "s", "wrong unit"),
    ],
)
def test_refused_with_a_sentence(text: object, dimension: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"expected|large") as caught:
        parse(text, dimension)
    assert says in str(caught.value)


def test_negative_and_bare_only_where_stated() -> None:
    assert parse("-3 s", "s", negative=True) == -3.0
    assert parse(1e9, "bytes", bare=True) == 10**9


@given(st.floats(1e-9, 1e17), st.sampled_from(["bytes/s", "s", "flop/s", "W", "1/s", "usd/h", "number"]))
def test_formatted_quantities_read_back(value: float, dimension: str) -> None:
    assert parse(format_quantity(value, dimension), dimension) == pytest.approx(value, rel=1e-3, abs=1e-15)


@given(st.integers(0, 2**60))
def test_formatted_bytes_read_back(value: int) -> None:
    assert parse(format_quantity(value, "bytes"), "bytes") == pytest.approx(value, rel=1e-3)


@given(st.integers(0, 10**15), st.sampled_from(["ps", "ns", "us", "ms", "s"]))
def test_a_decimal_time_is_rounded_once(number: int, unit: str) -> None:
    exact = number * {"ps": 1, "ns": 10**3, "us": 10**6, "ms": 10**9, "s": 10**12}[unit]
    got = ticks(float(parse(f"{number} {unit}", "s")))
    assert abs(got - exact) <= exact * 2**-52 + 1


@given(st.integers(0, 10**15))
def test_ticks_and_seconds_are_inverse(value: int) -> None:
    assert ticks(seconds(value)) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1..8", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("1..8 step 2", [1, 3, 5, 7]),
        ("1..64 x2", [1, 2, 4, 8, 16, 32, 64]),
        ("1..100 x10", [1, 10, 100]),
        ("0.1..0.3 step 0.1", [0.1, 0.2, 0.3]),
        ("10 ms..30 ms step 10 ms", ["10 ms", "20 ms", "30 ms"]),
        ("3..3", [3]),
    ],
)
def test_ranges(text: str, values: list[object]) -> None:
    assert is_range(text)
    assert parse_range(text) == values


@pytest.mark.parametrize(
    "text",
    [
        "8..1",
        "0.05..4",
        "1..8 step 0",
        "0..8 x2",
        "1..8 x1",
        "1..1e9",
        "1 s..8 ms",
        "fast",
        "1..",
        3,
        "1..nan",
    ],
)
def test_bad_ranges(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_range(text)


def test_bounds() -> None:
    assert parse_bounds("0.05..4") == (0.05, 4)
    with pytest.raises(ValueError, match="step"):
        parse_bounds("1..4 step 2")


@given(st.text(max_size=30), st.sampled_from(["bytes", "s", "share", "1/s", "usd/h"]))
def test_any_text_is_a_number_or_a_value_error(text: str, dimension: str) -> None:
    try:
        assert math.isfinite(parse(text, dimension))
    except ValueError as error:
        assert str(error)


@given(st.text(max_size=30))
def test_any_text_is_a_range_or_a_value_error(text: str) -> None:
    try:
        assert parse_range(text)
    except ValueError as error:
        assert str(error)
