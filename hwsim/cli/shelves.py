"""The registries that ``hwsim show`` lists: catalogue files, one-file parts, engine profiles, metrics, traces.

A shelf gives the names on it with a line about each, and the full text behind a name.  Nothing is imported that the
shelf asked for does not need.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.part import Parts


@dataclass(frozen=True)
class Shelf:
    """One registry: ``names`` gives each name with a line about it, ``text`` all there is about one."""

    title: str
    names: Callable[[], dict[str, str]]
    text: Callable[[str], str]


def shelves() -> dict[str, Shelf]:
    """All shelves by the word that one types after ``hwsim show``."""
    return {
        "metrics": Shelf("names for slo, assert, study and claims", _metrics, lambda name: _metrics()[name]),
        "devices": Shelf("devices that a node can hold", lambda: _products(node=False), _product),
        "nodes": Shelf("machines for system.node", lambda: _products(node=True), _product),
        "models": Shelf("models by Hugging Face id", _models, _model),
        "engines": Shelf("engine profiles for serve.engine", _engines, _reader(_catalogue("hwsim.serving.engines"))),
        "presets": Shelf("names for lengths of kind preset, fitted to real traces", _presets, _preset),
        "clients": Shelf("names for workload.clients.preset, fitted to production services", _clients, _client),
        "traces": Shelf("request traces in the folders of HWSIM_DATA", _traces, trace_statistics),
        "arrivals": _parts("hwsim.workload.arrivals", "arrivals", "kinds for workload.arrivals"),
        "lengths": _parts("hwsim.workload.lengths", "lengths", "kinds for input_tokens and output_tokens"),
        "routers": _parts("hwsim.serving.policies.router", "router", "kinds for serve.router and serve.decode_router"),
        "handovers": _parts("hwsim.serving.policies.handover", "handover", "kinds for serve.handover"),
        "schedulers": _parts("hwsim.serving.schedulers", "", "how engines schedule, named by engine profiles"),
        "patterns": _parts("hwsim.taskgraph.patterns", "execute", "kinds for serve.execute: how one step runs"),
        "networks": _parts("hwsim.hardware.networks", "network", "kinds for system.network"),
        "readers": _parts("hwsim.workload.traces", "", "formats for workload.format, of request traces"),
        "formats": _parts("hwsim.export", "", "formats for hwsim export"),
        "suites": _parts("hwsim.study.suites", "", "suites for hwsim validate"),
    }


def _catalogue(package: str) -> Callable[[], dict[str, Path]]:
    """The YAML files of a package's folder (and of the same folder under ``--parts``), by name."""

    def files() -> dict[str, Path]:
        parent, _, folder = package.rpartition(".")
        places = [place / folder for place in Parts(parent).folders()]
        return {path.stem: path for place in places for path in sorted(place.glob("*.yaml"))}

    return files


def _reader(files: Callable[[], dict[str, Path]]) -> Callable[[str], str]:
    return lambda name: files()[name].read_text(encoding="utf-8").rstrip()


def _products(*, node: bool) -> dict[str, str]:
    from hwsim.hardware.catalogue import files, load

    entries = [(load(path), path) for path in files().values()]
    found = {
        entry["name"]: f"{entry['kind'] + ':':<5} {_first_comment(path)}" if not node else _first_comment(path)
        for entry, path in entries
        if (entry["kind"] == "node") == node
    }
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def _product(name: str) -> str:
    from hwsim.hardware.catalogue import files

    return files()[name.casefold()].read_text(encoding="utf-8").rstrip()


