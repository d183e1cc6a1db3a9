"""Amounts in a graph: a quantity with a unit, or arithmetic on parameters and loop counters."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from hwsim.errors import nearest
from hwsim.units import parse

DIMENSIONS = ("number", "bytes", "flop", "s", "bytes/s", "flop/s", "share", "tokens")
OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
FUNCTIONS = {"min": min, "max": max, "ceil": math.ceil, "floor": math.floor}
LONGEST = 1000


class Expression:
    """A text that is a number once its names are known; ``ValueError`` with a sentence if it cannot be one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.constant: float | int | None = quantity(text)
        self._tree: ast.expr | None = None
        if self.constant is None:
            try:
                if len(text) > LONGEST:
                    raise SyntaxError
                self._tree = ast.parse(text.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                raise ValueError(
                    f"{text!r} is neither a quantity nor arithmetic; expected 1.6 GB or 2 * layers"
                ) from None
            _check(self._tree, text)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names that it needs, in order."""
        if self._tree is None:
            return ()
        found = [node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and node.id not in FUNCTIONS]
        return tuple(dict.fromkeys(found))

    def value(self, known: Mapping[str, float]) -> float:
        """The number; unknown names and impossible arithmetic raise ``ValueError``."""
        if self.constant is not None:
            return self.constant
        assert self._tree is not None
        try:
            result = _value(self._tree, known)
        except ZeroDivisionError:
            raise ValueError(f"{self.text!r} divides by zero") from None
        except OverflowError:
            raise ValueError(f"{self.text!r} is too large") from None
        if isinstance(result, complex) or not math.isfinite(result) or result < 0:
            raise ValueError(f"{self.text!r} is {result}; expected a finite number that is not negative")
        return result


def quantity(text: str) -> float | int | None:
    """The number of a quantity in whatever unit it has, None if it is none."""
    for dimension in DIMENSIONS:
        try:
            return parse(text, dimension)
        except ValueError:
            continue
    return None


def _check(tree: ast.expr, text: str) -> None:
    for node in ast.walk(tree):
        if isinstance(node, (ast.operator, ast.unaryop, ast.Load, ast.Name)):
            continue
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            continue
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            continue
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            continue
        called = node.func if isinstance(node, ast.Call) and not node.keywords and node.args else None
        if isinstance(called, ast.Name) and called.id in FUNCTIONS:
            continue
        raise ValueError(
            f"{text!r} is neither a quantity nor arithmetic; expected + - * / // % **, min, max, ceil, floor"
        )


def _value(node: ast.expr, known: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.Name):
        if node.id not in known:
            close = nearest(node.id, known)
            hint = f"; did you mean {close}?" if close else ""
            raise ValueError(f"{node.id} is neither a parameter nor a loop around{hint}")
        return known[node.id]
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, known), _value(node.right, known)
        if isinstance(node.op, ast.Pow) and abs(right) > 64:
            raise OverflowError
        return OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, known)
        return -value if isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return FUNCTIONS[node.func.id](*[_value(argument, known) for argument in node.args])
