"""The tasks of a graph scenario, read and checked: scopes, references, streams, places, memory; all errors at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.scenario.graph.expression import Expression

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.schema.graph import Graph, GraphTask
    from hwsim.taskgraph.site import Site

AMOUNTS = ("compute", "reads", "writes", "copy_", "messages", "size", "wait", "latency")
AHEAD = 2  # blocks issued beyond the oldest unfinished one unless a loop says otherwise


@dataclass(frozen=True)
class Reference:
    """A task named by another: ``levels`` loops up, ``back`` iterations before."""

    name: str
    levels: int
    back: int


@dataclass
class Item:
    """A task, or a loop with its items in the order of issue."""

    name: str
    path: str
    spec: GraphTask
    after: list[Reference] = field(default_factory=list)
    releases: list[Reference] = field(default_factory=list)
    amounts: dict[str, Expression] = field(default_factory=dict)
    holds: dict[str, Expression] = field(default_factory=dict)
    uses: dict[str, Expression] = field(default_factory=dict)
    count: Expression | None = None
    items: list[Item] = field(default_factory=list)
    deepest: int = 0  # most iterations that anybody looks back into this loop
    varies: bool = False  # an amount depends on this loop's own counter

    @property
    def is_loop(self) -> bool:
        return bool(self.items)


class Plan:
    """All items of a graph with its parameters; ``ScenarioError`` with every problem and its place."""

    def __init__(self, scenario: Scenario, site: Site) -> None:
        graph = scenario.spec.graph
        assert graph is not None and graph.tasks is not None
        self.scenario, self.site, self.graph = scenario, site, graph
        self.problems: list[Problem] = []
        self.parameters = self._parameters(graph)
        self.buffers = {
            name: int(self._number(f"graph.buffers.{name}", text)) for name, text in (graph.buffers or {}).items()
        }
        self.streams = graph.streams
        self._check_streams()
        self.memory = self._memory(graph)
        root = Item("graph", "graph", None, count=Expression("1"))  # type: ignore[arg-type]
        self._scope(graph.tasks, "graph.tasks", [root], set(self.parameters))
        self.root = root
        self.tokens = self._total("tokens")
        self.steps = self._total("steps")
        if self.problems:
            raise ScenarioError(list(dict.fromkeys(self.problems)))

    # -- reading -------------------------------------------------------------------------------------------------

    def _problem(self, path: str, what: str, got: str = "", expected: str = "", close: str = "") -> None:
        where = self.scenario.origin(path) or path
        self.problems.append(Problem(f"{path.removeprefix('graph.')} {what}", where, got, expected, close))

    def _expression(self, path: str, text: str, known: set[str]) -> Expression | None:
        try:
            found = Expression(text)
        except ValueError as error:
            self._problem(path, str(error))
            return None
        for name in found.names:
            if name not in known:
                self._problem(
                    path, "needs a number that nobody gives", name, "a parameter or loop", nearest(name, known)
                )
        return found

    def _number(self, path: str, text: str) -> float:
        found = self._expression(path, text, set(getattr(self, "parameters", {})))
        try:
            return found.value(getattr(self, "parameters", {})) if found is not None else 1
        except ValueError as error:
            self._problem(path, str(error))
            return 1

    def _parameters(self, graph: Graph) -> dict[str, float]:
        """Parameters in the order written; each may use those before it."""
        known: dict[str, float] = {}
        for name, text in (graph.parameters or {}).items():
            path = f"graph.parameters.{name}"
            found = self._expression(path, text, set(known))
            if not name.isidentifier():
                self._problem(path, "cannot stand in arithmetic", expected="letters, digits and _")
            try:
                known[name] = found.value(known) if found is not None else 1
            except ValueError as error:
                self._problem(path, str(error))
                known[name] = 1
        return known

    def _total(self, name: str) -> float | None:
        text = getattr(self.graph, name)
        return None if text is None else self._number(f"graph.{name}", text)

    def _check_streams(self) -> None:
        for name, stream in (self.streams or {}).items():
            path = f"graph.streams.{name}"
            if stream.at is not None:
                self._place(path, stream.at)
            if stream.width > 1 and stream.order == "program":
                self._problem(path, "runs several at once in program order", expected="order: ready or priority")

    def _memory(self, graph: Graph) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for name, memory in (graph.memory or {}).items():
            self._place(f"graph.memory.{name}", name)
            found[name] = memory.capacity
        return found

    def _place(self, path: str, place: str) -> bool:
        if self.site.known(place):
            return True
        known = self.site.places()
        self._problem(path, "names an unknown device", place, "one of " + ", ".join(known), nearest(place, known))
        return False

    # -- scopes --------------------------------------------------------------------------------------------------

    def _scope(self, tasks: dict[str, GraphTask], path: str, around: list[Item], known: set[str]) -> None:
        """Read one mapping of tasks into the innermost item of ``around``."""
        own = around[-1]
        items = {name: self._item(name, f"{path}.{name}", spec, known) for name, spec in tasks.items()}
        own.items = list(items.values())
        released: dict[tuple[str, int, int], str] = {}
        for item in items.values():
            for key in ("after", "releases", "free"):
                self._references(item, key, around, released)
        own.items = self._ordered(items, path)
        for item in items.values():
            if item.spec.tasks is not None:
                self._scope(item.spec.tasks, f"{item.path}.tasks", [*around, item], known | {item.name})
            own.varies = own.varies or any(own.name in e.names for e in _expressions(item))

    def _item(self, name: str, path: str, spec: GraphTask, known: set[str]) -> Item:
        item = Item(name, path, spec)
        for key in AMOUNTS:
            text = getattr(spec, key)
            if text is not None:
                found = self._expression(f"{path}.{key.rstrip('_')}", text, known)
                if found is not None:
                    item.amounts[key] = found
        for key, target in (("holds", item.holds), ("allocate", item.holds), ("uses", item.uses)):
            for store, text in (getattr(spec, key) or {}).items():
                found = self._expression(f"{path}.{key}.{store}", text, known)
                if store not in self.buffers and not self._has_room(f"{path}.{key}.{store}", store):
                    continue
                if found is not None:
                    target[store] = found
        if spec.tasks is not None:
            item.count = self._expression(f"{path}.loop", spec.loop or "1", known)
            if item.count is not None and spec.loop is None:
                item.count = Expression("1")
        else:
            self._check_places(path, spec)
        return item

    def _has_room(self, path: str, store: str) -> bool:
        if store in self.memory or (self.site.known(store) and self.site.device(store) is not None):
            return True
        known = [*self.buffers, *self.memory, *self.site.places()]
        self._problem(
            path, "names neither a memory nor a buffer", store, "one of " + ", ".join(known), nearest(store, known)
        )
        return False

    def _check_places(self, path: str, spec: GraphTask) -> None:
        if spec.stream is not None and spec.stream not in (self.streams or {}):
            known = list(self.streams or {})
            self._problem(
                f"{path}.stream",
                "names an unknown stream",
                spec.stream,
                "one of " + (", ".join(known) or "streams: …"),
                nearest(spec.stream, known),
            )
        if spec.compute is not None:
            place = self.at(spec)
            if place is None:
                self._problem(path, "says not where it computes", expected="at: gpu0, or a stream with a place")
            elif self._place(f"{path}.at" if spec.at else path, place):
                self._try(path, lambda: self.site.engine(place))
        if spec.copy_ is not None and spec.from_ is not None and spec.to is not None:
            good = [self._place(f"{path}.{key}", place) for key, place in (("from", spec.from_), ("to", spec.to))]
            if all(good):
                self._try(path, lambda: self.site.fabric.route(spec.from_ or "", spec.to or ""))
        for rank in spec.ranks or ():
            self._place(f"{path}.ranks", rank)

    def at(self, spec: GraphTask) -> str | None:
        """Where a task computes: its own place or that of its stream."""
        if spec.at is not None or spec.stream is None:
            return spec.at
        stream = (self.streams or {}).get(spec.stream)
        return stream.at if stream is not None else None

    def _try(self, path: str, ask: Any) -> None:
        try:
            ask()
        except ScenarioError as error:
            for problem in error.problems:
                self._problem(path, f"cannot be: {problem.what}", problem.got, problem.expected, problem.nearest)

    # -- references ----------------------------------------------------------------------------------------------

    def _references(self, item: Item, key: str, around: list[Item], released: dict[Any, str]) -> None:
        for text in getattr(item.spec, key) or ():
            path = f"{item.path}.{key}"
            found = self._reference(path, text, around, item)
            if found is None:
                continue
            if key == "after":
                item.after.append(found)
                continue
            owner = next(other for other in around[-1 - found.levels].items if other.name == found.name)
            if not owner.holds:
                self._problem(path, "frees what was never allocated", text, "a task with holds or allocate")
            elif found.levels and any(_repeats(loop) for loop in around[len(around) - found.levels :]):
                self._problem(path, "frees in a loop what was allocated once, outside of it (a double free)", text)
            elif (found.name, found.levels, found.back) in released:
                other = released[found.name, found.levels, found.back]
                self._problem(path, f"frees what {other} frees too (a double free)", text, "one task that frees it")
            released[found.name, found.levels, found.back] = item.name
            item.releases.append(found)

    def _reference(self, path: str, text: str, around: list[Item], item: Item) -> Reference | None:
        name, mark, tail = text.partition("@")
        back = 0
        if mark:
            if not tail.startswith("-") or not tail[1:].isdigit() or int(tail) == 0:
                self._problem(path, "looks ahead, or nowhere", text, f"an earlier iteration, such as {name}@-1")
                return None
            back = -int(tail)
        for levels, loop in enumerate(reversed(around)):
            if any(other.name == name for other in loop.items):
                if back and not loop.name:
                    continue
                loop.deepest = max(loop.deepest, back)
                if name == item.name and not back and not levels:
                    self._problem(path, "waits for itself", text, f"another task, or {name}@-1")
                    return None
                return Reference(name, levels, back)
        known = [other.name for loop in around for other in loop.items]
        self._problem(path, "names an unknown task", text, "one of " + ", ".join(known), nearest(name, known))
        return None

    def _ordered(self, items: dict[str, Item], path: str) -> list[Item]:
        """The items so that each comes after those of the same iteration that it waits for."""
        waits = {
            name: [ref.name for ref in (*item.after, *item.releases) if not ref.levels and not ref.back]
            for name, item in items.items()
        }
        order: list[Item] = []
        done: set[str] = set()
        left = list(items)
        while left:
            ready = next((name for name in left if all(other in done for other in waits[name])), None)
            if ready is None:
                self._problem(f"{path}.{left[0]}", "is in a cycle", " -> ".join(_cycle(left, waits)))
                return order + [items[name] for name in left]
            left.remove(ready)
            done.add(ready)
            order.append(items[ready])
        return order


def _cycle(left: list[str], waits: dict[str, list[str]]) -> list[str]:
    seen: list[str] = []
    name = left[0]
    while name not in seen:
        seen.append(name)
        name = next(other for other in waits[name] if other in left)
    return [*seen[seen.index(name) :], name]


def _repeats(loop: Item) -> bool:
    return loop.count is None or loop.count.constant != 1


def _expressions(item: Item) -> Iterator[Expression]:
    yield from item.amounts.values()
    yield from item.holds.values()
    yield from item.uses.values()
    if item.count is not None:
        yield item.count
