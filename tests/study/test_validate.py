"""Validation: names of publications, files of measurements good and damaged, and the whole command on a few rows."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.errors import ScenarioError
from hwsim.study import naming
from hwsim.study.cases import sample
from hwsim.study.layout import layout, undone
from hwsim.study.measured import points
from hwsim.study.suites.serving import PART as SERVING
from hwsim.study.suites.serving import gathered

HEAD = (
    "status,source,engine,model,family,precision,gpu,n_gpus,tp,pp,ep,dp,isl,osl,"
    "load_kind,load,mode,metric,value,unit,place,note"
)
POINT = (
    "SEEN,src,{engine},{model},f,{precision},{gpu},1,1,1,1,1,{isl},{osl},"
    "concurrency,{load},aggregated,{metric},{value},ms,p,"
)


def line(metric: str = "tpot", value: object = 8.0, **changes: object) -> str:
    fields = {"engine": "vllm 0.11", "model": "meta-llama/Llama-3.1-8B-Instruct", "precision": "", "gpu": "H100"}
    return POINT.format(**{**fields, "isl": 64, "osl": 16, "load": 2, "metric": metric, "value": value, **changes})


def file(folder: Path, *rows: str, name: str = "points.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "hf_id"),
    [
        ("LLaMA v3.1 8B", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
        ("Llama-2-70B", "meta-llama/Llama-2-70b-hf"),
        ("someone/Qwen3-32B-FP8-dynamic", "Qwen/Qwen3-32B"),
    ],
)
def test_models_by_the_names_that_people_write(name: str, hf_id: str) -> None:
    assert naming.model(name) == hf_id


def test_unknown_names_are_said() -> None:
    for call in (lambda: naming.model("no-such/model"), lambda: naming.gpu("Z9"), lambda: naming.engine("llamafile 1")):
        with pytest.raises(naming.Unknown):
            call()


def test_an_engine_version_is_taken_from_the_newest_profile_not_above_it() -> None:
    assert naming.engine("vllm 0.11.0") == ("vllm-0.11", "")
    profile, note = naming.engine("vLLM 0.12.0")
    assert profile == "vllm-0.11" and "0.12.0" in note
    assert "assumed" in naming.engine("vLLM")[1]


def test_gpus_come_in_a_node_that_holds_enough() -> None:
    assert naming.gpu("h100_sxm") == naming.gpu("H100") == "H100-SXM"
    assert naming.node("H100-SXM", 4) in ("dgx-h100", "hgx-h100")


def test_rows_of_a_configuration_are_gathered(tmp_path: Path) -> None:
    (point,) = points(file(tmp_path, line("tpot", 8), line("ttft", 20)))
    assert point.metrics == {"tpot": (8.0, "ms"), "ttft": (20.0, "ms")}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the columns"),
        ("a,b\n1,2\n", "lacks the columns"),
        (HEAD + "\n" + line(value="nan"), "not a finite number"),
        (HEAD + "\n" + line(value="fast"), "not a finite number"),
        (HEAD + "\n" + line(value="-1"), "not a finite number"),
    ],
)
def test_bad_files_name_their_rows(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=says) as caught:
        points(path)
    assert "bad.csv" in caught.value.problems[0].where


def test_a_truncated_archive_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress((HEAD + "\n" + line()).encode())[:-12])
    with pytest.raises(ScenarioError, match="cannot be read"):
        points(path)


def test_the_same_point_in_two_files_counts_once(tmp_path: Path) -> None:
    file(tmp_path, line("tpot", 8), line("ttft", 20), name="a.csv")
    export = tmp_path / "b.csv"
    export.write_text(
        "backend,backend_version,model_path,system,precision,mode,isl,osl,concurrency,tp_size,silicon_ttft_ms,silicon_tpot_ms\n"
        "vllm,0.11,meta-llama/Llama-3.1-8B-Instruct,h100_sxm,,agg,64,16,2,1,20.0,8.0\n"
        "vllm,0.11,meta-llama/Llama-3.1-8B-Instruct,h100_sxm,,disagg,64,16,2,1,9.0,8.5\n",
        encoding="utf-8",
    )
    assert len(gathered(tmp_path)) == 1


def test_points_are_simulated_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = file(tmp_path, line("tpot", 8), line("ttft", 20), line(gpu="Z9"), line(engine="llamafile 3"), line(load=""))
    rows = SERVING.run(path)
    done = [row for row in rows if row.simulated is not None]
    assert {row.metric for row in done} == {"tpot", "ttft"}
    assert all(row.simulated and 1 < row.simulated < 100 for row in done)
    assert sorted(row.note.split(":")[0] for row in rows if row.simulated is None) == [
        "load or lengths not given",
        "not built",
        "not built",
    ]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    path = file(tmp_path, line("tpot", 8), line("ttft", 20))
    assert main(["validate", "serving", "--data", str(path), "-o", "out"]) == 0
    assert "tpot" in capsys.readouterr().out
    assert "Validation against measured systems" in (tmp_path / "out" / "validation.md").read_text(encoding="utf-8")
    assert main(["validate", "serving", "--data", str(path), "--json"]) == 0
    (data,) = json.loads(capsys.readouterr().out)
    assert data["metrics"]["tpot"]["n"] == 1 and len(data["rows"]) == 2
    assert main(["validate", "servings"]) == 2
    assert "did you mean serving" in capsys.readouterr().err
    assert main(["validate", "serving", "--data", "nowhere"]) == 2
    assert main(["validate", "--data", str(path)]) == 2


@pytest.mark.data
def test_a_sample_of_the_measured_points(data_dir: Path) -> None:
    """Every 60th point that can be run: most TPOTs within 30 %, whatever the model and engine."""
    from hwsim.study.cases import run_cases

    kept = [case for case in SERVING.cases() if case.scenario is not None][::60]
    rows = [row for row in run_cases(kept) if row.metric == "tpot" and row.error is not None]
    assert rows and sum(abs(row.error or 0) < 0.3 for row in rows) > 0.7 * len(rows)


def test_times_are_kept_in_milliseconds(tmp_path: Path) -> None:
    text = line("ttft", 0.25).replace(",ms,", ",s,")
    (point,) = points(file(tmp_path, text, line("tpot", 8000).replace(",ms,", ",us,")))
    assert point.metrics == {"ttft": (250.0, "ms"), "tpot": (8.0, "ms")}
    with pytest.raises(ScenarioError, match="no unit of time"):
        points(file(tmp_path, line("ttft", 3).replace(",ms,", ",furlongs,")))


def test_a_time_that_beats_the_peak_is_refused_and_a_file_of_them_is_an_error(tmp_path: Path) -> None:
    loads = range(1, 9)
    good = [line("tpot", 8.0, load=load) for load in loads]
    rows = SERVING.run(file(tmp_path, *good, line("tpot", 0.5, load=9)))
    refused = [row for row in rows if row.simulated is None]
    assert [row.measured for row in refused] == [0.5] and "beats the peak" in refused[0].note
    with pytest.raises(ScenarioError, match=r"8 of 8 times per token beat the peak.*0\.008 ms"):
        SERVING.run(file(tmp_path, *(line("tpot", 0.008, load=load) for load in loads)))


def test_a_sample_has_every_group_and_is_the_same_each_time(tmp_path: Path) -> None:
    lines = [line("tpot", 8 + i, load=i + 1) for i in range(9)] + [line("tpot", 9, gpu="H200")]
    cases = list(SERVING.cases(file(tmp_path, *lines, line(gpu="Z9"))))
    some = sample(cases, 4)
    assert [case.rows[0].case for case in some] == [case.rows[0].case for case in sample(cases, 4)]
    devices = [case.rows[0].device for case in some if case.scenario is not None]
    assert devices.count("H100-SXM") == 3 and devices.count("H200-SXM") == 1
    assert sum(case.scenario is None for case in some) == 1, "what is skipped is counted whole"
    assert len(sample(cases, 1)) == len(cases)


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ({"tp": 4, "gpus": 4}, (4, 1, 1)),
        ({"tp": 4, "ep": 4, "gpus": 4}, (4, 1, 1)),
        ({"tp": 1, "ep": 8, "dp": 1, "gpus": 8}, (8, 1, 1)),
        ({"ep": 8, "dp": 8, "gpus": 8}, (1, 1, 8)),
        ({"tp": 2, "pp": 4, "gpus": 8}, (2, 4, 1)),
        ({"gpus": 4}, (4, 1, 1)),
        ({"gpus": 4, "engine": "llama.cpp"}, (1, 4, 1)),
        ({}, (1, 1, 1)),
    ],
)
def test_layouts_from_what_rows_give(groups: dict[str, object], found: tuple[int, int, int], tmp_path: Path) -> None:
    (point,) = points(file(tmp_path, line()))
    changed = replace(point, **({"tp": 0, "pp": 0, "ep": 0, "dp": 0, "gpus": 0} | groups))
    assert layout(changed)[:3] == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ((64, 1, 8), (8, 1, 8)),
        ((1, 16, 4), (1, 4, 4)),
        ((4, 4, 16), (4, 1, 4)),
        ((8, 1, 8), (8, 1, 8)),
        ((2, 4, 8), (2, 4, 8)),
        ((16, 1, 1), (16, 1, 1)),
    ],
)
def test_sizes_multiplied_by_expert_parallelism_are_taken_back(
    given: tuple[int, int, int], found: tuple[int, int, int], tmp_path: Path
) -> None:
    (point,) = points(file(tmp_path, line()))
    tp, dp, ep = given
    back = undone(replace(point, tp=tp, dp=dp, ep=ep, gpus=tp * dp))
    assert (back.tp, back.dp, back.ep) == found and back.gpus == found[0] * found[1]
    assert ("taken back" in back.note) == (given != found)
