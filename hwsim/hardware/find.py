"""A device or node by product name, or by ``{like: product, …changed fields}``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.hardware.catalogue import ROLES, Sheet, product, sheet
from hwsim.hardware.curve import Curve
from hwsim.hardware.device import Device, Figure
from hwsim.hardware.node import Node
from hwsim.units import parse

Choice = str | Mapping[str, Any]
_WAYS = ("h2d_bandwidth", "d2h_bandwidth", "both_bandwidth", "h2d_by_size", "d2h_by_size")
FOLLOWERS = {  # what was measured together with a figure and does not outlive it
    "hbm.capacity": ("hbm.usable",),
    "pcie.bandwidth": tuple(f"pcie.{name}" for name in _WAYS),
    "nvlink.bandwidth": ("nvlink.by_size", "nvlink.copy_bandwidth", "nvlink.peer_bandwidth"),
    "bandwidth": ("by_size", "loaded_latency", "read_bandwidth", "write_bandwidth"),
    "read_bandwidth": ("random_read", "sequential_read"),
    "write_bandwidth": ("random_write", "sequential_write", "burst_write_bandwidth"),
    "dram.bandwidth": ("dram.achieved", "dram.loaded_latency"),
}


def find(choice: Choice, *, kind: str | None = None, where: str = "system.node") -> Device | Node:
    """The device or node that ``choice`` names.

    A string is a product; a mapping changes the product it is ``like``, or with ``kind`` describes a device from
    nothing.  Fields given are text with a unit or numbers in base units; ``null`` takes a device out of a node.
    Unknown products, unknown fields, wrong units and more GPUs than a node has places for raise ``ScenarioError``.
    """
    spec: Mapping[str, Any] = {"like": choice} if isinstance(choice, str) else choice
    like = spec.get("like")
    entry = product(str(like), where=f"{where}.like") if like is not None else {}
    found = entry.get("kind", kind or "node")
    if kind is not None and found != kind:
        raise ScenarioError.of(f"{like} is a {found}", where=f"{where}.like", got=str(like), expected=f"a {kind}")
    return _node(entry, spec, where) if found == "node" else _device(entry, spec, found, where)


def find_device(choice: Choice, kind: str, *, where: str = "device") -> Device:
    """Like :func:`find`, for one kind of device."""
    found = find(choice, kind=kind, where=where)
    assert isinstance(found, Device)
    return found


def find_node(choice: Choice, *, where: str = "system.node") -> Node:
    """Like :func:`find`, for a node."""
    found = find(choice, kind="node", where=where)
    assert isinstance(found, Node)
    return found


def _device(entry: Mapping[str, Any], spec: Mapping[str, Any], kind: str, where: str) -> Device:
    """A catalogue device with the fields of ``spec`` laid over it."""
    base, curves = sheet(entry, kind, where=str(entry.get("name", where)), sources=entry.get("sources"))
    spec = dict(spec)
    if kind == "gpu":
        for group in ("nvlink", "pcie"):
            link = _link(spec, group, f"{where}.{group}")
            _drop_replaced(base, curves, link)
            base |= link.figures
            curves |= link.curves
    given = sheet(spec, kind, where=where, given=True)
    _drop_replaced(base, curves, given)
    name = str(entry.get("name", kind))
    return Device(
        name=f"{name} (changed)" if entry and any(given) else name,
        product=name,
        kind=kind,
        figures={**base, **given.figures},
        curves={**curves, **given.curves},
        architecture=str(entry.get("architecture", "")),
        count=_count(spec.get("sockets", spec.get("count", 1)), where),
        text={key: str(spec[key]) for key in ("raid", "bridge") if spec.get(key) is not None},
    )


def _drop_replaced(base: dict[str, Figure], curves: dict[str, Curve], given: Sheet) -> None:
    """Take away what belonged to a figure that the scenario replaces and no longer goes with it."""
    for name in given.figures:
        for follower in FOLLOWERS.get(name, ()):
            if follower not in given.figures and follower not in given.curves:
                base.pop(follower, None)
                curves.pop(follower, None)


def _link(spec: dict[str, Any], group: str, where: str) -> Sheet:
    """Figures of the product that a GPU's link is ``like``; what stands beside ``like`` stays in ``spec``."""
    value = spec.get(group)
    if isinstance(value, str):
        value = {"like": value}
    if not isinstance(value, Mapping) or value.get("like") is None:
        return Sheet({}, {})
    spec[group] = {key: inner for key, inner in value.items() if key != "like"}
    link = find_device(str(value["like"]), "link", where=where)
    figures = {f"{group}.{name}": figure for name, figure in link.figures.items() if name not in ("price", "tdp")}
    return Sheet(figures, {f"{group}.{name}": curve for name, curve in link.curves.items()})


