"""The terminal table fits a screen and puts the answer first and warnings last."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from hwsim.metrics.summary import summary
from hwsim.view._numbers import gibibytes, milliseconds, plain, share, usd
from hwsim.view.screen import screen

from ..metrics.synthetic import synthetic


def lines(facts: dict[str, Any], tables: dict[str, Any]) -> list[str]:
    console = Console(width=80, file=None, record=True, force_terminal=False, quiet=False)
    with console.capture() as capture:
        console.print(screen(summary(facts, tables)))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_one_screen() -> None:
    facts, tables, _ = synthetic(400, rejected=2, slo={"ttft_s": 0.1, "tpot_s": 0.02})
    found = lines(facts, tables)
    assert len(found) <= 36
    assert max(map(len, found)) <= 80
    text = "\n".join(found)
    assert found[0] == "synthetic · seed 7"
    assert found[1].startswith("Llama-3.1-8B-Instruct on 1×H100-SXM serves ")
    assert "reading weights and KV alone allows 179 (" in text
    assert "HBM" in text and "█" in text
    assert "TTFT ≤ 100 ms, TPOT ≤ 20 ms" in text
    assert text.rindex("! ") > text.index("simulated")
    assert "400 arrived, 398 completed, 2 rejected, 0 unfinished" in text


def test_names_are_no_markup() -> None:
    facts, tables, _ = synthetic(20, name="[red]x[/red] [link=evil]")
    facts["warnings"] = ["[bold]careful[/bold]"]
    text = "\n".join(lines(facts, tables))
    assert "[red]x[/red] [link=evil]" in text
    assert "[bold]careful[/bold]" in text


def test_missing_figures_and_many_warnings() -> None:
    facts, tables, _ = synthetic(4, horizon_s=0.0)
    facts |= {
        "energy": {},
        "prices": {},
        "bound": {},
        "memory": {},
        "warnings": [f"warning {i}" for i in range(20)],
    }
    text = "\n".join(lines(facts, tables))
    assert "completes none of 4 requests" in text
    assert "more in the report" in text
    assert "warning 0" in text and "warning 19" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (7.256, "7.26"),
        (10.24, "10.2"),
        (999.6, "1,000"),
        (1234567, "1,234,567"),
        (0.0612, "0.0612"),
    ],
)
def test_plain_numbers(value: float | None, text: str) -> None:
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 ms"),
        (0.25, "250 µs"),
        (9.1, "9.10 ms"),
        (999.7, "1.00 s"),
        (61234.0, "61.2 s"),
        (3.6e6, "60 min"),
    ],
)
def test_times(value: float, text: str) -> None:
    assert milliseconds(value) == text


def test_other_numbers() -> None:
    assert [share(v) for v in (None, 0.0, 0.5, 0.845, 0.9998, 1.0)] == [
        "–",
        "0 %",
        "50 %",
        "84.5 %",
        "100 %",
        "100 %",
    ]
    assert [gibibytes(v) for v in (None, 80 * 2.0**30, 15.5 * 2.0**20, 12)] == [
        "–",
        "80 GiB",
        "15.5 MiB",
        "12 B",
    ]
    assert [usd(v) for v in (None, 1.5, 0.0123)] == ["–", "$1.50", "$0.0123"]
