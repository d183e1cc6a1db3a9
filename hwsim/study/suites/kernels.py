"""Kernel and collective times against the cost laws: per device, operation and number format.

A device with its own coefficients is scored on the shape families that no fit saw; one without is predicted by
transfer from its nearest relatives, and all its rows are scored.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.cost.efficiency import Efficiency
from hwsim.cost.efficiency import find as efficiency_of
from hwsim.cost.efficiency.coefficients import FOLDER as COEFFICIENTS
from hwsim.cost.efficiency.coefficients import load
from hwsim.errors import Problem, ScenarioError
from hwsim.hardware import Device
from hwsim.hardware.short_name import device_of
from hwsim.study.calibrate import table
from hwsim.study.calibrate.calibrate import LEAST_FAMILIES
from hwsim.study.calibrate.ops import registry
from hwsim.study.calibrate.sample import Sample
from hwsim.study.calibrate.score import score

FOLDER = "gpu_kernels"
TARGETS = {  # section and part: median and 90th percentile of the absolute error
    "gemm.bf16": (0.06, 0.18),
    "gemm.fp8": (0.10, 0.30),
    "attention_prefill.bf16": (0.06, 0.20),
    "attention_decode.bf16": (0.08, 0.30),
    "moe one rank": (0.09, 0.45),
    "moe skewed ranks": (0.18, 0.60),
    "collective.all_reduce": (0.04, 0.15),
}
Progress = Callable[[float, str], None]


def run(data: Path | None = None, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Rows of results, each a law on the rows of one table; ``data`` is a table or a folder of them.

    What is wrong with any of the tables is said of all of them at once; a table of an unknown operation is skipped.
    """
    data = data if data is not None else _folder()
    paths = table.find(data, registry.ALL)
    results: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for done, path in enumerate(paths):
        if progress is not None:
            progress(done / len(paths), path.name)
        try:
            results += _table(path)
        except ScenarioError as error:
            problems += [replace(found, where=_place(found.where, path)) for found in error.problems]
    if problems:
        raise ScenarioError(problems)
    return results + [_unread(path) for path in table.others(data, paths)]


def _place(where: str, path: Path) -> str:
    """The place of a problem, the table named in it."""
    return where if path.name in where else f"{path.name}: {where}" if where else path.name


def _unread(path: Path) -> dict[str, Any]:
    """The row of a table whose operation no law is for."""
    return {
        "suite": "kernels",
        "device": "",
        "op": path.name,
        "dtype": "",
        "software": "",
        "case": "",
        "n": 0,
        "median": None,
        "p90": None,
        "bias": None,
        "split": "skipped",
        "note": "not one of the operations " + ", ".join(sorted(registry.ALL)),
    }


def _folder() -> Path:
    for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep):
        if entry and (Path(entry) / FOLDER).is_dir():
            return Path(entry) / FOLDER
    raise ScenarioError.of(
        "no measured kernels are here", where="HWSIM_DATA", expected=f"a folder with {FOLDER}/, or --data DIR"
    )


def _table(path: Path) -> Iterator[dict[str, Any]]:
    found = registry.read(path)
    device = device_of(found.gpu)
    # a table is judged by the law of its own software where the device has one
    efficiency = efficiency_of(device, found.software if (device.product, found.software) in own_stacks() else "vllm")
    for sample in registry.samples(found, device):
        yield from _scored(sample, device, efficiency)


def own_stacks() -> set[tuple[str, str]]:
    """Devices and stacks that coefficients were fitted for."""
    return {(str(held["device"]), str(held["stack"])) for held in map(load, sorted(COEFFICIENTS.glob("*.yaml")))}


def _scored(sample: Sample, device: Device, efficiency: Efficiency) -> Iterator[dict[str, Any]]:
    law = law_of(efficiency, sample)
    usable = np.ones(len(sample.seconds), bool) if sample.fitted is None else sample.fitted
    key = f"{sample.section}.{sample.part}"
    base = {"suite": "kernels", "device": device.name, "op": sample.section, "dtype": sample.part}
    base["software"] = sample.software
    if law is None:
        yield base | {
            "case": "",
            "n": 0,
            "median": None,
            "p90": None,
            "bias": None,
            "split": "skipped",
            "note": "no law is known",
        }
        return
    own = efficiency.statuses.get(key) == "FIT"
    fit_on = own and len(np.unique(sample.family[usable])) >= LEAST_FAMILIES
    rows = usable & sample.held if fit_on else usable
    note = "" if own else f"transferred from {efficiency.sections.get(key, efficiency.borrowed)}"
    split = "families left out" if fit_on else "all rows, also fitted on" if own else "all rows, none fitted"
    predicted = sample.predict(law, sample.take(rows))
    for case, mask in (sample.cases or {"": usable}).items():
        picked = mask[rows]
        if not picked.any():
            continue
        found = score(predicted[picked], sample.seconds[rows][picked])
        yield base | {"case": case, **found._asdict(), "split": split, "note": note}


def law_of(efficiency: Efficiency, sample: Sample) -> Any:
    """The law that an efficiency has for a sample, or the one that stands for its format; None without any."""
    part = sample.part
    if sample.section == "gemm":
        return efficiency.gemm.kernel(part)
    if sample.section == "moe":
        return efficiency.moe.kernel(part, 2.0)
    if sample.section == "collective":
        curves = efficiency.collective.curves
        return curves.get(part) or (curves.get("nccl_all_reduce") if "all_reduce" in part else None)
    if sample.section == "mla":
        phase, _, form = part.partition("_")
        kernels = efficiency.mla.decode if phase == "decode" else efficiency.mla.prefill
        return kernels.get(form, kernels["bf16"])
    kernels = efficiency.prefill.kernels if sample.section == "attention_prefill" else efficiency.decode.kernels
    return kernels.get(part, kernels["bf16"])


HEAD = ("device", "law", "case", "n", "median", "p90", "bias", "target", "rows")


def cells(results: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The results as a table of text, with the target where there is one."""
    found: list[tuple[str, ...]] = [HEAD]
    for row in results:
        law = ".".join(part for part in (row["op"], row["dtype"]) if part)
        note = ", ".join(text for text in (row["split"], row["note"]) if text)
        if row["median"] is None:
            found.append((row["device"], law, row["case"], "0", "", "", "", "", note))
            continue
        target = TARGETS.get(law) or TARGETS.get(f"{row['op']} {row['case']}")
        text = ""
        if target is not None:
            met = "met" if row["median"] <= target[0] and row["p90"] <= target[1] else "missed"
            text = f"{target[0]:.0%}/{target[1]:.0%} {met}"
        errors = (f"{row['median']:.1%}", f"{row['p90']:.1%}", f"{row['bias']:+.1%}")
        found.append((row["device"], law, row["case"], str(row["n"]), *errors, text, note))
    return found


class Kernels:
    """The suite as the validation command finds it: it scores whole tables, not single runs."""

    title = "kernels and collectives, per device, operation and number format"
    targets = "median/p90: bf16 GEMM 6/18 %, fp8 10/30 %, prefill 6/20 %, decode 8/30 %, MoE 9/45 %, all-reduce 4/15 %"
    run = staticmethod(run)
    cells = staticmethod(cells)


PART = Kernels()
