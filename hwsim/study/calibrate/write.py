"""The YAML of a device and stack: every law with where its rows came from, its errors, and its coefficients."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hwsim.cost.collective import Stretch
from hwsim.cost.efficiency.build import PLAIN, link
from hwsim.hardware import Device
from hwsim.study.calibrate.calibrate import Fitted
from hwsim.study.calibrate.sample import FOLDS, Sample
from hwsim.study.calibrate.score import Score
from hwsim.units import format_quantity

WIDTH = 118
# Arguments of laws whose reach is written down.
SPANNED = ("m", "n", "k", "rows", "tokens", "heads", "kv_heads", "head_dim", "hidden", "width")
HEADER = """# Coefficients of cost laws of {device} under {stack}, written by `hwsim calibrate`; sections without rows
# of this device are borrowed.  Shares are of the data sheet's peak.  `families`: errors on shape families no fit saw
# (CRC-32 of the family modulo {folds} is 0), `rows` on rows drawn at random, `spread` the standard deviation of the
# logarithm of the error.  No number was chosen by a serving result.
"""


def document(fitted: Iterable[Fitted], device: Device, stack: str, source: str, old: Mapping[str, Any]) -> str:
    """The text of the file; plain sections and ``kept`` parts of ``old`` (from other sources) stay as they are."""
    name = device.product
    head: dict[str, Any] = {"device": name, "stack": stack, "architecture": device.architecture}
    head["direct_link"] = bool(device.link_bandwidth)
    sections: dict[str, Any] = {key: old[key] for key in PLAIN if key in old}
    for each in fitted:
        earlier = old.get(each.sample.section, {}).get(each.sample.part, {})
        part = earlier if earlier.get("kept") else _part(each, device, source)
        sections.setdefault(each.sample.section, {})[each.sample.part] = part
    text = HEADER.format(device=name, stack=stack, folds=FOLDS)
    return text + _dump(head) + "".join(_dump({key: value}) for key, value in sections.items())


def write(path: Path, text: str) -> None:
    """Replace the file as a whole: a calibration that fails leaves the old one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _part(each: Fitted, device: Device, source: str) -> dict[str, Any]:
    sample = each.sample
    rows = len(sample.seconds) if sample.fitted is None else int(sample.fitted.sum())
    where = f"{sample.file}, {sample.dtype}, {sample.software}, {rows} rows" + (f"; {source}" if source else "")
    part: dict[str, Any] = {"status": "FIT", "source": where}
    part["families"] = _scores(each.families) or "too few shape families to leave any out"
    part["rows"] = _scores(each.rows)
    part["spread"] = round(each.spread, 3)
    found = spans(sample)
    if found:
        part["range"] = found
    if isinstance(each.law, Mapping):
        part["link"] = format_quantity(link(device), "bytes/s")
        part["coefficients"] = {ranks: [_stretch(one) for one in found] for ranks, found in sorted(each.law.items())}
    else:
        part["coefficients"] = {
            one.name: _quantity(getattr(each.law, one.name), one.metadata["unit"])
            for one in fields(each.law)
            if "unit" in one.metadata and one.name not in sample.fixed
        }
    return part


def spans(sample: Sample) -> dict[str, list[int]]:
    """Least and most of every plain argument among the rows that a fit may use."""
    usable = np.ones(len(sample.seconds), bool) if sample.fitted is None else sample.fitted
    columns = {name: column[usable] for name, column in sample.arguments.items() if name in SPANNED}
    return {name: [int(column.min()), int(column.max())] for name, column in columns.items() if len(column)}


def _scores(scores: Mapping[str, Score]) -> str:
    known = {name: found for name, found in scores.items() if found.n}
    return "; ".join((f"{name}: " if name else "") + found.text() for name, found in known.items())


def _stretch(one: Stretch) -> dict[str, str]:
    found = {"most": _quantity(one.most, "bytes")} if one.most != float("inf") else {}
    return found | {"alpha": _quantity(one.alpha, "s"), "bandwidth": _quantity(one.bandwidth, "bytes/s")}


def _quantity(value: float, unit: str) -> Any:
    """Four significant digits with a unit; plain counts stay numbers."""
    if unit == "share":
        return f"{100 * value:.4g} %"
    if unit == "count":
        return float(f"{value:.4g}")
    if unit == "s":
        size, symbol = next((pair for pair in ((1e-6, "us"), (1e-9, "ns")) if value >= pair[0]), (1e-12, "ps"))
        return f"{value / size:.4g} {symbol}"
    if unit == "bytes":
        return f"{value / 1024:.4g} KiB"
    return f"{value / 1e9:.4g} GB/s"


class _Dumper(yaml.SafeDumper):
    """Coefficients on few lines, the rest one key a line."""


def _dump(mapping: Mapping[str, Any]) -> str:
    text = yaml.dump(_flow(dict(mapping)), Dumper=_Dumper, sort_keys=False, width=WIDTH, allow_unicode=True)
    return str(text)


class _Flow(dict[str, Any]):
    """A mapping written in one line, as far as it fits."""


_Dumper.add_representer(
    _Flow, lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)
)


def _flow(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        if key == "range" or (key == "coefficients" and not any(isinstance(each, list) for each in value.values())):
            return _Flow(value)
        return {name: _flow(each, str(name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_Flow(each) if isinstance(each, dict) else each for each in value]
    return value
