"""Arithmetic on names, as scenarios and claims write it: parsed into a tree and computed, never run as code.

The operators are ``+ - * / // % **``; names may have dots (``tpot.p50``); a few functions are known, and whoever
computes may bring more.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 2000
BIGGEST_POWER = 64  # of a whole number: 9 ** 9 ** 9 would never end
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
SIGNS: dict[type, Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "sqrt": math.sqrt,
    "log": math.log,
    "log2": math.log2,
}


class Formula:
    """One formula: ``names`` and ``calls`` say what it needs, in order; ``ValueError`` where the text is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LONGEST:
            raise ValueError(f"{len(text)} characters are too long for a formula")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ValueError(f"{text[:60]!r} is not arithmetic on names") from None
        self.names: list[str] = []
        self.calls: list[str] = []
        self._look(self._tree)

    @property
    def name(self) -> str | None:
        """The name, where the formula is nothing else."""
        return self.names[0] if isinstance(self._tree, (ast.Name, ast.Attribute)) else None

    def value(
        self, lookup: Callable[[str], float], functions: Mapping[str, Callable[..., Any]] = FUNCTIONS
    ) -> float | int:
        """The finite number with the values that ``lookup`` gives for names; ``ValueError`` where there is none."""
        try:
            result = self._compute(self._tree, lookup, functions)
            finite = math.isfinite(result)
        except ZeroDivisionError:
            raise ValueError("divides by zero") from None
        except OverflowError:
            raise ValueError("is too large") from None
        except TypeError as error:
            raise ValueError(f"has a wrong call or no real value: {error}") from None
        if not finite:
            raise ValueError("has no finite value")
        return result

    def _look(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and (type(node.op) in OPERATORS or isinstance(node.op, ast.Pow)):
            self._look(node.left)
            self._look(node.right)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
            self._look(node.operand)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            self.calls.append(node.func.id)
            for argument in node.args:
                self._look(argument)
        elif not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            self.names.append(_dotted(node))

    def _compute(self, node: ast.expr, lookup: Callable[[str], float], known: Mapping[str, Callable]) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.BinOp):
            left, right = self._compute(node.left, lookup, known), self._compute(node.right, lookup, known)
            return _power(left, right) if isinstance(node.op, ast.Pow) else OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp):
            return SIGNS[type(node.op)](self._compute(node.operand, lookup, known))
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return known[node.func.id](*(self._compute(argument, lookup, known) for argument in node.args))
        return lookup(_dotted(node))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise ValueError(f"{ast.unparse(node)[:60]!r} is not arithmetic on names")


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    if whole and exponent > BIGGEST_POWER:
        raise OverflowError
    return base**exponent if whole else math.pow(base, exponent)
