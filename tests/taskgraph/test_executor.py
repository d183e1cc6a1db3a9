"""Laws of the executor: order, conservation, folding, bounds of the makespan, memory."""

from __future__ import annotations

import pytest

from hwsim.errors import FitError
from hwsim.kernel.activity import Phase
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.recorder import Table
from hwsim.taskgraph import Executor, Segment, Work
from hwsim.taskgraph.deadlock import check_finished
from hwsim.taskgraph.executor import COLUMNS
from tests.taskgraph.programs import Machine, loop, outcome


def _run(seed: int, count: int, **options):
    machine = Machine(seed, **options)
    machine.executor.run([loop(machine, seed, count), loop(machine, seed + 1000, 5)])
    return machine


@pytest.mark.parametrize("seed", range(60))
def test_folded_equals_unfolded(seed: int) -> None:
    folded, unfolded = _run(seed, 400), _run(seed, 400, fold=False)
    assert outcome(folded) == outcome(unfolded)


def test_most_random_loops_fold() -> None:
    folded = [bool(_run(seed, 400).executor.skipped) for seed in range(60)]
    assert sum(folded) >= 45


@pytest.mark.parametrize("seed", range(40))
def test_a_task_that_cannot_contend_takes_as_long_without_sharing(seed: int) -> None:
    alone, shared = _run(seed, 30, fold=False), _run(seed, 30, shared=True)
    assert outcome(alone)["end"] == pytest.approx(outcome(shared)["end"], rel=1e-9, abs=20)
    assert outcome(alone)["counts"] == outcome(shared)["counts"]


