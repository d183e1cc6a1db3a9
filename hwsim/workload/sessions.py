"""Conversations and agent runs: graphs of requests in which a stage waits for the answers of the one before.

A session is a line of stages; a stage is one request, or several side by side (branches) that all have to be answered
before the next.  A turn of a user is one stage, and one more for each tool that the model calls: the call is a short
answer, the tool takes its time, its result is the input of the next stage.  Simplification: how many turns, calls and
branches there are is drawn beforehand and does not depend on what is answered or on how long that takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.drawn import LENGTHS, process_of
from hwsim.workload.variates import gamma

CHUNK = 256  # sessions drawn at a time
MOST_STAGES = 4096


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a stage: new prompt tokens, and answer tokens of which ``reasoning`` are not kept."""

    input_tokens: int
    output_tokens: int
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Requests that are sent together, ``pause`` ticks after the stage before has been answered."""

    pause: int
    calls: tuple[Call, ...]
    turn: int


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation: number, arrival (ticks, 0 in a closed loop) and stages."""

    number: int
    arrival: int
    stages: tuple[Stage, ...]


def sessions_of(name: str, spec: Mapping[str, Any], seed: int, folder: Path) -> Iterator[Session]:
    """The sessions of a stream in order of arrival."""
    asked = spec["sessions"]
    count = int(parse(asked["count"], "count"))
    process = process_of(name, spec, seed, count)
    draws = _Draws(name, spec, seed, folder)
    for start in range(0, count, CHUNK):
        size = min(CHUNK, count - start)
        times = process.times(size).tolist()
        for i, stages in enumerate(draws.stages(size, start)):
            yield Session(start + i, int(times[i]), stages)


class _Draws:
    """Everything about sessions that is drawn, by session and turn."""

    def __init__(self, name: str, spec: Mapping[str, Any], seed: int, folder: Path) -> None:
        self.name, self.spec, self.seed, self.folder = name, spec, seed, folder
        self.asked = spec["sessions"]
        self.tools = self.asked.get("tools")

    def stages(self, size: int, start: int) -> list[tuple[Stage, ...]]:
        """The stages of ``size`` sessions from number ``start`` on."""
        turns = self._lengths(self.asked.get("turns", 1), "turns", size, start)
        found: list[list[Stage]] = [[] for _ in range(size)]
        for turn in range(int(turns.max(initial=0))):
            self._turn(found, turns, turn, size, start)
        return [tuple(stages) for stages in found]

    def _turn(self, found: list[list[Stage]], turns: np.ndarray, turn: int, size: int, start: int) -> None:
        inputs = self._lengths(self.spec["input_tokens"], f"input_tokens/{turn}", size, start)
        thinks = self._pauses(self.asked.get("think"), f"think/{turn}", size, start)
        widths = self._lengths(self.asked.get("branches", 1), f"branches/{turn}", size, start)
        calls = self._lengths(self.tools["calls"], f"calls/{turn}", size, start) if self.tools else np.zeros(size, int)
        for call in range(int(calls.max(initial=0)) + 1):
            if call:
                assert self.tools is not None
                inputs = self._lengths(self.tools["tokens"], f"tool/{turn}/{call}", size, start)
                thinks = self._pauses(self.tools.get("time"), f"tool_time/{turn}/{call}", size, start)
            place = f"{turn}/{call}"
            answers = [self._answers(place, branch, size, start) for branch in range(int(widths.max(initial=1)))]
            short = self._lengths(self.tools["output_tokens"], f"call/{place}", size, start) if self.tools else None
            for i in range(size):
                if turn >= turns[i] or call > calls[i]:
                    continue
                width = int(widths[i]) if call == calls[i] else 1
                if call < calls[i] and short is not None:
                    asked = (Call(int(inputs[i]), int(short[i])),)
                else:
                    asked = tuple([Call(int(inputs[i]), *(int(a[i]) for a in answers[b])) for b in range(width)])
                pause = int(thinks[i]) if found[i] else 0
                if len(found[i]) >= MOST_STAGES:
                    raise ScenarioError.of(
                        "a session without end", where="workload.sessions", expected=f"at most {MOST_STAGES} stages"
                    )
                found[i].append(Stage(pause, asked, turn))

    def _answers(self, place: str, branch: int, size: int, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Answer tokens with the reasoning in them, and the reasoning alone."""
        own = f"{place}/{branch}" if branch else place
        answer = self._lengths(self.spec["output_tokens"], f"output_tokens/{own}", size, start)
        wanted = self.spec.get("reasoning_tokens")
        if wanted is None:
            return answer, np.zeros(size, dtype=np.int64)
        thought = self._lengths(wanted, f"reasoning_tokens/{own}", size, start)
        return answer + thought, thought

    def _lengths(self, value: Any, what: str, size: int, start: int) -> np.ndarray:
        parameters = value if isinstance(value, Mapping) else {"kind": "constant", "value": value}
        draw = LENGTHS.get(parameters["kind"])
        return draw(parameters, Stream(self.seed, f"{self.name}/{what}"), size, start, self.folder)

    def _pauses(self, value: Any, what: str, size: int, start: int) -> np.ndarray:
        """Ticks, constant or gamma with a coefficient of variation."""
        if value is None:
            return np.zeros(size, dtype=np.int64)
        asked = value if isinstance(value, Mapping) else {"mean": value}
        mean = float(parse(asked["mean"], "s")) * TICKS_PER_SECOND
        cv = float(parse(asked.get("cv") or 0, "number"))
        if not cv:
            return np.full(size, round(mean), dtype=np.int64)
        drawn = gamma(Stream(self.seed, f"{self.name}/{what}"), cv**-2, size, start)
        return np.array([round(mean * value) for value in drawn.tolist()], dtype=np.int64)
