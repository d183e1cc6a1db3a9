"""Errors that a person can act on: every one says what is wrong, where, what was found and what was expected.

::

    HwsimError                exit 4   a defect of hwsim itself
    ├── ScenarioError         exit 2   the scenario, a trace or an option is wrong
    └── FitError              exit 3   all is well formed, but it cannot fit or serve
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to ``name`` (case apart), or ``""`` when none is close."""
    from difflib import get_close_matches

    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    key = name.casefold()
    if key in folded:
        return folded[key]
    close = get_close_matches(key, folded, n=1, cutoff=0.6)
    if close:
        return folded[close[0]]
    # Difflib misses abbreviations, such as "tp" of a long name or "H200" of "H200-SXM".
    if len(key) >= 3:
        starts = [folded[other] for other in folded if other.startswith(key)]
        return min(starts, key=lambda found: (len(found), found), default="")
    return ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a sentence, its place (``file:line:column``), what stood there and what could."""

    what: str
    where: str = ""
    got: str = ""
    expected: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        details = []
        if self.got:
            details.append(f"got {self.got}")
        if self.expected:
            details.append(f"expected {self.expected}")
        if details:
            text += "; " + ", ".join(details)
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        return text


class HwsimError(Exception):
    """Base of all errors that hwsim raises on purpose; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 4


class _Problems(HwsimError):
    """An error made of one or more problems; its text is one line per problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[Self], tuple[list[Problem]]]:
        # Exceptions are pickled by their arguments; a worker process must hand the problems back whole.
        return type(self), (self.problems,)

    @classmethod
    def of(cls, what: str, *, where: str = "", got: str = "", expected: str = "", nearest: str = "") -> Self:
        """The error of a single problem."""
        return cls([Problem(what, where, got, expected, nearest)])


class ScenarioError(_Problems):
    """A scenario, trace, catalogue name or option is wrong (exit code 2)."""

    exit_code: ClassVar[int] = 2


class FitError(_Problems):
    """Everything is well formed, but the system cannot hold or serve it (exit code 3)."""

    exit_code: ClassVar[int] = 3
