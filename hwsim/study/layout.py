"""How a measured model lay over its GPUs, from what a row gives of it."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.study.measured import Point


class Layout(NamedTuple):
    """Sizes of the tensor-, pipeline- and data-parallel groups, and what of them was concluded."""

    tp: int
    pp: int
    dp: int
    note: str = ""


def layout(point: Point) -> Layout:
    """The groups that a row names; those that its number of GPUs implies where it names none or too few.

    Some sources call the experts' tensor parallelism ``tp``: with expert parallelism over GPUs that no other group
    accounts for, attention is tensor parallel over them.  GPUs without any group are one tensor-parallel group, or for
    llama.cpp one layer after another.
    """
    tp, pp, dp = max(point.tp, 1), max(point.pp, 1), max(point.dp, 1)
    ranks = tp * pp * dp
    if point.ep > 1 and point.gpus == ranks * point.ep:
        return Layout(tp * point.ep, pp, dp, "attention assumed tensor parallel over the GPUs of its experts")
    if point.gpus > 1 and not (point.tp or point.pp or point.ep or point.dp):
        if "llama.cpp" in point.engine.casefold():
            return Layout(1, point.gpus, 1)
        return Layout(point.gpus, 1, 1, "one tensor-parallel group assumed")
    return Layout(tp, pp, dp)
