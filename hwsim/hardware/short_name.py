"""From the short name of a GPU in the file name of a table to the product that it was measured on."""

from __future__ import annotations

from hwsim.errors import ScenarioError
from hwsim.hardware.device import Device
from hwsim.hardware.find import find_device

# The form that measured tables mean where a short name has several.
MEANT = {
    "h100": "H100-SXM",
    "a100": "A100-SXM-80GB",
    "a100-pcie": "A100-PCIe-80GB",
    "h200": "H200-SXM",
    "b200": "B200-SXM",
    "b300": "B300-SXM",
    "gb200": "GB200-GPU",
    "gb300": "GB300-GPU",
    "gh200": "GH200-96GB",
    "v100": "V100-SXM2-32GB",
    "h800": "H800-SXM",
    "a800": "A800-SXM-80GB",
}
SUFFIXES = ("", "-sxm", "-pcie", "-gpu")


def device_of(gpu: str) -> Device:
    """The device that a table was measured on; unknown ones raise ``ScenarioError``."""
    name = gpu.lower().replace("_", "-")
    base = name.removesuffix("-sxm")
    tried = [MEANT[each] for each in (name, base) if each in MEANT] + [name + suffix for suffix in SUFFIXES]
    for each in tried:
        try:
            return find_device(each, "gpu")
        except ScenarioError:
            continue
    return find_device(gpu, "gpu", where="the name of the table")
