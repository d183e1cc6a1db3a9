"""Statistics of measured beside simulated figures: closed forms."""

from __future__ import annotations

import pytest

from hwsim.study.rows import Row, covered, errors_of, ordered
from hwsim.study.validation import by_metric


def row(measured: float, simulated: float | None, **more: object) -> Row:
    return Row("s", "c", "d", "m", "e", "tpot", measured, simulated, **more)  # type: ignore[arg-type]


def test_errors() -> None:
    found = errors_of([row(10, 11), row(10, 9), row(10, 13), row(10, None)])
    assert found is not None
    assert (found.n, found.median, found.bias) == (3, pytest.approx(0.1), pytest.approx(0.1))
    assert found.p90 == pytest.approx(0.1 + 0.8 * 0.2)
    assert errors_of([row(10, None)]) is None


def test_pairs_in_order_count_only_what_is_apart_and_comparable() -> None:
    rows = [row(10, 1, rank="a"), row(10.5, 0, rank="a"), row(20, 2, rank="a"), row(30, 1.5, rank="a"), row(1, 9)]
    assert ordered(rows) == (5, 4)
    assert ordered([*rows, row(5, 0.1, rank="b"), row(6, 0.2, rank="b", split="fit")]) == (5, 4)


def test_coverage_of_intervals() -> None:
    rows = [row(10, 11, low=9, high=12), row(10, 13, low=12, high=14), row(10, 10)]
    assert covered(rows) == (2, 1)


def test_rows_of_a_fit_stand_on_a_line_of_their_own() -> None:
    found = by_metric([row(10, 11), row(10, 20, split="fit")])
    assert list(found) == ["tpot", "tpot (fitted on)"]
    assert [errors.median for members in found.values() if (errors := errors_of(members))] == pytest.approx([0.1, 1.0])
