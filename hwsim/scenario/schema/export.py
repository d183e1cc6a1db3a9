"""The scenario language as a JSON Schema (draft 2020-12), with the meaning of each key and its unit."""

from __future__ import annotations

from typing import Any

from hwsim.scenario.schema.record import DEFINED, DEFINED_AS
from hwsim.scenario.schema.spec import LANGUAGE, Spec


def _inheritable(part: dict[str, Any]) -> None:
    """Allow null for every key, and leave keys out that a file may inherit; ``kind`` is what tells kinds apart."""
    properties = part.get("properties", {})
    for key, value in properties.items():
        if key != "kind":
            properties[key] = _or_null(value)
            _inheritable(properties[key])
    members = part.get("additionalProperties")
    if isinstance(members, dict):
        part["additionalProperties"] = _or_null(members)
    for pattern, value in part.get("patternProperties", {}).items():
        part["patternProperties"][pattern] = _or_null(value)
    if "required" in part:
        part["required"] = [key for key in part["required"] if key == "kind"]
    for arm in part.get("anyOf", ()):
        _inheritable(arm)


def _or_null(value: dict[str, Any]) -> dict[str, Any]:
    if not value or {"type": "null"} in value.get("anyOf", ()):
        return value
    return {"anyOf": [value, {"type": "null"}]}


def _definitions() -> dict[str, Any]:
    """Every record that the schema, or a definition of it, refers to."""
    found: dict[str, Any] = {}
    while missing := sorted(DEFINED.keys() - found.keys()):
        for name in missing:
            part = DEFINED[name].model_json_schema(by_alias=True)
            found[name] = part.get("$defs", {}).get(name, part)  # a record within itself is already a reference
    return dict(sorted(found.items()))


def _referring(part: Any) -> Any:
    """The schema with references where records were promised."""
    if isinstance(part, list):
        return [_referring(item) for item in part]
    if not isinstance(part, dict):
        return part
    if DEFINED_AS in part:
        part = {"$ref": f"#/$defs/{part[DEFINED_AS]}", **{key: part[key] for key in part if key != DEFINED_AS}}
    if isinstance(part.get("mapping"), dict) and "propertyName" in part:
        return {**part, "mapping": {kind: _referring(arm)["$ref"] for kind, arm in part["mapping"].items()}}
    return {key: _referring(value) for key, value in part.items()}


def json_schema() -> dict[str, Any]:
    """The schema of a scenario file.  Null is allowed everywhere, because it removes what a file inherits."""
    schema = Spec.model_json_schema(by_alias=True)
    schema = _referring({**schema, "$defs": _definitions()})
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = f"hwsim scenario, language version {LANGUAGE}"
    for part in [schema, *schema["$defs"].values()]:
        _inheritable(part)
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "a scenario file, relative to this one, that this one changes",
    }
    return schema
