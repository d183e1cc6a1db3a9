"""A validation told: errors by metric and group, pairs in order, spreads, what was skipped, as text and as a report."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.metrics import interval
from hwsim.study.page import Page, number, percent
from hwsim.study.rows import Row, covered, errors_of, grouped, ordered
from hwsim.study.spread import borrows, fitted, kind_of
from hwsim.study.validation import SUITES, Validated, by_metric, group_name


def summary_rows(results: Sequence[Validated]) -> list[tuple[str, ...]]:
    """One line per suite and metric."""
    rows = []
    for result in results:
        for metric, members in by_metric(result.simulated).items():
            found = errors_of(members)
            assert found is not None
            pairs, right = ordered(members)
            known, inside = covered(members)
            rows.append(
                (
                    result.name,
                    metric,
                    str(found.n),
                    percent(found.median, False),
                    percent(found.p90, False),
                    percent(found.bias),
                    f"{right / pairs * 100:.1f} % of {pairs:,}" if pairs else "",
                    f"{inside / known * 100:.0f} %" if known else "",
                )
            )
        if not result.simulated and not result.scores:
            rows.append((result.name, "", "0", "", "", "", "", ""))
    return rows


HEAD = ("suite", "metric", "n", "median", "p90", "bias", "pairs in order", "80 % interval covers")
GROUPS = ("model | device | engine", "metric", "n", "median", "p90", "bias")


def group_rows(result: Validated) -> list[tuple[str, ...]]:
    """One line per group and metric of a suite."""
    rows = []
    for name, members in sorted(grouped(result.simulated, group_name).items()):
        for metric, some in by_metric(members).items():
            found = errors_of(some)
            assert found is not None
            errors = (percent(found.median, False), percent(found.p90, False), percent(found.bias))
            rows.append((name, metric, str(found.n), *errors))
    return rows


def page(results: Sequence[Validated], command: str) -> Page:
    """The report of a validation."""
    made = Page("Validation against measured systems", command)
    made.text(
        "Errors are relative, simulated over measured minus one: median and 90th percentile of their size, bias is "
        "the median with its sign. No cost was fitted on a row that is scored here. Some assumptions were chosen with "
        "these residuals in view, and their rows are not set apart: 8-bit KV of InferenceX rows and of quantised "
        "TensorRT-LLM and MLPerf rows, vLLM 0.11 for ML.ENERGY, that graphics boards of the Blackwell design "
        "borrow costs from Ada, which runs the same kernels, and not from data-centre Blackwell, the pace at which "
        "hosts of TensorRT-LLM and SGLang issue kernels outside graphs, how often SGLang's servers of two models "
        "receive requests, asynchronous scheduling from vLLM 0.14 on, the share of peak that warp-level expert "
        "kernels keep on Hopper and Blackwell, group sizes that an export multiplied by the expert parallelism and "
        "are divided by it here, and what a knee is: the last rate below a sweep's highest throughput. How far apart "
        "devices lie that are programmed differently was set with the replay of an RTX-PRO-6000 in view. "
        "Pairs in order counts pairs of configurations of the same model and lengths whose measured values "
        "differ by more than 10 %."
    )
    made.table(HEAD, summary_rows(results), numbers=range(2, 8))
    _spreads(made, [row for result in results for row in result.simulated])
    for result in results:
        made.heading(f"{result.name}: {result.title}")
        count = sum(result.skipped.values())
        if result.scores:
            count, text = 0, f"{sum(row['n'] for row in result.scores):,} rows scored in {result.seconds:.0f} s."
        else:
            text = f"{len(result.simulated):,} of {len(result.rows):,} rows simulated in {result.seconds:.0f} s."
            if result.every > 1:
                text += f" A fixed sample: one in {result.every} of each model, device and engine; all with --full."
        made.text(
            " ".join(
                part
                for part in (
                    text,
                    f"Targets: {result.targets}." if result.targets else "",
                    f"Peers: {result.peers}." if result.peers else "",
                )
                if part
            )
        )
        for remark in (*result.remarks, f"What is off, and why: {result.misses}" if result.misses else ""):
            made.text(remark)
        if result.scores:
            head, *cells = SUITES.get(result.name).cells(result.scores)
            made.table(head, cells, numbers=range(3, 7))
            continue
        made.table(GROUPS, group_rows(result), numbers=range(2, 6))
        if result.sensitivity:
            made.text("Sensitivity to what is assumed of the client, on a sample of the points:")
            made.table(("client", "metric", "n", "median", "p90", "bias"), _sensitivity(result), numbers=range(2, 6))
        if count:
            made.text(f"{count:,} rows were not simulated:")
            made.table(("reason", "rows"), [(reason, f"{n:,}") for reason, n in result.skipped.items()], numbers=(1,))
        worst = sorted(result.simulated, key=lambda row: -abs(row.error or 0))[:10]
        made.text("The ten largest errors:")
        made.table(
            ("case", "device", "engine", "metric", "measured", "simulated", "error", "note"),
            [
                (
                    row.case,
                    row.device,
                    row.engine,
                    row.metric,
                    number(row.measured),
                    number(row.simulated),
                    percent(row.error),
                    row.note,
                )
                for row in worst
            ],
            numbers=(4, 5, 6),
        )
    return made


def _spreads(made: Page, rows: Sequence[Row]) -> None:
    """How far the 80 % intervals reach, what the calibrating third says they should, and how many rows they hold."""
    found = fitted(rows)
    if not found:
        return
    made.text(
        "80 % intervals of runs reach 1.28 spreads (standard deviations of the logarithm) to either side. A spread is "
        "fitted on a third of the groups and committed; the rows of the other two thirds say how often it holds."
    )
    cells = []
    for kind, costs, count, size in found:
        committed = interval.spread(kind, borrowed=costs == "borrowed")
        if committed is None:
            continue
        mine = [row for row in rows if kind_of(row.metric) == kind and borrows(row.device) == (costs == "borrowed")]
        known, inside = covered(mine)
        holds = f"{inside / known:.0%} of {known:,}" if known else ""
        cells.append((kind, costs, f"{count:,}", f"{size:.2f}", f"{committed:.2f}", holds))
    made.table(
        ("figure", "costs", "rows of the third", "their spread", "committed", "holds"), cells, numbers=range(2, 6)
    )


def _sensitivity(result: Validated) -> list[tuple[str, ...]]:
    rows = []
    for title, some in result.sensitivity:
        for metric, members in by_metric(some).items():
            found = errors_of(members)
            if found is not None:
                errors = (percent(found.median, False), percent(found.p90, False), percent(found.bias))
                rows.append((title, metric, str(found.n), *errors))
    return rows


def lines(results: Sequence[Validated], *, groups: bool = False) -> list[str]:
    """The table for a terminal."""
    out = _columns([HEAD, *summary_rows(results)], {2, 3, 4, 5, 6, 7})
    for result in results:
        if groups:
            out += ["", result.name, *_columns([GROUPS, *group_rows(result)], {2, 3, 4, 5})]
        if result.peers and result.simulated:
            out.append(f"{result.name}: peers: {result.peers}")
        out += [f"{result.name}: {remark}" for remark in result.remarks]
        if result.scores:
            out += ["", *_columns(SUITES.get(result.name).cells(result.scores), set(range(3, 7)))]
        if result.skipped:
            total = sum(result.skipped.values())
            first = ", ".join(f"{reason} ({count})" for reason, count in list(result.skipped.items())[:6])
            out.append(f"{result.name}: {total:,} rows not simulated: {first}")
    return out


def _columns(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    made = []
    for row in rows:
        cells = (
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        made.append("  ".join(cells).rstrip())
    return made
