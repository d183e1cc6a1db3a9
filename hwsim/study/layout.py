"""How a measured model lay over its GPUs, from what a row gives of it."""

from __future__ import annotations

from dataclasses import replace
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


def undone(point: Point) -> Point:
    """The point with group sizes that were multiplied by the expert parallelism divided again.

    Exports of one benchmark give 16 GPUs to servers of 4 and 64 to servers of 8: attention's groups times those of the
    experts, which lie on the same GPUs.  Where that explains the sizes exactly they are taken to be one such server.
    """
    tp, dp, ep = max(point.tp, 1), max(point.dp, 1), max(point.ep, 1)
    if ep < 2 or point.pp > 1:
        return point
    if tp == ep * ep and dp == 1:
        tp = ep
    elif dp == ep * ep and tp == 1:
        dp = ep
    elif tp == dp and ep == tp * dp:
        dp, ep = 1, tp
    else:
        return point
    note = "; ".join(text for text in (point.note, "sizes multiplied by expert parallelism taken back") if text)
    return replace(point, tp=tp, dp=dp, ep=ep, gpus=tp * dp, note=note)
