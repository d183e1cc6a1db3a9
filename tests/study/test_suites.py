"""Suites on a few rows each: what they simulate, what they refuse, and how a knee is found."""

from __future__ import annotations

from pathlib import Path

from hwsim.study.suites.energy import PART as ENERGY
from hwsim.study.suites.online import PART as ONLINE
from hwsim.study.suites.saturated import PART as SATURATED
from hwsim.study.suites.single import PART as SINGLE

HEAD = (
    "status,source,engine,model,family,precision,gpu,n_gpus,tp,pp,ep,dp,isl,osl,"
    "load_kind,load,mode,metric,value,unit,place,note"
)


def file(folder: Path, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return path


def line(kind: str, load: object, metric: str, value: float, *, mode: str = "", isl: object = 64, osl: int = 9) -> str:
    start = "SEEN,s,vLLM 0.11,meta-llama/Llama-3.1-8B,f,,H100,1,1,1,1,1"
    return f"{start},{isl},{osl},{kind},{load},{mode},{metric},{value},ms,p,"


def sweep(capacity: float) -> list[str]:
    rates = (1, 10, 100_000)
    return [line("rate_rps", rate, "request_throughput", min(rate, capacity), mode="500 requests") for rate in rates]


def test_a_sweep_has_a_knee(tmp_path: Path) -> None:
    rows = ONLINE.run(file(tmp_path, *sweep(500)))
    (knee,) = [row for row in rows if row.metric == "knee"]
    assert (knee.measured, knee.simulated, knee.note) == (10, 10, "same step")
    assert "1 of 1 sweeps" in ONLINE.remarks(rows)[0]


def test_a_tpot_that_contradicts_its_own_row_is_refused(tmp_path: Path) -> None:
    given = {"e2e_mean": 100.0, "ttft_mean": 20.0, "tpot_mean": 5.0}
    rows = ONLINE.run(file(tmp_path, *(line("rate_rps", 2, name, value) for name, value in given.items())))
    found = {row.metric: row for row in rows}
    assert found["tpot_mean"].simulated is None and "refused" in found["tpot_mean"].note
    assert found["e2e_mean"].simulated is not None
    given["tpot_mean"] = 10.0
    rows = ONLINE.run(file(tmp_path, *(line("rate_rps", 2, name, value) for name, value in given.items())))
    assert all(row.simulated is not None for row in rows)


def test_a_static_batch_counts_input_and_output(tmp_path: Path) -> None:
    (row,) = SATURATED.run(file(tmp_path, line("batch", 4, "total_token_throughput", 1000.0)))
    assert row.simulated is not None and row.simulated > 0


def test_steady_batches_have_energy(tmp_path: Path) -> None:
    rows = ENERGY.run(
        file(
            tmp_path,
            line("max_num_seqs", 2, "energy_per_token", 0.5, isl="task gpqa"),
            line("max_num_seqs", 2, "itl_p50", 8.0, isl="task gpqa"),
        )
    )
    assert len(rows) == 2 and all(row.simulated is not None and row.simulated > 0 for row in rows)


def test_one_sequence_needs_no_scheduler(tmp_path: Path) -> None:
    rows = SINGLE.run(
        file(
            tmp_path,
            line("batch", 1, "decode_speed", 100.0).replace("vLLM 0.11", "llama.cpp"),
            line("batch", 1, "prefill_speed", 9000.0).replace("vLLM 0.11", "llama.cpp"),
            line("batch", 1, "peak_power", 300.0),
        )
    )
    assert {row.metric for row in rows} == {"decode_speed", "prefill_speed"}
    assert all(row.simulated is not None and row.simulated > 10 for row in rows)
