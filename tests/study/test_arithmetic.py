"""Formulas of claims: numbers come out as arithmetic says, and nothing else can be smuggled in."""

from __future__ import annotations

import pytest

from hwsim.errors import ScenarioError
from hwsim.study.arithmetic import Expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1 + 2) * 32 * 9 * 7000 / 50e9 * 1e6", 120.96),
        ("2 ** 10 - -1", 1025),
        ("max(a.b, 3) / min(2, a.b)", 2.5),
        ("ceil(7 / 2) + 7 // 2 + 7 % 2", 8),
        ("double(4)", 8),
    ],
)
def test_values(text: str, value: float) -> None:
    found = Expression(text).value({"a.b": 5.0}.__getitem__, {"double": lambda x: 2 * x})
    assert found == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "[1][0]",
        "a if b else c",
        "lambda: 1",
        "'text'",
        "a and b",
        "f(x=1)",
        "(1).real()",
        "1 +",
        "",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="not arithmetic"):
        Expression(text)


def test_what_has_no_value() -> None:
    for text in ("1 / 0", "10.0 ** 400 * 1e300", "sqrt(-1)", "max()"):
        with pytest.raises(ScenarioError):
            Expression(text).value({}.__getitem__)


def test_unknown_function_has_a_nearest() -> None:
    with pytest.raises(ScenarioError, match="did you mean decode_step"):
        Expression("decode_stp(1, 2)").check({"decode_step": None})


def test_a_bare_name() -> None:
    assert Expression("ttft.p50").name == "ttft.p50"
    assert Expression("ttft.p50 * 1").name is None
