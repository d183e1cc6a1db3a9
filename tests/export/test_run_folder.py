"""Run folders come back as they were, appear at once, and damaged ones are told clearly."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import ScenarioError
from hwsim.export import run_folder as module
from hwsim.export._replacing import replacing
from hwsim.export.run_folder import PART, read_run_folder, write_run_folder
from hwsim.metrics.digest import digest

from ..metrics.synthetic import RESOLVED
from .saved import MANIFEST, save


def test_a_run_comes_back_with_the_same_digest(tmp_path: Path) -> None:
    outcome, tables = save(tmp_path / "run", 150, rejected=2)
    summary, manifest, read = read_run_folder(tmp_path / "run")
    assert summary == outcome
    assert manifest["digest"] == outcome["digest"]
    assert set(read) == set(tables)
    assert read["requests"]["status"] == tables["requests"]["status"]
    assert np.array_equal(read["requests"]["finish_s"], tables["requests"]["finish_s"], equal_nan=True)
    assert digest(summary, read) == outcome["digest"]
    assert (tmp_path / "run" / "scenario.yaml").read_text() == RESOLVED
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"summary.json", "manifest.json", "vllm.json", "report.html", "requests.parquet"} <= names


def test_an_empty_table_and_a_run_without_tables(tmp_path: Path) -> None:
    outcome, _ = save(tmp_path / "run", 3, horizon_s=0.0)
    assert digest(outcome, read_run_folder(tmp_path / "run")[2]) == outcome["digest"]
    write_run_folder(tmp_path / "off", RESOLVED, MANIFEST, outcome, {}, None)
    assert read_run_folder(tmp_path / "off")[2] == {}
    assert not (tmp_path / "off" / "report.html").exists()


def test_an_earlier_run_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    first, _ = save(tmp_path / "run", 40)
    (tmp_path / "run" / "stale.parquet").write_bytes(b"x")
    second, _ = save(tmp_path / "run", 50)
    assert first["digest"] != second["digest"] == read_run_folder(tmp_path / "run")[0]["digest"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name in ("mine", "file"):
        with pytest.raises(ScenarioError, match="is not a run folder; it is left alone"):
            save(tmp_path / name, 5)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    save(tmp_path / "empty", 5)


def test_a_failed_write_leaves_the_old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = save(tmp_path / "run", 40)

    def broken(path: Path, table: object) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(module, "write_parquet", broken)
    with pytest.raises(RuntimeError):
        save(tmp_path / "run", 50)
    assert read_run_folder(tmp_path / "run")[0]["digest"] == first["digest"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ScenarioError, match="cannot be written"):
        save(tmp_path / "file" / "run", 5)
    with (
        pytest.raises(ScenarioError, match="cannot be written"),
        replacing(tmp_path / "none" / ("x" * 300)) as fresh,
    ):
        fresh.write_text("x")


def test_latest_leads_to_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "runs" / "a", 10)
    b, _ = save(tmp_path / "runs" / "b", 12)
    assert read_run_folder(tmp_path / "runs" / "latest")[0] == b
    assert (tmp_path / "runs" / "latest").is_symlink()

    def no_links(*_: object, **__: object) -> None:
        raise OSError("no privilege")

    monkeypatch.setattr(os, "symlink", no_links)
    monkeypatch.setattr(Path, "symlink_to", no_links)
    c, _ = save(tmp_path / "runs" / "c", 14)
    assert (tmp_path / "runs" / "latest").read_text() == "c\n"
    assert read_run_folder(tmp_path / "runs" / "latest")[0] == c


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("summary.json", b"{", r"summary.json: is damaged"),
        ("summary.json", b"[]", r"summary.json: is damaged; got list"),
        ("summary.json", b"\xff\xfe", r"summary.json: is damaged"),
        ("summary.json", None, r"summary.json: is missing"),
        ("requests.parquet", b"PAR1 nonsense PAR1", r"requests.parquet: is damaged"),
        ("steps.parquet", b"", r"steps.parquet: is damaged"),
        ("manifest.json", None, r"is not a run folder"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, file: str, content: bytes | None, says: str) -> None:
    save(tmp_path / "run", 10)
    path = tmp_path / "run" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ScenarioError, match=says):
        read_run_folder(tmp_path / "run")


def test_all_damage_is_told_at_once(tmp_path: Path) -> None:
    save(tmp_path / "run", 10)
    (tmp_path / "run" / "summary.json").write_text("{")
    (tmp_path / "run" / "steps.parquet").write_text("")
    PART_TABLE = {"request_id": ["a"]}
    module.write_parquet(tmp_path / "run" / "requests.parquet", PART_TABLE)
    with pytest.raises(ScenarioError) as caught:
        read_run_folder(tmp_path / "run")
    assert len(caught.value.problems) == 3
    assert "lacks the columns arrival_s" in str(caught.value)
    with pytest.raises(ScenarioError, match="no such run folder"):
        read_run_folder(tmp_path / "nowhere")


def test_a_copy_is_a_whole_run(tmp_path: Path) -> None:
    save(tmp_path / "run", 20)
    PART.write(tmp_path / "run", tmp_path / "copy")
    assert read_run_folder(tmp_path / "copy")[0] == read_run_folder(tmp_path / "run")[0]
    assert json.loads((tmp_path / "copy" / "manifest.json").read_text())["hwsim"] == "0.1.0"
    assert (tmp_path / "copy" / "report.html").read_text() == "<html>report</html>"
