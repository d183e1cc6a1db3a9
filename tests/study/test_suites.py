"""Suites on a few rows each: what they simulate, what they refuse, and how a knee is found."""

from __future__ import annotations

from pathlib import Path

from hwsim.study.protocol import protocol
from hwsim.study.suites.edge import PART as EDGE
from hwsim.study.suites.energy import PART as ENERGY
from hwsim.study.suites.large_moe import PART as LARGE_MOE
from hwsim.study.suites.offload import PART as OFFLOAD
from hwsim.study.suites.online import PART as ONLINE
from hwsim.study.suites.saturated import PART as SATURATED

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


def edge_line(gpu: str, metric: str, value: float, *, mode: str = "GPU", isl: object = "", cards: object = 1) -> str:
    start = f'SEEN,s,llama.cpp b9999,meta-llama/Llama-3.1-8B,f,Q4_K_M,"{gpu}",{cards},,,,,{isl},'
    return f"{start},batch,1,{mode},{metric},{value},tokens/s,p,"


def test_one_sequence_on_cards_chips_and_boards(tmp_path: Path) -> None:
    gpus = ("Tower (Nvidia RTX 4090)", "M3 Max 40-Core GPU 64GB", "RTX 3090 24GB", "Pi 5 - 16GB")
    lines = [edge_line(gpu, "decode_speed", 100.0, mode="CPU" if "Pi" in gpu else "GPU") for gpu in gpus]
    rows = EDGE.run(file(tmp_path, *lines))
    speeds = {row.device: row.simulated or 0 for row in rows}
    assert list(speeds) == ["RTX-4090", "Apple-M3-Max", "RTX-3090", "raspberry-pi-5"]
    assert speeds["RTX-4090"] > speeds["RTX-3090"] > speeds["Apple-M3-Max"] > 10 > speeds["raspberry-pi-5"] > 1


def test_layers_on_two_cards_run_one_after_the_other(tmp_path: Path) -> None:
    rows = EDGE.run(file(tmp_path, *(edge_line("RTX 4090", "decode_speed", 100.0, cards=n) for n in (1, 2))))
    one, two = (row.simulated or 0 for row in rows)
    assert 0.9 < two / one < 1.02  # the servers that hold them have different processors


def test_edge_rows_that_lack_a_mechanism_say_which(tmp_path: Path) -> None:
    rows = EDGE.run(
        file(
            tmp_path,
            edge_line("RTX 4090", "peak_power", 300.0),
            edge_line("Pi 5 (Nvidia RTX 9999)", "decode_speed", 3.0),
            edge_line("RTX 4090", "decode_speed", 3.0, mode="GPU/CPU"),
        )
    )
    notes = [row.note for row in rows]
    assert all(row.simulated is None for row in rows)
    assert "wall socket" in notes[0] and "not built: device" in notes[1] and "share" in notes[2]


def test_prefill_starts_with_the_given_prompt(tmp_path: Path) -> None:
    lines = [edge_line("RTX 4090", "prefill_speed", 5000.0, isl=isl) for isl in (512, 4096)]
    short, long = (row.simulated or 0 for row in EDGE.run(file(tmp_path, *lines)))
    assert 0.5 < long / short < 1, "attention grows with the prompt"


def offload_line(
    engine: str, mode: str, metric: str = "output_throughput", batch: int = 4, model: str = "OPT-6.7B"
) -> str:
    gpu = '"T4 16GB, 208 GB DRAM, 1.5 TB SSD"'
    return f'SEEN,s,{engine},{model},f,,{gpu},1,,,,,64,9,batch,{batch},"{mode}",{metric},5.0,tokens/s,p,'


def test_offloading_systems_are_patterns(tmp_path: Path) -> None:
    tier = "lowest tier used: CPU"
    rows = OFFLOAD.run(
        file(
            tmp_path,
            offload_line("Hugging Face Accelerate", tier),
            offload_line("DeepSpeed ZeRO-Inference", tier),
            offload_line("FlexGen", tier, batch=32),
            offload_line("Petals", tier),
            offload_line("FlexGen", "somehow"),
        )
    )
    speeds = {row.engine: row.simulated for row in rows[:3]}
    assert speeds["FlexGen"] > speeds["DeepSpeed ZeRO-Inference"] > speeds["Hugging Face Accelerate"] > 0
    assert "Petals" in rows[3].note and "tier" in rows[4].note


def test_layers_and_experts_left_to_the_processor(tmp_path: Path) -> None:
    modes = ("all on CPU", "16 layers on GPU", "attention on GPU, experts on CPU")
    lines = [offload_line("llama.cpp", mode, "decode_speed", 1, "Mixtral-8x7B") for mode in modes]
    below, half, experts = (row.simulated or 0 for row in OFFLOAD.run(file(tmp_path, *lines)))
    assert 0 < below < experts < 3 * below and below < half < 2.2 * below


def moe_line(kind: str, load: str, metric: str, *, ep: int = 32, mode: str = "", length: int = 4096) -> str:
    start = f"SEEN,s,in-house,DeepSeek-V3,f,,H800,,,,{ep},,,{length}"
    return f"{start},{kind},{load},{mode},{metric},1000.0,{'ms' if metric == 'ttft' else 'tokens/s/GPU'},p,"


def test_steps_of_many_ranks(tmp_path: Path) -> None:
    rows = LARGE_MOE.run(
        file(
            tmp_path,
            moe_line("batch per GPU", "8K tokens", "prefill_throughput_per_gpu"),
            moe_line("batch per GPU", "16", "decode_throughput_per_gpu", mode="two micro-batches"),
            moe_line("batch per GPU", "", "decode_throughput_per_gpu"),
            moe_line("production day", "", "nodes_mean"),
            moe_line("", "", "ttft", mode="PD disaggregated").replace("tokens/s/GPU", "ms"),
        )
    )
    prefill, decode, *others = rows
    assert (prefill.simulated or 0) > (decode.simulated or 0) > 0 and "micro-batch" in decode.note
    assert [row.note.partition(":")[0] for row in others] == [
        "batch per GPU, length or expert parallelism not given",
        "production figure",
        "layout of prefill and decode workers not given",
    ]


def test_rows_of_a_fit_are_not_scored() -> None:
    known = protocol("inferencex")
    assert {known.split(engine, 4, 1024) for engine in ("vllm 0.11.0", "sglang 0.5", "trtllm 1.2")} == {"fit"}
    assert {known.split("vllm 0.11.0", 8, 1024), known.split("sglang 0.5", 4, 8192)} == {"score"}
    assert protocol("lab").split("vllm 0.11.0", 4, 1024) == "score"
