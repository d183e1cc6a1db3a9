"""Task graphs written in Python: a system, tasks with what they wait for, loops; ``run()`` gives the figures.

    graph = Graph({"node": {"like": "workstation", "gpu": "RTX-4090", "ssd": {"like": "D7-P5510-3.84TB"}}})
    with graph.loop(80):
        read = graph.copy("read", "1.72 GB", "ssd", "dram", takes={"dram": "1.72 GB"})
        load = graph.copy("load", "1.72 GB", "dram", "gpu0", after=[read], releases=[read])
        graph.compute("layer", "13.8 GFLOP", "gpu0", reads="1.72 GB", after=[load])
    print(graph.run().seconds)

Quantities are numbers in base units or text with a unit.  Simplification: loops do not nest (write inner ones out), and
every iteration of a loop is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError, nearest
from hwsim.taskgraph.account import account, spans
from hwsim.taskgraph.collective import collective
from hwsim.taskgraph.deadlock import check_finished
from hwsim.taskgraph.program import Segment
from hwsim.taskgraph.site import Site
from hwsim.units import parse

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.task import Task
    from hwsim.taskgraph.work import Work

Amount = float | str
Make = Callable[[Site], "Work"]


class Node:
    """One task of a graph; ``before`` is the same task one iteration of its loop earlier."""

    def __init__(self, name: str, stream: str, make: Make, after: tuple[Node | Before, ...]) -> None:
        self.name = name
        self.stream = stream
        self.make = make
        self.after = after
        self.takes: dict[str, int] = {}
        self.gives: dict[str, dict[str, int]] = {}  # bytes given back by store and owner
        self.priority = 0
        self.released = False

    @property
    def before(self) -> Before:
        """This task in the iteration before (nothing to wait for in the first)."""
        return Before(self)

    def __repr__(self) -> str:
        return f"Node({self.name!r} on {self.stream})"


class Before:
    """A task one iteration earlier."""

    def __init__(self, node: Node) -> None:
        self.node = node


class Outcome:
    """What a run came to: ``seconds``, ``figures`` of streams, capacities, copies and memory, ``spans`` of tasks."""

    def __init__(self, executor: Executor) -> None:
        self.figures = account(executor)
        self.seconds: float = self.figures["makespan_s"]
        self.spans = spans(executor)
        self.folds = executor.folding.folds if executor.folding is not None else []

    def critical_path(self) -> dict[str, float]:
        """Seconds of the critical path by resource, largest first."""
        from hwsim.metrics.critical_path import critical_path

        return critical_path(self.spans, self.folds).by_resource


class Graph:
    """Tasks on the places of ``system`` (as under ``system:`` in a scenario); peaks are those of ``dtype``."""

    def __init__(self, system: Mapping[str, Any], *, dtype: str = "bf16", fold: bool = True) -> None:
        from hwsim.hardware import System

        self._system = System.of(system)
        self._dtype = dtype
        self._fold = fold
        self._parts: list[tuple[int, int, list[Node]]] = []  # iterations, how many ahead, tasks
        self._open: list[Node] | None = None
        self._rooms: dict[str, tuple[int, str]] = {}
        self._orders: dict[str, tuple[str, int]] = {}
        self._site = Site(self._system, dtype=dtype)

    # -- what there is -------------------------------------------------------------------------------------------

    def stream(self, name: str, order: str = "program", width: int = 1) -> str:
        """Say how a stream runs its tasks: in ``program`` order (as without saying), ``ready`` or ``priority``."""
        self._site.executor.stream(name, order, width)
        self._orders[name] = (order, width)
        return name

    def memory(self, place: str, size: Amount) -> str:
        """Less memory at a place than the system has."""
        self._rooms[self._place(place)] = (int(parse(size, "bytes", bare=True)), "bytes")
        return place

    def buffer(self, name: str, places: int) -> str:
        """A bounded queue of so many places, to be taken and released like memory."""
        self._rooms[name] = (places, "count")
        return name

    @contextmanager
    def loop(self, times: int, *, ahead: int = 2) -> Iterator[None]:
        """Tasks that are repeated; the host issues them at most ``ahead`` iterations beyond the oldest unfinished."""
        if self._open is not None:
            raise ScenarioError.of("loops of a Graph do not nest", where="loop", expected="the inner one written out")
        self._open = []
        self._parts.append((times, ahead, self._open))
        try:
            yield
        finally:
            self._open = None

    # -- tasks ---------------------------------------------------------------------------------------------------

    def compute(
        self, name: str, flop: Amount, at: str, *, reads: Amount = 0, efficiency: float = 1.0, **how: Any
    ) -> Node:
        """``flop`` at a place over ``reads`` bytes of its memory, as fast as the slower of the two."""
        place, work = self._place(at), parse(flop, "flop", bare=True)
        moved = parse(reads, "bytes", bare=True)
        return self._add(
            name,
            how.pop("stream", at),
            lambda site: site.compute(name, place, work, moved, efficiency=efficiency),
            **how,
        )

    def copy(self, name: str, size: Amount, start: str, end: str, *, rate: Amount | None = None, **how: Any) -> Node:
        """``size`` bytes between places, on the stream ``start-end`` unless another is named."""
        most = float("inf") if rate is None else parse(rate, "bytes/s", bare=True)
        first, last, moved = self._place(start), self._place(end), parse(size, "bytes", bare=True)
        stream = how.pop("stream", f"{start}-{end}")
        return self._add(name, stream, lambda site: site.write(name, first, last, moved, rate=most), **how)

    def collective(self, name: str, kind: str, ranks: Sequence[str], size: Amount, **how: Any) -> Node:
        """An ``all_reduce``, ``all_gather``, ``reduce_scatter`` or ``all_to_all`` of ``size`` bytes."""
        places, moved = [self._place(rank) for rank in ranks], parse(size, "bytes", bare=True)
        stream = how.pop("stream", kind)
        return self._add(name, stream, lambda site: collective(site, name, kind, places, moved), **how)

    def wait(self, name: str, time: Amount, **how: Any) -> Node:
        """Nothing but time."""
        length = parse(time, "s", bare=True)
        return self._add(name, how.pop("stream", "host"), lambda site: site.time(name, length), **how)

    def _add(
        self,
        name: str,
        stream: str,
        make: Make,
        *,
        after: Sequence[Node | Before] = (),
        takes: Mapping[str, Amount] | None = None,
        releases: Sequence[Node] = (),
        priority: int = 0,
    ) -> Node:
        """``takes`` memory or buffer places before it starts; ``releases`` what other tasks hold when it ends."""
        make(self._site)  # what cannot be done is said here, not when the graph runs
        node = Node(name, stream, make, tuple(after))
        node.priority = priority
        for store, size in (takes or {}).items():
            place = store if store in self._rooms else self._place(store)
            unit = self._rooms.get(place, (0, "bytes"))[1]
            node.takes[place] = int(parse(size, unit, bare=True))
        for other in releases:
            if not other.takes or other.released:
                what = "is released twice" if other.released else "holds nothing"
                raise ScenarioError.of(f"{other.name} {what}", where=name, expected="a task that takes memory, once")
            other.released = True
            for store, size in other.takes.items():
                owners = node.gives.setdefault(store, {})
                owners[other.name] = owners.get(other.name, 0) + size
        nodes = self._open
        if nodes is None:
            nodes = []
            self._parts.append((1, 2, nodes))
        nodes.append(node)
        return node

    def _place(self, name: str) -> str:
        if not self._site.known(name):
            raise ScenarioError.of("unknown place", where="graph", got=name, nearest=nearest(name, self._site.places()))
        return name

    # -- running -------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run the graph from its beginning; ``FitError`` if it cannot go on for want of memory."""
        executor = self._run({})
        check_finished(executor, lambda name, capacity: self._run({name: capacity}))
        return Outcome(executor)

    def _run(self, rooms: Mapping[str, int | None]) -> Executor:
        site = Site(self._system, dtype=self._dtype, record=True, fold=self._fold)
        executor = site.executor
        for name, (order, width) in self._orders.items():
            executor.stream(name, order, width)
        for name, (capacity, unit) in self._rooms.items():
            executor.store(name, rooms.get(name, capacity), unit)
        for name, capacity in rooms.items():
            executor.store(name, capacity)
        last: dict[Node, Task] = {}
        executor.run([self._segment(site, part, last) for part in self._parts])
        return executor

    def _segment(self, site: Site, part: tuple[int, int, list[Node]], last: dict[Node, Task]) -> Segment:
        times, ahead, nodes = part
        works = {node: node.make(site) for node in nodes}

        def body(executor: Executor, index: int) -> None:
            past = {node: last[node] for node in nodes if node in last}
            for node in nodes:
                after = [past.get(n.node) if isinstance(n, Before) else last[n] for n in node.after]
                last[node] = executor.task(
                    node.name,
                    executor.stream(node.stream),
                    works[node],
                    after,
                    takes=tuple([(site.store(store), node.name, size) for store, size in node.takes.items()]),
                    gives=tuple(
                        [(site.store(s), o, size) for s, owners in node.gives.items() for o, size in owners.items()]
                    ),
                    owner=node.name,
                    priority=node.priority,
                )

        return Segment(times, body, ahead=ahead, repeats=times > 1, name=nodes[0].name if nodes else "")
