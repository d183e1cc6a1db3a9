"""Every catalogued product against the table of facts that it was taken from, where that table is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hwsim.hardware import Device, catalogue, find
from hwsim.hardware.find import find_device

FIELDS = {  # field of the table: figure, factor to base units
    "memory_capacity": ("hbm.capacity", 1e9),
    "memory_bandwidth": ("hbm.bandwidth", 1e9),
    "peak_fp32": ("peak.fp32", 1e12),
    "peak_tf32": ("peak.tf32", 1e12),
    "peak_fp16_bf16": ("peak.fp16", 1e12),
    "peak_fp8": ("peak.fp8", 1e12),
    "peak_fp4": ("peak.fp4", 1e12),
    "peak_int8": ("peak.int8", 1e12),
    "sm_or_cu_count": ("sms", 1),
    "l2_or_llc_capacity": ("l2.capacity", 1e6),
    "tdp": ("tdp", 1),
    "idle_power": ("idle_power", 1),
    "link_bandwidth": ("nvlink.bandwidth", 1e9),
    "ici_bandwidth": ("nvlink.bandwidth", 1e9),
    "best_bf16_matmul_achieved": ("achieved.bf16", 1e12),
    "best_fp8_matmul_achieved": ("achieved.fp8", 1e12),
    "launch_price": ("price", 1),
    "dram_load_latency": ("hbm.latency", 1e-9),
}
CPU_FIELDS = {
    "cores": ("cores", 1),
    "memory_bandwidth": ("dram.bandwidth", 1e9),
    "memory_bandwidth_stream": ("dram.achieved", 1e9),
    "peak_bf16_amx": ("peak.bf16", 1e12),
    "peak_int8_amx": ("peak.int8", 1e12),
    "peak_bf16": ("peak.bf16", 1e12),
    "tdp": ("tdp", 1),
    "launch_price": ("price", 1),
    "dram_latency": ("dram.latency", 1e-9),
}
OTHER_NAMES = {
    "GB200 (per GPU)": "GB200-GPU", "GB300 (per GPU)": "GB300-GPU", "Gaudi 3": "Gaudi3",
    "Xeon Platinum 8480+ (SPR)": "Xeon-8480+", "Xeon Platinum 8592+ (EMR)": "Xeon-8592+",
    "Xeon 6980P (GNR-AP)": "Xeon-6980P", "EPYC 7763 (Milan)": "EPYC-7763", "EPYC 9654 (Genoa)": "EPYC-9654",
    "EPYC 9755 (Turin)": "EPYC-9755", "Grace (72c)": "Grace",
}  # fmt: skip


def test_figures_equal_the_table_of_facts(data_dir: Path) -> None:
    path = data_dir.parent / "facts" / "hardware.csv"
    if not path.is_file():
        pytest.skip("no table of hardware facts beside the data")
    seen: set[tuple[str, str]] = set()
    wrong: list[str] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name = OTHER_NAMES.get(row["device"], row["device"].replace(" ", "-"))
            device = find(name) if name.casefold() in catalogue.files() else None
            if not isinstance(device, Device):
                continue  # not catalogued, or a whole machine here
            fields = CPU_FIELDS if device.kind == "cpu" else FIELDS
            if row["field"] not in fields or "-" in row["value"] or (name, row["field"]) in seen:
                continue
            seen.add((name, row["field"]))
            figure, factor = fields[row["field"]]
            found = device.get(figure)
            if found is None or found != pytest.approx(float(row["value"]) * factor, rel=0.002):
                wrong.append(f"{name} {figure}: {found}, {row['value']} {row['unit']} in the table")
            elif row["status"] == "SEEN" and device.figures[figure].status == "MEMORY":
                wrong.append(f"{name} {figure}: MEMORY, but SEEN in the table")
    assert len({name for name, _ in seen}) > 40
    assert not wrong, "\n".join(wrong)


SPOT = [  # a few of each maker, without the table
    ("T4", "peak.fp16", 65e12), ("V100-SXM2-32GB", "hbm.bandwidth", 898e9), ("L40S", "peak.fp8", 733e12),
    ("B200-SXM", "hbm.capacity", 180e9), ("B300-SXM", "peak.int8", 153.5e12), ("GB200-GPU", "peak.fp4", 10e15),
    ("MI300X", "nvlink.peer_bandwidth", 64e9), ("Gaudi3", "peak.bf16", 1677e12), ("TPU-v5p", "hbm.capacity", 95e9),
    ("Apple-M1-Max", "hbm.bandwidth", 400e9), ("RTX-3090", "sms", 82), ("H800-SXM", "nvlink.copy_bandwidth", 160e9),
]  # fmt: skip


@pytest.mark.parametrize(("name", "figure", "value"), SPOT)
def test_a_figure_of_many_products(name: str, figure: str, value: float) -> None:
    assert find_device(name, "gpu").need(figure) == pytest.approx(value)


def test_every_product_has_what_a_run_asks_of_it() -> None:
    """Accelerators: peaks, memory, power; nodes: everything they hold can be found."""
    for name in catalogue.names("gpu"):
        gpu = find_device(name, "gpu")
        assert gpu.peak("fp16") > 0 and gpu.hbm_bandwidth > 0, name
        assert 0.85 * gpu.need("hbm.capacity") <= gpu.hbm_bytes <= 1.12 * gpu.need("hbm.capacity"), name
        assert gpu.architecture, name
        idle, most = gpu.get("idle_power"), gpu.get("tdp")
        assert idle is None or most is None or 0 < idle < most, name
    for name in catalogue.names("ssd"):
        drive = find_device(name, "ssd")
        assert drive.need("capacity") > 0 and drive.get("read_bandwidth"), name


def test_names_and_aliases_are_unique() -> None:
    names = [path.stem for path in catalogue.files().values()]
    aliases = [str(alias) for path in catalogue.files().values() for alias in catalogue.load(path)["aliases"]]
    assert len(set(aliases)) == len(aliases) and not set(aliases) & set(names)
    assert all(alias == alias.casefold() for alias in aliases)
    for path in catalogue.files().values():
        assert catalogue.load(path)["name"].casefold() == path.stem
