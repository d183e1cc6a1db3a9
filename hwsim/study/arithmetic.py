"""Arithmetic on named quantities, as claims write it: parsed into a tree and computed, never run as code.

Names may have dots (``tpot.p50``); the operators are ``+ - * / // % **``; a few functions are known, and whoever
evaluates may bring more (``decode_step(32, 4096)``).
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from hwsim.errors import ScenarioError, nearest

MOST = 2000
_BINARY: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_UNARY: dict[type, Callable[[float], float]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
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


class Expression:
    """One formula: ``names`` and ``calls`` say what it needs, ``value`` computes it."""

    def __init__(self, text: str, where: str = "") -> None:
        self.text, self.where = text, where
        if len(text) > MOST:
            raise ScenarioError.of("is too long for a formula", where=where, got=f"{len(text)} characters")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._bad(text) from None
        self.names: list[str] = []
        self.calls: list[str] = []
        self._look(self._tree)

    @property
    def name(self) -> str | None:
        """The name, where the formula is nothing else."""
        return self.names[0] if isinstance(self._tree, (ast.Name, ast.Attribute)) else None

    def value(
        self, lookup: Callable[[str], float], functions: Mapping[str, Callable[..., float]] | None = None
    ) -> float:
        """The result with the values that ``lookup`` gives for names; ``ScenarioError`` where it is not a number."""
        known = {**FUNCTIONS, **(functions or {})}
        try:
            result = float(self._compute(self._tree, lookup, known))
        except (ZeroDivisionError, OverflowError, ValueError) as error:
            raise ScenarioError.of(f"cannot be computed: {error}", where=self.where, got=self.text) from None
        except TypeError as error:
            raise ScenarioError.of(f"has a wrong call: {error}", where=self.where, got=self.text) from None
        if not math.isfinite(result):
            raise ScenarioError.of("has no finite value", where=self.where, got=self.text)
        return result

    def check(self, functions: Mapping[str, object] | None = None) -> None:
        """Raise ``ScenarioError`` for a call of a function that nobody knows."""
        known = [*FUNCTIONS, *(functions or {})]
        for call in self.calls:
            if call not in known:
                raise ScenarioError.of(
                    f"unknown function {call!r}",
                    where=self.where,
                    expected="one of " + ", ".join(known),
                    nearest=nearest(call, known),
                )

    def _look(self, node: ast.expr) -> None:
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            self._look(node.left)
            self._look(node.right)
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            self._look(node.operand)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            self.calls.append(node.func.id)
            for argument in node.args:
                self._look(argument)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return
        else:
            self.names.append(self._dotted(node))

    def _dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            return f"{self._dotted(node.value)}.{node.attr}"
        raise self._bad(ast.unparse(node))

    def _compute(self, node: ast.expr, lookup: Callable[[str], float], known: Mapping[str, Callable]) -> float:
        if isinstance(node, ast.Constant):
            return node.value  # type: ignore[return-value]  # _look let only numbers pass
        if isinstance(node, ast.BinOp):
            left, right = self._compute(node.left, lookup, known), self._compute(node.right, lookup, known)
            return _BINARY[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](self._compute(node.operand, lookup, known))
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            return known[node.func.id](*(self._compute(argument, lookup, known) for argument in node.args))
        return lookup(self._dotted(node))

    def _bad(self, text: str) -> ScenarioError:
        return ScenarioError.of(
            "is not arithmetic on names", where=self.where, got=repr(text[:60]), expected="such as ttft.p50 / tpot.p50"
        )
