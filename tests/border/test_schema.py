"""The JSON Schema that editors use, and kinds that come from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.part import Parts
from hwsim.scenario.schema import short
from hwsim.scenario.schema.export import json_schema
from hwsim.scenario.schema.short import Choice


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(child) for child in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(child) for child in node))
    return set()


def test_the_schema_is_a_json_schema() -> None:
    schema = json.loads(json.dumps(json_schema(), allow_nan=False))
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    assert {
        "system",
        "serve",
        "train",
        "graph",
        "workload",
        "model",
        "slo",
        "assert",
        "study",
        "extends",
    } <= set(schema["properties"])
    for reference in _references(schema):
        assert reference.startswith("#/$defs/")
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


def test_the_schema_accepts_the_golden_files() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    import yaml

    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    for path in sorted((Path(__file__).parents[2] / "scenarios" / "golden").glob("*.yaml")):
        validator.validate(yaml.safe_load(path.read_text()))


def test_units_and_meanings_are_in_the_schema() -> None:
    defs = json_schema()["$defs"]
    assert "50 ms" in json.dumps(defs["Slo"]["properties"]["ttft"])
    assert defs["Closed"]["description"].startswith("A fixed number of clients")
    assert defs["Stream"]["properties"]["from"]


def test_every_kind_has_a_meaning() -> None:
    for question in Parts("hwsim.scenario.kinds").names():
        for name, model in Choice(question).models().items():
            assert model.__doc__ and model.__doc__.strip().endswith("."), (question, name)


def test_a_new_kind_is_one_new_file(tmp_path: Path) -> None:
    folder = tmp_path / "workload" / "arrivals"
    folder.mkdir(parents=True)
    (folder / "bursts.py").write_text(
        "from typing import Literal\n"
        "from hwsim.scenario.schema.quantity import Rate\n"
        "from hwsim.scenario.schema.record import Kind\n"
        "class Parameters(Kind):\n"
        "    '''Bursts.'''\n"
        "    kind: Literal['bursts']\n"
        "    rate: Rate\n"
    )
    Parts.add_folder(tmp_path)
    short._models.cache_clear()
    try:
        models = Choice("arrivals", "hwsim.workload.arrivals").models()
        assert models["bursts"].model_validate({"kind": "bursts", "rate": "3 /s"}).rate == 3.0
    finally:
        Parts.remove_folder(tmp_path)
        short._models.cache_clear()
