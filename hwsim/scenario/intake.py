"""The requests of a job on their way from workload columns to engines, with the stream that each came from."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hwsim.serving.request import Request

if TYPE_CHECKING:
    from hwsim.workload.requests import Requests
    from hwsim.workload.workload import Workload

Progress = Callable[[float, str], None]


class Intake:
    """Turns chunks of columns into requests.  Their indices are dealt among jobs, so that each is one of a kind."""

    def __init__(self, workload: Workload, job: str = "job", number: int = 0, jobs: int = 1) -> None:
        self.workload = workload
        self.job = job
        self.number = number
        self.jobs = jobs
        self.names = list(self.workload.streams)
        self.sessions, self.turns = array("i"), array("i")  # of each request, where the workload has sessions
        self.streams = array("i")  # number of the stream of each request, where there are several

    def stream_of(self, index: int) -> str:
        """The name of the stream that a request of this job came from."""
        return self.names[self.streams[index // self.jobs]] if self.streams else self.names[0]

    def session_of(self, index: int) -> int:
        """The number of the session that a request of this job belongs to."""
        return self.sessions[index // self.jobs] if self.sessions else -1

    def turn_of(self, index: int) -> int:
        """The turn of its session, from 0."""
        return self.turns[index // self.jobs] if self.turns else -1

    def requests(self, seed: int, progress: Progress | None = None) -> Iterator[Request]:
        """All requests in order of arrival; ``progress`` is told now and then."""
        first = 0
        for chunk in self.workload.chunks(seed):
            if chunk.stream is not None:
                self.streams.frombytes(chunk.stream.astype("i4").tobytes())
            yield from self._chunk(chunk, first, progress)
            first += len(chunk)

    def _chunk(self, chunk: Requests, first: int, progress: Progress | None) -> Iterator[Request]:
        count, jobs = len(chunk), self.jobs
        total = self.workload.total
        prefixes = chunk.prefix_ids if chunk.prefix_ids is not None else [None] * count
        names = chunk.request_id if chunk.request_id is not None else [None] * count
        start = first * jobs + self.number
        rows = zip(
            range(start, start + count * jobs, jobs),
            chunk.arrival.tolist(),
            chunk.input_tokens.tolist(),
            chunk.output_tokens.tolist(),
            chunk.max_tokens.tolist(),
            chunk.eos.tolist(),
            chunk.priority.tolist(),
            prefixes,
            names,
            strict=True,
        )
        block = chunk.prefix_block
        for number, (index, arrival, prompt, output, most, eos, priority, prefix, name) in enumerate(rows):
            if progress is not None and (first + number) % 1024 == 0:
                progress((first + number) / total if total else 0.0, f"{first + number:,} requests")
            yield Request(index, arrival, prompt, output, most, eos, priority, prefix or None, block, name)
