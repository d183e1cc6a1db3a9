"""From a checked plan to blocks of tasks: each innermost loop is a segment, what stands beside it one block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hwsim.errors import ScenarioError
from hwsim.scenario.graph.plan import AHEAD, Item, Plan, Reference
from hwsim.taskgraph.program import Segment

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.site import Site
    from hwsim.taskgraph.store import Store
    from hwsim.taskgraph.stream import Stream
    from hwsim.taskgraph.task import Task
    from hwsim.taskgraph.work import Work

FREE = "event"  # the work of tasks that only take and give memory


class Scope:
    """One loop while it runs: the tasks of this iteration and of those that somebody looks back to."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.past: deque[dict[str, Any]] = deque(maxlen=item.deepest + 1)

    def next(self) -> None:
        """Another iteration."""
        self.past.appendleft({})


class Issue:
    """Issues a plan's tasks on a site; ``program()`` gives its segments."""

    def __init__(self, plan: Plan, site: Site) -> None:
        self.plan, self.site = plan, site
        self.executor: Executor = site.executor
        self.known = dict(plan.parameters)
        for name, stream in (plan.streams or {}).items():
            self.executor.stream(name, stream.order, stream.width)
        for name, places in plan.buffers.items():
            self.executor.store(name, places, "count")
        for name, capacity in plan.memory.items():
            site.store(name, capacity)

    def program(self) -> Iterator[Segment]:
        """All segments, made as the run reaches them."""
        root = Scope(self.plan.root)
        root.next()
        yield from self._level(self.plan.root, [root])

    def _level(self, item: Item, scopes: list[Scope]) -> Iterator[Segment]:
        """The items of one iteration: tasks that stand together are one block, each loop follows by itself."""
        together: list[Item] = []
        for child in item.items:
            if not child.is_loop:
                together.append(child)
                continue
            if together:
                yield self._block(together, scopes, item)
                together = []
            yield from self._loop(child, scopes)
        if together:
            yield self._block(together, scopes, item)

    def _block(self, items: list[Item], scopes: list[Scope], around: Item) -> Segment:
        known = dict(self.known)

        def body(executor: Executor, index: int) -> None:
            self.known = known
            for item in items:
                self._task(item, scopes)

        return Segment(1, body, ahead=_ahead(around), name=around.name)

    def _loop(self, item: Item, scopes: list[Scope]) -> Iterator[Segment]:
        count = self._number(item, "loop", item.count)
        if count != int(count):
            raise ScenarioError.of(
                "a loop needs a whole number of iterations",
                where=self.plan.scenario.origin(f"{item.path}.loop"),
                got=f"{count:g}",
            )
        scope = Scope(item)
        inside = [*scopes, scope]
        scopes[-1].past[0][item.name] = scope
        outside = dict(self.known)
        if any(child.is_loop for child in item.items):
            for index in range(int(count)):
                scope.next()
                self.known = outside | {item.name: index}
                yield from self._level(item, inside)
            self.known = outside
            return

        def body(executor: Executor, index: int) -> None:
            scope.next()
            self.known = outside | {item.name: index}
            for child in item.items:
                self._task(child, inside)
            self.known = outside

        yield Segment(int(count), body, ahead=_ahead(item), repeats=not item.varies, name=item.name)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _task(self, item: Item, scopes: list[Scope]) -> None:
        after: list[Task | None] = []
        for reference in item.after:
            after += self._tasks(reference, scopes)
        owner = item.spec.owner or item.name
        holds = self._claims(item, item.holds, owner)
        own = self._claims(item, item.uses, owner)
        gives = list(own)
        for reference in item.releases:
            for found in self._found(reference, scopes):
                after.append(found[0])
                gives += found[1]
        task = self.executor.task(
            item.name,
            self._stream(item),
            self._work(item),
            [before for before in dict.fromkeys(after) if before is not None],
            takes=(*holds, *own),
            gives=tuple(gives),
            also=self._also(item),
            owner=owner,
            priority=item.spec.priority or 0,
        )
        scopes[-1].past[0][item.name] = (task, holds)

    def _tasks(self, reference: Reference, scopes: list[Scope]) -> list[Task | None]:
        return [found[0] for found in self._found(reference, scopes)]

    def _found(self, reference: Reference, scopes: list[Scope]) -> list[tuple[Task | None, Any]]:
        """The tasks that a reference means: one, none before the first iteration, or those of a loop."""
        past = scopes[-1 - reference.levels].past
        if reference.back >= len(past):
            return []
        found = past[reference.back].get(reference.name)
        if isinstance(found, Scope):
            names = {id(task) for level in found.past for task in _leaves(level)}
            under_way = [
                task for block in self.executor.blocks if block.segment.name == found.item.name for task in block.tasks
            ]
            last = [task for level in found.past for task in _leaves(level)]
            return [(task, ()) for task in [*last, *[task for task in under_way if id(task) not in names]]]
        return [] if found is None else [found]

    def _claims(self, item: Item, amounts: dict[str, Any], owner: str) -> tuple[tuple[Store, str, int], ...]:
        claims = []
        for name, expression in amounts.items():
            store = self.executor.stores.get(name) or self.site.store(name)
            size = self._number(item, name, expression)
            claims.append((store, owner, int(size + 0.5)))
        return tuple(claims)

    def _number(self, item: Item, key: str, expression: Any) -> float:
        try:
            return expression.value(self.known)
        except ValueError as error:
            raise ScenarioError.of(
                str(error), where=self.plan.scenario.origin(f"{item.path}.{key}") or item.path
            ) from None

    def _amount(self, item: Item, key: str, default: float = 0.0) -> float:
        expression = item.amounts.get(key)
        return default if expression is None else self._number(item, key.rstrip("_"), expression)

    def _stream(self, item: Item) -> Stream:
        spec = item.spec
        if spec.stream is not None:
            return self.executor.stream(spec.stream)
        if spec.compute is not None:
            return self.executor.stream(str(self.plan.at(spec)))
        if spec.copy_ is not None:
            return self.executor.stream(f"{spec.from_}-{spec.to}")
        if spec.ranks:
            return self.executor.stream(f"{spec.ranks[0]}.collective")
        return self.executor.stream("host")

    def _also(self, item: Item) -> tuple[Stream, ...]:
        """The streams of the other ranks of a collective, where it has none of its own."""
        spec = item.spec
        if not spec.ranks or spec.stream is not None:
            return ()
        return tuple([self.executor.stream(f"{rank}.collective") for rank in spec.ranks[1:]])

    def _work(self, item: Item) -> Work:
        spec, site = item.spec, self.site
        latency = self._amount(item, "latency")
        if spec.compute is not None:
            return site.compute(
                item.name,
                str(self.plan.at(spec)),
                self._amount(item, "compute"),
                self._amount(item, "reads") + self._amount(item, "writes"),
                efficiency=spec.efficiency or 1.0,
                memory_efficiency=spec.memory_efficiency or 1.0,
                latency=latency,
            )
        if spec.copy_ is not None:
            how: dict[str, Any] = {}
            if "messages" in item.amounts:
                how["messages"] = max(int(self._amount(item, "messages")), 1)
            if spec.io_size is not None:
                how["io_size"] = spec.io_size
            if spec.queue_depth is not None:
                how["queue_depth"] = spec.queue_depth
            size = self._amount(item, "copy_")
            return site.write(item.name, str(spec.from_), str(spec.to), size, latency=latency, **how)
        if spec.collective is not None:
            from hwsim.taskgraph.collective import collective

            return collective(site, item.name, spec.collective, spec.ranks or [], self._amount(item, "size"), latency)
        if spec.wait is not None:
            return site.time(item.name, self._amount(item, "wait"))
        return site.time(item.name, 0.0, "allocate" if spec.allocate is not None else "free")


def _leaves(level: dict[str, Any]) -> list[Any]:
    found = []
    for entry in level.values():
        if isinstance(entry, Scope):
            found += [task for past in entry.past for task in _leaves(past)]
        else:
            found.append(entry[0])
    return found


def _ahead(item: Item) -> int:
    spec: Any = item.spec
    return AHEAD if spec is None or spec.ahead is None else spec.ahead
