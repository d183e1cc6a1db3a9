"""A device of one's own: the catalogue file with every figure's unit and source, to be found with ``--parts``."""

from __future__ import annotations

import re

from hwsim.cli.new import Wish

FILE = "parts/hardware/catalog/{name}.yaml"
_TEXT = """\
# {name}: say here what it is.  In a scenario: system.node.gpu: {{like: {name}}}, then hwsim run FILE --parts parts.
# Every figure: {{value, source, status}}.  status: SEEN (read in the source), MEMORY (known, not checked), FIT, GIVEN.
# All figures a gpu can have: hwsim show H100-SXM; other kinds: hwsim new device NAME --like DEVICE.
name: {name}
kind: gpu
architecture: hopper                        # nearest relative; its efficiencies are borrowed, and results say so
aliases: []
peak:                                       # dense, no sparsity
  bf16: {{value: 1000 TFLOP/s, source: "where it was read", status: GIVEN}}
  fp16: {{value: 1000 TFLOP/s, source: "where it was read", status: GIVEN}}
  fp8: {{value: 2000 TFLOP/s, source: "where it was read", status: GIVEN}}
  fp32: {{value: 60 TFLOP/s, source: "where it was read", status: GIVEN}}
hbm:
  capacity: {{value: 96 GB, source: "where it was read", status: GIVEN}}
  usable: {{value: 94 GB, source: "what the driver reports as total memory", status: GIVEN}}
  bandwidth: {{value: 4 TB/s, source: "where it was read", status: GIVEN}}
l2:
  capacity: {{value: 50 MB, source: "where it was read", status: GIVEN}}
sms: {{value: 132, source: "where it was read", status: GIVEN}}
nvlink:
  bandwidth: {{value: 450 GB/s, source: "where it was read", status: GIVEN}}      # per direction
pcie:
  bandwidth: {{value: 55 GB/s, source: "where it was read", status: GIVEN}}       # per direction
tdp: {{value: 700 W, source: "where it was read", status: GIVEN}}
idle_power: {{value: 70 W, source: "where it was read", status: GIVEN}}
hourly_price:                               # rent of one; without it cost is null, with a warning
  median: {{value: 3 usd/h, source: "whose price, and when", status: GIVEN}}
"""


def device(wish: Wish) -> str:
    """A gpu with placeholders, or the catalogue's file of another device under the new name."""
    if wish.like is None:
        return _TEXT.format(name=wish.name)
    from hwsim.hardware.catalogue import files, product

    entry = product(wish.like, where="--like")
    text = files()[str(entry["name"]).casefold()].read_text(encoding="utf-8")
    text = re.sub(r"(?m)^name: .*$", f"name: {wish.name}", text, count=1)
    text = re.sub(r"(?m)^aliases: .*$", "aliases: []", text, count=1)
    use = f"system.node.gpu: {{like: {wish.name}}}, then hwsim run FILE --parts parts"
    return f"# {wish.name}: like {entry['name']}, changed.  In a scenario: {use}.\n{text}"


PART = device
