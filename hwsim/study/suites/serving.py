"""Closed-loop serving points: TTFT and TPOT at a fixed number of clients, for every model, GPU and engine measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwsim.study import naming
from hwsim.study.cases import Case, rows_of, scenario_of, skipped
from hwsim.study.layout import undone
from hwsim.study.measured import Point, columns, data_folder, lines, number, points, whole
from hwsim.study.protocol import Protocol, protocol
from hwsim.study.suite import Suite

NAME = "serving"
EXPORT = ("backend", "model_path", "system", "isl", "osl", "concurrency", "silicon_ttft_ms", "silicon_tpot_ms")


class Serving(Suite):
    """Aggregated rows, one row per configuration and metric; the two files overlap, an id counts once."""

    title = "closed-loop serving points"
    peers = "median/p90 of the best analytic peer on the same rows: TPOT 17/57 %, TTFT 54/92 %"
    targets = "TPOT 10/30 %, TTFT 20/50 %"
    misses = (
        "TPOT: its tail are rows in which several tokens a step cannot be ruled out (twice as fast as equal "
        "configurations of another date), nightly versions and attention with data parallelism. TTFT is a fifth off "
        "in the median; far too short where a server compiled kernels during the run (seconds for prompts of 8,192 "
        "tokens under SGLang on Blackwell, by date), where ranks wait for each other before they let prompts in, and "
        "where launch options of scripts were not recorded. It also moves by tens of per cent with what is assumed "
        "of the client (below)"
    )

    files = ("measured/silicon_serving_points.csv", "gpu_kernels/e2e_serving_public.csv.gz")
    every = 8

    def points(self, data: Path | None = None) -> Iterator[Point]:
        """Aggregated points, without repetition."""
        return iter(gathered(data))

    def client(self, point: Point) -> Protocol:
        """Dated rows are InferenceX runs, the others laboratory runs."""
        return protocol("inferencex" if "measured 20" in point.note else "lab")

    def cases_of(self, point: Point, load: Protocol) -> list[Case]:
        """One case."""
        return [case_of(point, load)]


def gathered(data: Path | None) -> list[Point]:
    """Aggregated points of both formats, without repetition."""
    if data is None:
        root = data_folder()
        paths = [root / name for name in Serving.files if (root / name).is_file()]
    else:
        paths = sorted(path for path in data.iterdir() if ".csv" in path.suffixes) if data.is_dir() else [data]
    found: dict[str, Point] = {}
    for path in paths:
        for point in map(undone, _read(path)):
            if point.mode.startswith("agg") and point.gpus <= 16:
                found.setdefault(_identity(point), point)
    return list(found.values())


def _identity(point: Point) -> str:
    values = sorted((name, f"{value:.3g}") for name, (value, _) in point.metrics.items())
    return f"{point.model}|{point.gpu.split('_')[0].casefold()}|{point.isl}|{point.osl}|{point.load}|{values}"


def _read(path: Path) -> list[Point]:
    exported = "silicon_ttft_ms" in columns(path)
    return list(_exported(path)) if exported else points(path)


def _exported(path: Path) -> Iterator[Point]:
    """The original export: one line per point with both figures."""
    for line, row in lines(path, EXPORT):
        figures = {"ttft": number(row["silicon_ttft_ms"]), "tpot": number(row["silicon_tpot_ms"])}
        tp, pp, dp = (whole(row.get(name, "")) for name in ("tp_size", "pp_size", "attention_dp_size"))
        yield Point(
            path.name,
            line,
            engine=f"{row['backend']} {row.get('backend_version', '')}".strip(),
            model=row["model_path"],
            precision=row.get("precision", ""),
            gpu=row["system"],
            isl=row["isl"],
            osl=row["osl"],
            load_kind="concurrency",
            load=row["concurrency"],
            mode="aggregated" if row.get("mode", "agg") == "agg" else "disaggregated",
            place=f"{path.name} id={row.get('id', '')}",
            note="" if "gap" in row.get("source", "") else f"measured {row.get('measured', '')}",
            source=row.get("source", ""),
            family=row["model_path"].rpartition("/")[2],
            tp=tp,
            pp=pp,
            dp=dp,
            ep=whole(row.get("moe_ep_size", "")),
            gpus=max(tp, 1) * max(pp, 1) * max(dp, 1),
            metrics={name: (value, "ms") for name, value in figures.items() if value},
        )


def case_of(point: Point, load: Protocol) -> Case:
    """One point as a scenario, or the reason why it is none."""
    rows = rows_of(NAME, point, [name for name in ("ttft", "tpot") if name in point.metrics])
    clients = whole(point.load)
    if not clients or not whole(point.isl) or not whole(point.osl):
        return skipped(rows, "load or lengths not given")
    try:
        scenario, assumed = scenario_of(point, load, isl=whole(point.isl), osl=whole(point.osl), clients=clients)
    except naming.Unknown as unknown:
        return skipped(rows, f"not built: {unknown}")
    for row in rows:
        row.split = load.split(point.engine, clients, whole(point.isl))
        row.note = "; ".join(text for text in (assumed, point.note.partition("; ")[2]) if text)
    return Case(rows, [f"{row.metric}.{load.statistic}" for row in rows], scenario)


PART = Serving()