def _node(entry: Mapping[str, Any], spec: Mapping[str, Any], where: str) -> Node:
    own = sheet(_without_roles(entry), "node", where=str(entry.get("name", where)), sources=entry.get("sources"))
    given = sheet(_without_roles(spec), "node", where=where, given=True)
    devices: dict[str, Device] = {}
    problems: list[Problem] = []
    for role, kind in ROLES.items():
        if role in spec and spec[role] is None:
            continue
        try:
            over = spec.get(role)
            if role == "gpu":
                over = {"like": over} if isinstance(over, str) else dict(over or {})
                over |= {link: spec[link] for link in ("nvlink", "pcie") if spec.get(link) is not None}
            device = _member(entry.get(role), over, kind, entry, f"{where}.{role}")
        except ScenarioError as error:
            problems += error.problems
            continue
        if device is not None and device.count:
            devices[role] = device
    if problems:
        raise ScenarioError(problems)
    name = str(entry.get("name", "node"))
    node = Node(name, name, {**own.figures, **given.figures}, devices, _bridge(entry, devices))
    slots = node.get("gpu_slots")
    if slots is not None and node.gpus > slots:
        raise ScenarioError.of(
            f"{name} has {int(slots)} places for GPUs",
            where=f"{where}.gpu.count",
            got=str(node.gpus),
            expected=f"at most {int(slots)}",
        )
    return node


def _member(base: Any, over: Any, kind: str, entry: Mapping[str, Any], where: str) -> Device | None:
    """The devices in one role: the catalogue node's, changed or replaced by what the scenario says."""
    base = {"like": base} if isinstance(base, str) else dict(base or {})
    over = {"like": over} if isinstance(over, str) else dict(over or {})
    if not base and not over:
        return None
    count = base.pop("count", None)
    if isinstance(count, Mapping):
        count = count["value"]
    if "like" in over:
        base = {}  # another product: the figures of the one it replaces do not apply
    like = over.get("like", base.pop("like", None))
    product_entry = product(str(like), where=f"{where}.like") if like is not None else {}
    if product_entry and product_entry["kind"] != kind:
        raise ScenarioError.of(
            f"{like} is a {product_entry['kind']}", where=f"{where}.like", got=str(like), expected=f"a {kind}"
        )
    spec = {"count": count if count is not None else 1} | {
        key: value for key, value in over.items() if value is not None
    }
    device = _device(product_entry, spec, kind, where)
    if base:
        extra = sheet(base, kind, where=f"{entry.get('name', where)}.{kind}", sources=entry.get("sources"))
        figures = {name: figure for name, figure in device.figures.items() if figure.status == "GIVEN"}
        curves = {name: curve for name, curve in device.curves.items() if curve.status == "GIVEN"}
        device = replace(
            device,
            figures={**device.figures, **extra.figures, **figures},
            curves={**device.curves, **extra.curves, **curves},
        )
    return device


def _without_roles(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in ROLES and key not in ("nvlink", "pcie")}


def _bridge(entry: Mapping[str, Any], devices: Mapping[str, Device]) -> str:
    """How GPUs reach each other: as the scenario says, as the node is built, else over PCIe."""
    gpu = devices.get("gpu")
    if gpu is None:
        return "none"
    bridge = gpu.text.get("bridge") or str(entry.get("bridge", "pcie"))
    return "pcie" if bridge in ("nvlink", "nvswitch") and not gpu.link_bandwidth else bridge


def _count(value: object, where: str) -> int:
    try:
        return int(parse(value, "count"))
    except ValueError as error:
        raise ScenarioError.of(str(error), where=f"{where}.count") from error