def _first_comment(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        line = file.readline().strip()
    return line.lstrip("# ") if line.startswith("#") else ""


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def _parts(package: str, question: str, title: str) -> Shelf:
    """Parts with the first line of what they say about themselves, read without importing them."""
    parts = Parts(package)

    def names() -> dict[str, str]:
        return {name: _first_line(_document(parts, question, name)) for name in parts.names()}

    return Shelf(title, names, lambda name: _described(parts, question, name))


def _document(parts: Parts, question: str, name: str) -> str:
    from hwsim.scenario.schema.short import Choice

    models = Choice(question).models() if question else {}
    if name in models:
        return models[name].__doc__ or ""
    for folder in parts.folders():
        path = folder / f"{name}.py"
        if path.is_file():
            return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return ""


def _described(parts: Parts, question: str, name: str) -> str:
    from hwsim.scenario.schema.short import Choice

    lines = [_document(parts, question, name)]
    model = Choice(question).models().get(name) if question else None
    for key, value in (model.model_json_schema().get("properties", {}) if model else {}).items():
        if key != "kind":
            lines.append(f"  {key}: {_hint(value)}")
    return "\n".join(lines)


def _hint(value: dict[str, object]) -> str:
    if "description" in value:
        return str(value["description"])
    arms = value.get("anyOf")
    found = [_hint(arm) for arm in arms if isinstance(arm, dict)] if isinstance(arms, Iterable) else []
    return next((hint for hint in found if hint), str(value.get("type", "")) if value.get("type") != "null" else "")


def _engines() -> dict[str, str]:
    return {name: _first_comment(path) for name, path in _catalogue("hwsim.serving.engines")().items()}


def _metrics() -> dict[str, str]:
    from hwsim.metrics.registry import items

    return {name: f"{metric.unit:<9} {metric.definition}" for name, metric in items()}


def _models() -> dict[str, str]:
    from hwsim.model.find import find, names

    return {name: f"{find(name).parameters / 1e9:.3g} billion parameters" for name in names()}


def _model(name: str) -> str:
    """The hyper-parameters of a model and what follows from them."""
    from hwsim.model.describe import describe
    from hwsim.model.find import find

    return "\n".join(f"{key}: {_written(value)}" for key, value in describe(find(name)).items())


def _written(value: object) -> str:
    """A fact as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _presets() -> dict[str, str]:
    from hwsim.workload.lengths.preset import names

    files = _catalogue("hwsim.workload.presets")()
    return {name: _source(files[name.rpartition("-")[0]]) for name in names()}


def _preset(name: str) -> str:
    return _catalogue("hwsim.workload.presets")()[name.rpartition("-")[0]].read_text(encoding="utf-8").rstrip()


def _clients() -> dict[str, str]:
    return {name: _source(path) for name, path in _catalogue("hwsim.workload.presets.clients")().items()}


def _client(name: str) -> str:
    return _catalogue("hwsim.workload.presets.clients")()[name].read_text(encoding="utf-8").rstrip()


def _source(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("source:").strip() for line in lines if line.startswith("source:")), "")


def _traces() -> dict[str, str]:
    from hwsim.workload.trace import ENDINGS

    folders = [Path(entry) for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep) if entry]
    places = [place for folder in folders for place in (folder, folder / "traces") if place.is_dir()]
    found: dict[str, str] = {}
    for path in (path for place in places for path in sorted(place.iterdir()) if path.is_file()):
        ending = next((end for end in sorted(ENDINGS, key=len, reverse=True) if end and path.name.endswith(end)), "")
        if ending:
            found.setdefault(path.name.removesuffix(ending), f"{path.stat().st_size / 1e6:.1f} MB  {path}")
    return found


def trace_statistics(name: str) -> str:
    """The statistics of a trace, by name or as a file, as a table."""
    from hwsim.cli.trace_table import lines

    return "\n".join(lines(trace_facts(name)))


def trace_facts(name: str) -> dict[str, Any]:
    """The statistics of a trace, by name or as a file."""
    from hwsim.workload.trace import Trace, locate

    path = Path(name) if Path(name).is_file() else locate(name, Path.cwd())
    trace = Trace(path)
    return {"trace": str(path), "format": trace.format, **trace.statistics()}