@pytest.mark.parametrize("seed", range(30))
def test_streams_in_program_order_keep_order_and_never_overlap(seed: int) -> None:
    machine = _run(seed, 20, record=True, fold=False)
    rows = machine.table.columns()
    for name in ("s0", "s1", "s2"):
        mine = rows["track"] == name
        starts, ends = rows["start"][mine].tolist(), rows["end"][mine].tolist()
        assert starts == sorted(starts)
        assert all(after >= before for after, before in zip(starts[1:], ends, strict=False))
        blocks = [int(n.split("/")[0]) for n in rows["name"][mine]][: mine.sum() // 2]
        assert blocks == sorted(blocks)  # issued block after block


@pytest.mark.parametrize("seed", range(30))
def test_causes_end_before_what_they_cause(seed: int) -> None:
    machine = _run(seed, 20, record=True, fold=False)
    rows = machine.table.columns()
    end_of = dict(zip(rows["span"].tolist(), rows["end"].tolist(), strict=True))
    for cause, ready, start in zip(rows["cause"].tolist(), rows["ready"].tolist(), rows["start"].tolist(), strict=True):
        assert ready <= start
        assert cause < 0 or end_of[cause] == start


@pytest.mark.parametrize("seed", range(25))
def test_makespan_of_independent_tasks_lies_between_its_bounds(seed: int) -> None:
    machine = Machine(seed)
    executor = machine.executor
    streams = [executor.stream(f"own{i}") for i in range(12)]
    works = [machine.works[i % 6] for i in range(12)]

    def body(executor: Executor, index: int) -> None:
        for stream, work in zip(streams, works, strict=True):
            executor.task(work.name, stream, work)

    executor.run([Segment(1, body)])
    end = executor.clock.now
    busiest = max((a / c.rate * 1e12 for c, a in executor.delivered().items()), default=0)
    assert end >= busiest * (1 - 1e-9) - 20
    assert end >= max(work.ticks for work in works)
    assert end <= sum(work.ticks for work in works) + 20


def test_equal_copies_share_a_link_and_rest_goes_to_the_one_that_can_use_it() -> None:
    executor = Executor(Domain(Clock()))
    link, slow = Capacity("link", 9e9), Capacity("slow", 1e9)
    works = [Work("slow", phases=(Phase.transfer(1000, [link, slow]),))]
    works += [Work(f"fast{i}", phases=(Phase.transfer(4000, [link]),)) for i in range(2)]

    def body(executor: Executor, index: int) -> None:
        for work in works:
            executor.task(work.name, executor.stream(work.name), work)

    executor.run([Segment(1, body)])
    assert executor.clock.now == 1_000_000  # 1 GB/s for the slow one, 4 GB/s for each of the others


def test_blocks_are_issued_as_the_run_reaches_them() -> None:
    executor = Executor(Domain(Clock()))
    work = Work("w", fixed=10)
    stream = executor.stream("s")
    most = 0

    def body(executor: Executor, index: int) -> None:
        nonlocal most
        most = max(most, len(executor.blocks))
        executor.task("t", stream, work)

    executor.run([Segment(5000, body, ahead=3)])
    assert executor.clock.now == 50_000
    assert most == 4


def test_peak_is_explained_by_its_owners() -> None:
    for seed in range(20):
        pool = _run(seed, 50).store.pool
        assert sum(pool.owners_at_peak.values()) == pool.peak


def _hoarder(capacity: int | None) -> Executor:
    """Each of three tasks takes 40 and gives its memory back only when the next has run."""
    executor = Executor(Domain(Clock()))
    store, stream = executor.store("memory", capacity), executor.stream("s")
    work = Work("w", fixed=10)

    def body(executor: Executor, index: int) -> None:
        for number in range(3):
            gives = ((store, f"layer{number - 1}", 40),) if number else ()
            executor.task(f"load{number}", stream, work, takes=((store, f"layer{number}", 40),), gives=gives)

    executor.run([Segment(1, body)])
    return executor


def test_deadlock_names_tasks_owners_and_the_smallest_capacity() -> None:
    executor = _hoarder(79)
    with pytest.raises(FitError) as caught:
        check_finished(executor, lambda name, capacity: _hoarder(capacity))
    text = str(caught.value)
    for part in ("load1 on s", "memory memory", "layer0 40 B", "at least 80 B"):
        assert part in text
    check_finished(_hoarder(80))


def test_memory_is_given_in_the_order_of_asking() -> None:
    executor = Executor(Domain(Clock()), table=Table(COLUMNS))
    store = executor.store("memory", 100)
    work = Work("w", fixed=10)

    def body(executor: Executor, index: int) -> None:
        hold = executor.task("hold", executor.stream("a"), work, takes=((store, "hold", 60),))
        executor.task("rest", executor.stream("a"), work, (hold,), gives=((store, "hold", 60),))
        executor.task("large", executor.stream("b"), work, takes=((store, "large", 90),), gives=((store, "large", 90),))
        executor.task("small", executor.stream("c"), work, takes=((store, "small", 30),), gives=((store, "small", 30),))

    executor.run([Segment(1, body)])
    assert executor.table is not None
    rows = executor.table.columns()
    started = dict(zip(rows["name"].tolist(), rows["start"].tolist(), strict=True))
    assert started == {"hold": 0, "rest": 10, "large": 20, "small": 30}


def test_a_task_that_runs_takes_part_in_sharing_when_company_is_issued() -> None:
    executor = Executor(Domain(Clock()))
    link = Capacity("link", 1e9)
    copy = Work("copy", "copy", fixed=1000, phases=(Phase.transfer(4000, [link]),))
    wait = Work("wait", fixed=2_001_000)
    other = Work("other", "copy", phases=(Phase.transfer(1000, [link]),))

    def issue(name: str, work: Work):
        return Segment(1, lambda executor, index: executor.task(name, executor.stream(name), work), ahead=1)

    # the third block is issued when the first has ended: the copy, half way, was alone until then
    executor.run([issue("wait", wait), issue("copy", copy), issue("other", other)])
    # 2 us alone, then 1 kB each at half the rate (2 us), then the last kB alone
    assert executor.clock.now == 5_001_000
    assert link.delivered == 5000
