"""What arrives in a run: one stream or several merged in time, each a trace or drawn arrivals and lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import merge
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.clients import clients_of
from hwsim.workload.drawn import drawn, limited, process_of
from hwsim.workload.memories import Memories
from hwsim.workload.merged import merged
from hwsim.workload.requests import Requests
from hwsim.workload.sessions import Session, sessions_of
from hwsim.workload.trace import Trace, locate


class Workload:
    """A resolved ``workload:`` section; ``chunks(seed)`` streams its requests in order of arrival.

    ``closed`` is the number of clients of a closed loop (None for an open one) and ``think`` their pause in ticks;
    ``total`` the number of requests where it is known beforehand; ``names`` the streams that ``Requests.stream``
    numbers.  ``warnings`` grows while requests are read: what a trace left out or estimated.
    """

    def __init__(self, streams: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
        self.streams = {name: dict(spec) for name, spec in streams.items()}
        self.names = tuple(self.streams)
        self.folder = folder
        self.warnings: list[str] = []
        self.closed: int | None = None
        self.think = 0
        for spec in self.streams.values():
            arrivals = spec.get("arrivals") or {}
            if arrivals.get("kind") == "closed":
                self.closed = int(parse(arrivals["concurrency"], "count"))
                self.think = round(float(parse(arrivals.get("think") or "0 s", "s")) * TICKS_PER_SECOND)
        talks = ["sessions" in spec for spec in self.streams.values()]
        self.sessions = all(talks)
        if any(talks) and not self.sessions:
            raise ScenarioError.of(
                "sessions wait for answers, other streams do not",
                where="workload.streams",
                expected="sessions in every stream, or in none",
            )
        if self.closed is not None and len(self.streams) > 1:
            raise ScenarioError.of("a closed loop cannot be merged with other streams", where="workload.streams")

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any], *, base_dir: Path | None = None) -> Workload:
        """From the plain section of a scenario; fields beside ``streams`` are their defaults."""
        streams = spec.get("streams")
        common = {key: value for key, value in spec.items() if key != "streams"}
        members = {name: {**common, **stream} for name, stream in streams.items()} if streams else {"": common}
        for name, member in members.items():
            preset = (member.get("clients") or {}).get("preset")
            if (
                member.get("trace") is None
                and preset is None
                and (member.get("input_tokens") is None or member.get("output_tokens") is None)
            ):
                raise ScenarioError.of(
                    "the workload says neither what arrives nor how long it is",
                    where=f"workload.streams.{name}" if name else "workload",
                    expected="trace, or arrivals with input_tokens and output_tokens",
                )
        return cls(members, base_dir or Path.cwd())

    @property
    def total(self) -> int | None:
        """The number of requests, or None when a trace or a duration decides."""
        counts = [spec.get("requests") for spec in self.streams.values()]
        if (
            self.sessions
            or any(count is None for count in counts)
            or any(spec.get("trace") for spec in self.streams.values())
        ):
            return None
        return sum(int(parse(count, "count")) for count in counts)

    def chunks(self, seed: int) -> Iterator[Requests]:
        """All requests of all streams in order of arrival (ties in the order of the streams)."""
        streams = [self._stream(name, spec, seed) for name, spec in self.streams.items()]
        if len(streams) == 1:
            yield from streams[0]
            return
        yield from merged([_numbered(number, stream) for number, stream in enumerate(streams)])

    def memories(self, seed: int) -> list[Memories]:
        """The memories of all streams that have some."""
        return [
            Memories(name, spec["memories"], seed, self.folder)
            for name, spec in self.streams.items()
            if spec.get("memories")
        ]

    def talks(self, seed: int) -> Iterator[tuple[int, Session]]:
        """All sessions of all streams in order of arrival, each with the number of its stream."""
        streams = [
            [(number, session) for session in sessions_of(name, spec, seed, self.folder)]
            for number, (name, spec) in enumerate(self.streams.items())
        ]
        yield from merge(*streams, key=lambda item: item[1].arrival)

    def describe(self) -> dict[str, Any]:
        """What arrives, in words and figures."""
        return {name or "workload": spec for name, spec in self.streams.items()}

    def _stream(self, name: str, spec: Mapping[str, Any], seed: int) -> Iterator[Requests]:
        if spec.get("trace") is not None:
            yield from self._traced(name, spec, seed)
        elif spec.get("clients"):
            yield from clients_of(name, spec, seed, self.folder)
        else:
            yield from drawn(name, spec, seed, self.folder)

    def _traced(self, name: str, spec: Mapping[str, Any], seed: int) -> Iterator[Requests]:
        """The requests of a trace; arrivals beside it take the place of its own."""
        trace = Trace(locate(str(spec["trace"]), self.folder), spec.get("format"))
        kind = (spec.get("arrivals") or {"kind": "trace"})["kind"]
        own = kind == "trace"
        total = spec.get("requests") or spec.get("first")
        process = None
        if kind not in ("trace", "closed"):
            process = process_of(name, spec, seed, int(parse(total, "count")) if total is not None else None)
        for chunk in trace.requests(spec if own else {**spec, "rate_scale": None}, timed=own):
            if process is not None:
                chunk.arrival = process.times(len(chunk))
            yield limited(chunk, spec)
        self.warnings += [f"trace {spec['trace']}: {count:,} {text}" for text, count in sorted(trace.remarks.items())]


def _numbered(number: int, stream: Iterator[Requests]) -> Iterator[Requests]:
    return (chunk.of_stream(number) for chunk in stream)
