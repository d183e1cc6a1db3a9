"""A timeline for ui.perfetto.dev: TrackEvent protobuf with a process per replica, times in nanoseconds.

Field numbers are those of perfetto's ``trace_packet.proto``, ``track_descriptor.proto`` and ``track_event.proto``.
Names are interned, so that a slice takes some thirty bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from hwsim.export._format import Format, Run
from hwsim.export._graph_timeline import tasks
from hwsim.export._protobuf import double, message, number, text
from hwsim.export._timeline import Slice, lanes, samples, stretches
from hwsim.metrics.graph_summary import is_graph

PACKET = 1  # Trace
TIMESTAMP, TRACK_EVENT, INTERNED, FLAGS, SEQUENCE, DESCRIPTOR = 8, 11, 12, 13, 10, 60  # TracePacket
BEGIN, END, COUNTER = 1, 2, 4  # TrackEvent.Type
CLEARED, NEEDED = 1, 2  # TracePacket.SequenceFlags
UNITS = {"running": "requests", "waiting": "requests", "free_pages": "pages"}


class TraceFile:
    """Writes packets of one sequence; tracks and names are described when they first appear."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._names: dict[str, int] = {}
        self._tracks: dict[tuple[int, str], int] = {}
        self._packet(number(FLAGS, CLEARED))

    def _packet(self, content: bytes) -> None:
        self._file.write(message(PACKET, number(SEQUENCE, 1) + content))

    def _interned(self, name: str) -> int:
        if name not in self._names:
            self._names[name] = key = len(self._names) + 1
            entry = number(1, key) + text(2, name)
            # Event names (2) and names of debug annotations (3) share one numbering here.
            self._packet(number(FLAGS, NEEDED) + message(INTERNED, message(2, entry) + message(3, entry)))
        return self._names[name]

    def track(self, process: int, name: str) -> int:
        """The uuid of a track, described now if it is new; tracks hang below their process."""
        key = (process, name)
        if key not in self._tracks:
            if name:
                content = number(5, self.track(process, "")) + text(2, name)
                if name in UNITS:
                    content += message(8, text(6, UNITS[name]))
            else:
                content = message(3, number(1, process + 1) + text(6, f"{self._name}: replica {process}"))
            self._tracks[key] = uuid = len(self._tracks) + 1
            self._packet(message(DESCRIPTOR, number(1, uuid) + content))
        return self._tracks[key]

    def slice(self, item: Slice) -> None:
        """A slice with what is nested in it; slices of one track must come in order."""
        track = self.track(item.process, item.track)
        notes = b""
        for key, value in item.arguments.items():
            content = number(1, self._interned(key))
            content += text(6, value) if isinstance(value, str) else number(4, value)
            notes += message(4, content)
        self._begin(track, item.start, item.name, item.category, notes, keep=item.category == "step")
        for name, start, end in item.parts:
            self._begin(track, start, name, item.category, b"")
            self._event(end, number(9, END) + number(11, track))
        self._event(item.end, number(9, END) + number(11, track))

    def _begin(self, track: int, start: int, name: str, category: str, notes: bytes, *, keep: bool = True) -> None:
        title = number(10, self._interned(name)) if keep else text(23, name)
        self._event(start, number(9, BEGIN) + number(11, track) + title + text(22, category) + notes)

    def sample(self, process: int, counter: str, time: int, value: float) -> None:
        """A counter's value."""
        track = self.track(process, counter)
        shown = number(30, value) if isinstance(value, int) else double(44, value)
        self._event(time, number(9, COUNTER) + number(11, track) + shown)

    def _event(self, time: int, content: bytes) -> None:
        self._packet(number(FLAGS, NEEDED) + number(TIMESTAMP, time) + message(TRACK_EVENT, content))


def _render(run: Run, path: Path) -> None:
    if is_graph(run.summary):
        with path.open("wb") as file:
            trace = TraceFile(file, str(run.summary["name"]))
            for item in tasks(run.table("spans")):
                trace.slice(item)
        return
    steps, requests = run.table("steps"), run.table("requests")
    with path.open("wb") as file:
        trace = TraceFile(file, str(run.summary["name"]))
        for item in stretches(steps):
            trace.slice(item)
        for sample in samples(steps):
            trace.sample(*sample)
        for item in lanes(requests):
            trace.slice(item)


PART = Format("pftrace", _render)
