"""Arithmetic on named quantities, as claims write it, with functions of who evaluates (``decode_step(32, 4096)``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwsim.errors import ScenarioError, nearest
from hwsim.formula import FUNCTIONS, Formula


class Expression:
    """A formula at a place (``where``), whose errors are ``ScenarioError``."""

    def __init__(self, text: str, where: str = "") -> None:
        self.text, self.where = text, where
        try:
            self._formula = Formula(text)
        except ValueError as error:
            raise ScenarioError.of(str(error), where=where, expected="such as ttft.p50 / tpot.p50") from None

    @property
    def names(self) -> list[str]:
        """The quantities that it needs."""
        return self._formula.names

    @property
    def name(self) -> str | None:
        """The name, where the formula is nothing else."""
        return self._formula.name

    def value(
        self, lookup: Callable[[str], float], functions: Mapping[str, Callable[..., float]] | None = None
    ) -> float:
        """The result with the values that ``lookup`` gives for names; ``ScenarioError`` where it is not a number."""
        try:
            return float(self._formula.value(lookup, {**FUNCTIONS, **(functions or {})}))
        except ValueError as error:
            raise ScenarioError.of(f"cannot be computed: {error}", where=self.where, got=self.text) from None

    def check(self, functions: Mapping[str, object] | None = None) -> None:
        """Raise ``ScenarioError`` for a call of a function that nobody knows."""
        known = [*FUNCTIONS, *(functions or {})]
        for call in self._formula.calls:
            if call not in known:
                raise ScenarioError.of(
                    f"unknown function {call!r}",
                    where=self.where,
                    expected="one of " + ", ".join(known),
                    nearest=nearest(call, known),
                )
