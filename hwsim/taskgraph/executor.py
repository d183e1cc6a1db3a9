"""Runs blocks of tasks by callbacks and counters: no process per task, no event but its end.

A task whose capacities nobody can contend for (all streams that may use them ask together for less than there is)
needs no sharing: its end stands in the clock's queue.  The others take part in sharing, phase after phase.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappush
from typing import TYPE_CHECKING, Any

from hwsim.kernel.clock import NORMAL, Clock
from hwsim.kernel.domain import Domain
from hwsim.taskgraph.contention import Contention
from hwsim.taskgraph.folding import Folding
from hwsim.taskgraph.program import Block, Segment
from hwsim.taskgraph.store import Store
from hwsim.taskgraph.stream import Stream
from hwsim.taskgraph.task import ENDED, RUNNING, Claims, Task
from hwsim.taskgraph.work import Work

if TYPE_CHECKING:
    from hwsim.kernel.capacity import Capacity
    from hwsim.kernel.recorder import Table
    from hwsim.taskgraph.write_cache import WriteCache

COLUMNS = {"span": "int", "track": "category", "name": "category", "owner": "category", "work": "int"} | {
    "ready": "int",
    "start": "int",
    "end": "int",
    "cause": "int",
    "reason": "category",
}
NONE: Claims = ()


class Executor:
    """Streams, stores and a program on a clock; ``run()`` lets it go.

    ``shared``: others use the same capacities, so every task that asks for one takes part in sharing.  ``fold``: jump
    over steady states of repeating segments (only for an executor that has its clock to itself).  ``table`` (of
    ``COLUMNS``) receives one row per task that is executed.  ``offset`` ticks have been jumped over.
    """

    def __init__(self, domain: Domain, *, shared: bool = False, fold: bool = True, table: Table | None = None) -> None:
        self.domain = domain
        self.clock: Clock = domain.clock
        self.shared = shared
        self.folding = Folding(self) if fold and not shared else None
        self.table = table
        self.rows: list[Any] | None = table.buffer if table is not None else None
        self.streams: dict[str, Stream] = {}
        self.stores: dict[str, Store] = {}
        self.works: list[Work] = []
        self.blocked: list[Task] = []  # wait for memory, in order
        self.caches: dict[str, WriteCache | None] = {}  # of drives that were written, by place
        self.blocks: deque[Block] = deque()
        self.edges: list[tuple[int, list[Task]]] | None = None  # who waited for each task, if somebody asks
        self.ended = 0
        self.skipped = 0  # tasks that were jumped over
        self.contention = Contention(self)
        self.program: Iterator[Segment] = iter(())
        self.segment: Segment | None = None
        self.position = 0
        self.block = Block(Segment(1, _nothing), 0)
        self.issuing = False

    # -- what there is -------------------------------------------------------------------------------------------

    def stream(self, name: str, order: str = "program", width: int = 1) -> Stream:
        """The stream of that name, made the first time it is asked for."""
        found = self.streams.get(name)
        if found is None:
            found = self.streams[name] = Stream(self, name, order, width)
            found.index = len(self.streams) - 1
        return found

    def store(self, name: str, capacity: int | None = None, unit: str = "bytes") -> Store:
        """The store of that name, made the first time it is asked for."""
        found = self.stores.get(name)
        if found is None:
            found = self.stores[name] = Store(name, capacity, self.clock, unit)
            found.index = len(self.stores) - 1
        return found

    # -- issuing -------------------------------------------------------------------------------------------------

    def task(
        self,
        name: str,
        stream: Stream,
        work: Work,
        after: Sequence[Task | None] = (),
        *,
        takes: Claims = NONE,
        gives: Claims = NONE,
        also: tuple[Stream, ...] = (),
        owner: str = "",
        priority: int = 0,
    ) -> Task:
        """Issue one task of the present block; ``after`` are tasks that must have ended (None is skipped).

        ``also`` are further streams (in program order) that the task holds, as a collective does.
        """
        if stream not in work.known:
            self.contention.learn(work, stream)
        ordered = stream.order == "program"
        plain = ordered and not (takes or gives or also)
        block = self.block
        block.left += 1
        task = Task(block, name, stream, work, plain, owner)
        if not plain:
            task.takes, task.gives, task.also = takes, gives, also
            task.priority = priority
        pending = 0
        for before in after:
            if before is not None and before.state != ENDED:
                pending += 1
                if before.next is None:
                    before.next = [task]
                else:
                    before.next.append(task)
        if ordered:
            before = stream.last
            if before is not None and before.state != ENDED and before not in after:
                pending += 1
                if before.next is None:
                    before.next = [task]
                else:
                    before.next.append(task)
            stream.last = task
            for other in also:
                before = other.last
                if before is not None and before.state != ENDED:
                    pending += 1
                    before.next = [*(before.next or ()), task]
                other.last = task
        block.tasks.append(task)
        task.pending = pending
        if not pending:
            task.reason = "start"
            self.begin(task)
        return task

    def run(self, program: Iterable[Segment]) -> None:
        """Run a program to its end; tasks that are left (they wait for memory for ever) stay in ``blocked``."""
        self.start(program)
        self.clock.run()

    def start(self, program: Iterable[Segment]) -> None:
        """Begin a program now; the clock is run by somebody else."""
        self.program = iter(program)
        self.issue()

    def issue(self) -> None:
        """Blocks have ended: issue what the host may."""
        if self.issuing:
            return
        self.issuing = True
        blocks = self.blocks
        while True:
            while blocks and not blocks[0].left:
                done = blocks.popleft()
                if done is not self.block:
                    done.tasks = []  # tasks know their block: without this only a search for cycles would free them
            segment = self.segment
            if segment is None or self.position >= segment.count:
                segment = self.segment = next(self.program, None)
                self.position = 0
                if segment is None:
                    break
                if self.folding is not None:
                    self.folding.begin(segment)
                continue
            if len(blocks) > segment.ahead:
                break
            if self.folding is not None and segment.repeats:
                self.folding.look(segment)
                if self.position >= segment.count:
                    continue
            if not self.block.left:
                self.block.tasks = []
            self.block = block = Block(segment, self.position)
            self.position += 1
            blocks.append(block)
            block.left = 1  # not over before it is issued
            segment.body(self, block.index)
            block.left -= 1
        self.issuing = False

    # -- running -------------------------------------------------------------------------------------------------

    def begin(self, task: Task) -> None:
        """All that a task waited for has ended: next its stream and memory."""
        task.ready = self.clock.now
        stream = task.stream
        if stream.order != "program":
            if not stream.free:
                stream.push(task)
                return
            stream.free -= 1
        self._take(task)

    def _take(self, task: Task) -> None:
        if not task.plain and task.takes and not self._taken(task):
            self.blocked.append(task)
            return
        self._go(task)

    def _taken(self, task: Task) -> bool:
        """Take the memory of a task if all of it is there and nobody waits for it before."""
        if self.blocked and any(
            claim[0] is store for claim in task.takes for t in self.blocked for store, *_ in t.takes
        ):
            return False
        return self._fits(task) and self._hold(task)

    @staticmethod
    def _fits(task: Task) -> bool:
        takes = task.takes
        if len(takes) == 1:
            store, _, size = takes[0]
            return store.pool.used + size <= store.pool.capacity
        need: dict[Store, int] = {}
        for store, _, size in takes:
            need[store] = need.get(store, 0) + size
        return all(store.pool.used + size <= store.pool.capacity for store, size in need.items())

    @staticmethod
    def _hold(task: Task) -> bool:
        for store, owner, size in task.takes:
            store.pool.hold(owner, size)
        return True

    def give_back(self, task: Task) -> None:
        """A task has ended: release its place and memory, and let those go on that waited for them."""
        stream = task.stream
        gives = task.gives
        for store, owner, size in gives:
            store.pool.release(owner, size)
        for other in task.also:
            other.end = self.clock.now
            other.busy += self.clock.now - task.start
        if stream.order != "program":
            stream.free += 1
            if stream.waiting:
                stream.free -= 1
                following = stream.pop()
                following.reason = stream.name
                following.cause = task.number
                self._take(following)
        if gives and self.blocked:
            self._unblock(task)

    def _unblock(self, by: Task) -> None:
        """Start, in order, whoever fits now; who does not holds up those behind it that need the same stores."""
        still: list[Task] = []
        held_up: list[Store] = []
        waiting, self.blocked = self.blocked, []
        for task in waiting:
            stores = [store for store, *_ in task.takes]
            if any(store in held_up for store in stores) or not self._fits(task):
                held_up += stores
                still.append(task)
                continue
            self._hold(task)
            task.cause = by.number
            task.reason = f"memory {stores[0].name}"
            self._go(task)
        self.blocked = still + self.blocked

    def _go(self, task: Task) -> None:
        clock = self.clock
        now = clock.now
        stream = task.stream
        if now > stream.end and stream.free == stream.width - (stream.order != "program"):
            stream.stalls[task.reason] = stream.stalls.get(task.reason, 0) + now - stream.end
        task.state = RUNNING
        task.start = now
        work = task.work
        if work.quiet:
            task.end = end = now + work.ticks
            heappush(clock.queue, (end, NORMAL, next(clock.sequence), task))
        else:
            task.share(work.fixed, work.phases)

    def delivered(self) -> dict[Capacity, float]:
        """What the tasks that have ended (and those jumped over) took of each capacity."""
        total: dict[Capacity, float] = dict.fromkeys(self.contention.asked, 0)
        for work in self.works:
            for capacity, amount in work.amounts().items():
                total[capacity] += amount * work.count
        return total

    def write(self, task: Task) -> None:
        """Keep a row of a task that has ended."""
        rows, table = self.rows, self.table
        assert rows is not None and table is not None
        if self.edges is not None and task.next:
            self.edges.append((task.number, task.next))
        rows.append(
            (
                task.number,
                task.stream.name,
                task.name,
                task.owner,
                task.work.index,
                task.ready,
                task.start,
                self.clock.now,
                task.cause,
                task.reason,
            )
        )
        if len(rows) >= 4096:
            table.trim()


def _nothing(executor: Executor, index: int) -> None:
    pass
