"""A suite of measured points, each simulated as a scenario under its client's protocol: what all such suites share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from hwsim.study.cases import Case, run_cases
from hwsim.study.measured import Point, data_folder, points
from hwsim.study.protocol import Protocol
from hwsim.study.rows import Row

Progress = Callable[[float, str], None]
SENSITIVE = 24  # points at most under each alternative protocol


class Suite:
    """``files`` of the collection, read point by point; ``every``: how much of them a run that is not full takes.

    A suite says how a point was measured (:meth:`client`) and what scenario answers it (:meth:`cases_of`).
    """

    title: ClassVar[str] = ""
    targets: ClassVar[str] = ""
    peers: ClassVar[str] = ""
    misses: ClassVar[str] = ""  # why rows are as far off as they are, for the report
    files: ClassVar[tuple[str, ...]] = ()
    every: ClassVar[int] = 1
    long: ClassVar[bool] = False  # takes hours: simulated when it is named, or in full

    def points(self, data: Path | None = None) -> Iterator[Point]:
        """The points of a file, of a folder of files, or of the collection."""
        for path in files(data, self.files):
            yield from points(path)

    def client(self, point: Point) -> Protocol | None:
        """The load generator of a point, ``None`` for a point that is no case of this suite."""
        raise NotImplementedError

    def cases_of(self, point: Point, load: Protocol) -> Iterable[Case]:
        """A point under a protocol, as scenarios with formulas or with the reason why there is none."""
        raise NotImplementedError

    def cases(self, data: Path | None = None) -> Iterator[Case]:
        """Every point as a case, or as several."""
        for point in self.points(data):
            load = self.client(point)
            if load is not None:
                yield from (case for case in self.cases_of(point, load) if case.rows)

    def run(self, data: Path | None = None, progress: Progress | None = None, *, full: bool = True) -> list[Row]:
        """All rows; of the collection, unless ``full``, a fixed sample."""
        every = 1 if full or data is not None else self.every
        return run_cases(self.cases(data), progress, every)

    def sensitivity(self, data: Path | None = None) -> list[tuple[str, list[Row]]]:
        """A fixed sample of the points under the committed protocol and with each of its assumptions changed."""
        clients = {}
        for point in self.points(data):
            load = self.client(point)
            if load is not None and load.others:
                clients.setdefault(load.name, []).append((point, load))
        asked: list[tuple[str, Case]] = []
        for members in clients.values():
            known = [(point, load) for point, load in members if self._runs(point, load)]
            for point, load in known[:: max(1, -(-len(known) // SENSITIVE))]:
                asked += [(f"{load.name}: as committed", case) for case in self.cases_of(point, load)]
                for title, changed in load.alternatives():
                    asked += [(f"{load.name}: {title}", case) for case in self.cases_of(point, changed)]
        run_cases([case for _, case in asked])
        titles = sorted(dict.fromkeys(title for title, _ in asked), key=_in_order)
        return [(title, [row for name, case in asked if name == title for row in case.rows]) for title in titles]

    def _runs(self, point: Point, load: Protocol) -> bool:
        return any(case.scenario is not None for case in self.cases_of(point, load))


def _in_order(title: str) -> tuple[str, bool, str]:
    """By protocol, what is committed first."""
    name, _, rest = title.partition(": ")
    return name, rest != "as committed", rest


def files(data: Path | None, wanted: tuple[str, ...]) -> list[Path]:
    """The files of a suite: given, those of a given folder (by name, else all tables), or in the collection."""
    if data is not None and data.is_file():
        return [data]
    folder = data if data is not None else data_folder() / "measured"
    found = [folder / name for name in wanted if (folder / name).is_file()]
    if found or data is None:
        return found
    return sorted(path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz")))
