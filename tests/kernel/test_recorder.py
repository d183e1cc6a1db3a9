"""Rows come back as the columns that went in, narrow inside, whatever the flushing."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.kernel.activity import Activity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.kernel.recorder import ROWS, Recorder, Table
from hwsim.kernel.slot import Slot

KINDS = {"i": "int", "f": "float", "b": "bool", "c": "category", "t": "text"}


def rows(n: int) -> list[tuple[int, float, bool, str, str]]:
    return [((-1) ** i * i**3, i / 7, i % 3 == 0, f"kind{i % 5}", f"request-{i}") for i in range(n)]


@pytest.mark.parametrize("n", [0, 1, ROWS - 1, ROWS, 3 * ROWS + 17])
@pytest.mark.parametrize("hot", [False, True])
def test_round_trip(n: int, hot: bool) -> None:
    table = Table(KINDS)
    push = table.buffer.append if hot else table.append
    for i, row in enumerate(rows(n)):
        push(row)
        if hot and i % 1000 == 0:
            table.trim()
    assert len(table) == n
    columns = table.columns()
    assert list(columns) == list(KINDS)
    assert [columns[k].dtype for k in "ifbct"] == [np.int64, np.float64, np.bool_, object, object]
    assert list(zip(*(column.tolist() for column in columns.values()), strict=True)) == rows(n)
    codes, names = table.categories("c")
    assert [names[code] for code in codes] == [row[3] for row in rows(n)]


def test_appends_after_reading_are_kept() -> None:
    table = Table({"i": "int"})
    push = table.buffer.append
    push((1,))
    assert table.columns()["i"].tolist() == [1]
    push((2,))
    assert table.columns()["i"].tolist() == [1, 2]


def test_integers_are_exact_up_to_64_bits_and_refused_beyond() -> None:
    table = Table({"i": "int"})
    for value in (2**63 - 1, -(2**63), 2**53 + 1):
        table.append((value,))
    assert table.columns()["i"].tolist() == [2**63 - 1, -(2**63), 2**53 + 1]
    table.append((2**63,))
    with pytest.raises(OverflowError):
        table.flush()


def test_small_values_take_little_memory() -> None:
    table = Table({"i": "int", "c": "category"})
    for i in range(4 * ROWS):
        table.append((i % 100, f"kind{i % 3}"))
    chunks = [chunk for column in table._chunks.values() for chunk in column]
    assert sum(chunk.nbytes for chunk in chunks) == 2 * len(table)


def test_wrong_rows_and_kinds_are_refused() -> None:
    table = Table({"i": "int", "f": "float"})
    table.append((1, 2.0))
    table.append((1, 2.0, 3))
    with pytest.raises(ValueError, match="2 values: i, f"):
        table.flush()
    with pytest.raises(ValueError, match="unknown kind"):
        Table({"i": "int12"})


def test_spans_counters_and_causes() -> None:
    clock, recorder = Clock(), Recorder()
    domain, stream = Domain(clock), Slot("stream")
    for name in ("first", "second"):
        Activity(domain, name, slots=[stream], fixed=5, owner="engine", on_done=recorder.activity).submit()
    clock.run()
    recorder.cause(1, 0, "slot")
    recorder.count("running", 5, 1)
    spans = recorder.spans.columns()
    assert spans["name"].tolist() == ["first", "second"]
    assert (spans["track"].tolist(), spans["owner"].tolist()) == (["stream"] * 2, ["engine"] * 2)
    assert [spans[k].tolist() for k in ("span", "submitted", "start", "end")] == [[0, 1], [0, 0], [0, 5], [5, 10]]
    assert recorder.causes.columns()["cause"].tolist() == [0]
    assert recorder.counters.columns()["value"].tolist() == [1.0]
