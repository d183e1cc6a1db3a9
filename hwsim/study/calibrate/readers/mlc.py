"""Intel Memory Latency Checker: idle and loaded latency, bandwidth of the own socket's memory and of the other's."""

from __future__ import annotations

import re

from hwsim.study.calibrate.measured import Measured, number, rising

MB = 1e6


def claims(text: str) -> bool:
    """Whether mlc wrote this."""
    return "Memory Latency Checker" in text or "Measuring Loaded Latencies" in text


def read(text: str) -> Measured:
    """The diagonal of the matrices is the own socket, the rest the other one; the loaded table is a curve."""
    found = Measured("cpu", "mlc")
    near, far = _matrix(text, r"Measuring idle latencies[^\n]*")
    sockets = max(len(near), 1)
    if near:
        found.figures["dram.latency"] = sum(near) / len(near) * 1e-9
    if far:
        found.figures["remote.latency"] = sum(far) / len(far) * 1e-9
    near, far = _matrix(text, r"Measuring Memory Bandwidths between nodes[^\n]*")
    if near:
        found.figures["dram.achieved"] = sum(near) / len(near) * MB
    else:  # of the whole machine, which the idle latencies have counted
        peak = re.search(r"^ALL Reads\s*:\s*([\d.]+)", text, re.MULTILINE)
        if peak is not None:
            found.figures["dram.achieved"] = number(peak[1], "ALL Reads") * MB / sockets
    if far:
        found.figures["remote.bandwidth"] = sum(far) / len(far) * MB
    loaded = _section(text, r"Measuring Loaded Latencies[^\n]*")
    rows = re.findall(r"^\s*\d{5}\s+([\d.]+)\s+([\d.]+)\s*$", loaded, re.MULTILINE)
    points = [(number(rate, "bandwidth") * MB, number(latency, "latency") * 1e-9) for latency, rate in rows]
    if points:
        # an injector that is throttled less may get no more and wait longer: the curve keeps what rises
        found.points["dram.loaded_latency"] = _monotone(rising(list(points)))
    return found


def _monotone(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    kept: list[tuple[float, ...]] = []
    for point in points:
        if not kept or point[1] >= kept[-1][1]:
            kept.append(point)
    return kept


def _section(text: str, heading: str) -> str:
    """The text from a heading to the next one."""
    match = re.search(heading, text)
    if match is None:
        return ""
    rest = text[match.end() :]
    following = re.search(r"^Measuring ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def _matrix(text: str, heading: str) -> tuple[list[float], list[float]]:
    """The figures of a node-to-node matrix on its diagonal and beside it; ``-`` stands for none."""
    near: list[float] = []
    far: list[float] = []
    for row in re.findall(
        r"^\s*(\d+)\s+((?:[\d.]+|-)(?:[ \t]+(?:[\d.]+|-))*)[ \t]*$", _section(text, heading), re.MULTILINE
    ):
        node, cells = int(row[0]), row[1].split()
        if all("." not in cell for cell in cells):
            continue  # the heading of the columns
        for place, cell in enumerate(cells):
            if cell != "-":
                (near if place == node else far).append(number(cell, "a cell of a matrix"))
    return near, far


PART = read
