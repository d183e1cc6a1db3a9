"""Amounts in a graph: a quantity with a unit, or arithmetic on parameters and loop counters."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.errors import nearest
from hwsim.formula import FUNCTIONS, Formula
from hwsim.units import parse

DIMENSIONS = ("number", "bytes", "flop", "s", "bytes/s", "flop/s", "share", "tokens")


class Expression:
    """A text that is a number once its names are known; ``ValueError`` with a sentence if it cannot be one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.constant: float | int | None = quantity(text)
        self._formula: Formula | None = None
        if self.constant is None:
            try:
                self._formula = Formula(text)
                unknown = [call for call in self._formula.calls if call not in FUNCTIONS]
                if unknown:
                    raise ValueError(f"unknown function {unknown[0]}")
            except ValueError as error:
                known = ", ".join(FUNCTIONS)
                raise ValueError(
                    f"{text!r} is neither a quantity nor arithmetic ({error}); "
                    f"expected 1.6 GB, or names and + - * / // % **, {known}"
                ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """Names that it needs, in order."""
        return tuple(dict.fromkeys(self._formula.names)) if self._formula else ()

    def value(self, known: Mapping[str, float]) -> float:
        """The number; unknown names and impossible arithmetic raise ``ValueError``."""
        if self._formula is None:
            assert self.constant is not None
            return self.constant

        def lookup(name: str) -> float:
            if name not in known:
                close = nearest(name, known)
                hint = f"; did you mean {close}?" if close else ""
                raise KeyError(f"{name} is neither a parameter nor a loop around{hint}")
            return known[name]

        try:
            result = self._formula.value(lookup)
        except KeyError as error:
            raise ValueError(error.args[0]) from None
        except ValueError as error:
            raise ValueError(f"{self.text!r} {error}") from None
        if result < 0:
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
