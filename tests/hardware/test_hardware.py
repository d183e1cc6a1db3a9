"""Catalogued figures against the facts they carry, changes by ``like``, refusals, capacities and routes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.errors import ScenarioError
from hwsim.hardware import Device, Node, System, catalogue, find
from hwsim.hardware.find import find_device, find_node

H100 = {
    "peak.fp32": 67e12,
    "peak.tf32": 494.5e12,
    "peak.bf16": 989e12,
    "peak.fp16": 989e12,
    "peak.fp8": 1979e12,
    "peak.int8": 1979e12,
    "hbm.capacity": 80e9,
    "hbm.bandwidth": 3.35e12,
    "l2.capacity": 50e6,
    "sms": 132,
    "nvlink.bandwidth": 450e9,
    "tdp": 700,
    "idle_power": 70,
    "price": 30000,
    "hourly_price.low": 1.99,
    "hourly_price.median": 2.95,
    "hourly_price.high": 5.00,
    "achieved.bf16": 794.5e12,
    "achieved.fp8": 1402.6e12,
    "pcie.bandwidth": 55.06e9,
    "pj_per_byte": 122e-12,
}
A100 = {
    "peak.fp32": 19.5e12,
    "peak.tf32": 156e12,
    "peak.bf16": 312e12,
    "peak.int8": 624e12,
    "hbm.capacity": 80e9,
    "hbm.bandwidth": 2.039e12,
    "hbm.latency": 405e-9,
    "l2.capacity": 40e6,
    "l2.bandwidth": 5.4e12,
    "sms": 108,
    "nvlink.bandwidth": 300e9,
    "tdp": 400,
    "idle_power": 47,
    "price": 15000,
    "hourly_price.low": 0.80,
    "hourly_price.high": 3.00,
    "achieved.bf16": 271.2e12,
    "achieved.hbm": 1.769e12,
    "pj_per_byte": 118e-12,
}


@pytest.mark.parametrize(("name", "facts"), [("H100-SXM", H100), ("A100-SXM-80GB", A100)])
def test_figures_equal_the_facts(name: str, facts: dict[str, float]) -> None:
    device = find_device(name, "gpu")
    for figure, value in facts.items():
        assert device.need(figure) == pytest.approx(value, rel=1e-12), figure


def test_every_figure_has_source_and_status() -> None:
    for name in catalogue.names():
        found = find(name)
        figures = list(found.figures.items())
        if isinstance(found, Node):
            figures += [item for device in found.devices.values() for item in device.figures.items()]
        for key, figure in figures:
            assert figure.source and figure.status in {"SEEN", "SEEN2", "FIT", "BORROWED", "MEMORY"}, (name, key)
    assert find_device("H100-SXM", "gpu").figures["price"].status == "MEMORY"
    assert find_device("H20", "gpu").figures["peak.fp8"].status == "MEMORY"


@pytest.mark.parametrize(
    "name",
    [
        "H20", "H200-SXM", "RTX-4090", "A100-PCIe-40GB", "Xeon-8480+", "ib-ndr-400", "roce-100", "cxl2-x8-256GB",
        "D7-P5510-3.84TB", "Optane-P5800X-1.6TB", "workstation", "oneplus-12", "dgx-h100", "hgx-h100", "hgx-a100",
    ],
)  # fmt: skip
def test_products_of_the_golden_scenarios_are_known(name: str) -> None:
    assert find(name).name == name


def test_nodes_hold_eight_gpus_around_a_switch() -> None:
    for name, gpu in (("dgx-h100", "H100-SXM"), ("hgx-h100", "H100-SXM"), ("hgx-a100", "A100-SXM-80GB")):
        node = find_node(name)
        assert (node.gpus, node.gpu.product, node.bridge) == (8, gpu, "nvswitch")
        assert {"cpu", "dram", "ssd", "nic"} <= set(node.devices)
    assert find_node("dgx-h100").device("nic").need("bandwidth") == 50e9


def test_aliases_and_ambiguous_names() -> None:
    assert find("A100-SXM4-80GB").name == "A100-SXM-80GB"
    assert find("rtx 4090").name == "RTX-4090"
    assert find("h200").name == "H200-SXM"
    for short in ("h100", "A100"):
        with pytest.raises(ScenarioError, match=f"several forms.*{short.upper()}-"):
            find(short)


def test_like_with_changed_fields() -> None:
    device = find_device({"like": "H100-SXM", "hbm": {"bandwidth": "4.8 TB/s", "capacity": 141 * 10**9}}, "gpu")
    assert device.hbm_bandwidth == 4.8e12 and device.hbm_bytes == 141 * 10**9
    assert device.product == "H100-SXM" and device.name == "H100-SXM (changed)"
    assert device.figures["hbm.bandwidth"].status == "GIVEN"
    assert find_device("H100-SXM", "gpu").hbm_bandwidth == 3.35e12
    assert find_device({"like": "H100-SXM", "hourly_price": 2.5}, "gpu").hourly_price() == {
        "low": 2.5, "median": 2.5, "high": 2.5,
    }  # fmt: skip


def test_node_with_other_devices() -> None:
    node = find_node({"like": "dgx-h100", "gpu": {"like": "H20"}, "ssd": None, "dram": {"capacity": "512 GB"}})
    assert node.gpu.product == "H20" and node.gpus == 8
    assert "ssd" not in node.devices
    assert node.device("dram").need("capacity") == 512e9
    bench = find_node({"like": "workstation", "gpu": {"like": "A100-PCIe-40GB", "count": 2, "bridge": "nvlink"}})
    assert (bench.gpus, bench.bridge) == (2, "nvlink")
    assert find_node({"like": "workstation", "gpu": "RTX-4090"}).bridge == "pcie"
    slow = find_node({"like": "dgx-h100", "nvlink": {"bandwidth": "200 GB/s"}, "pcie": "roce-100"})
    assert slow.gpu.link_bandwidth == 200e9 and slow.gpu.need("pcie.bandwidth") == 12.5e9
    assert slow.gpu.figures["pcie.bandwidth"].status == "MEMORY"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("H100-SMX", "did you mean H100-SXM"),
        ("dgx-h100x", "did you mean dgx-h100"),
        ({"like": "dgx-h100", "gpu": {"like": "H2O"}}, "did you mean H20"),
        ({"like": "dgx-h100", "gpu": {"count": 9}}, "8 places for GPUs; got 9"),
        ({"like": "dgx-h100", "gpu": {"hbm": {"bandwith": "4 TB/s"}}}, "did you mean hbm.bandwidth"),
        ({"like": "dgx-h100", "dram": {"capacity": "3 W"}}, "system.node.dram.capacity: .*wrong unit"),
        ({"like": "dgx-h100", "gpu": {"like": "D7-P5510-3.84TB"}}, "is a ssd"),
        ({"like": "dgx-h100", "fan": {"value": 3}}, "a node has no such figure"),
    ],
)
def test_bad_choices_are_refused(spec: str | dict[str, object], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        find(spec)


def test_all_problems_of_a_node_come_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        find({"like": "dgx-h100", "dram": {"capacity": "3 W"}, "ssd": {"like": "D7-P5511"}})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        ("{value: 700 W, status: SEEN}", "no source"),
        ("{value: 700 W, source: a book}", "no status"),
        ("{value: 700 GB, source: a book, status: SEEN}", "wrong unit"),
        ("{value: 700, source: a book, status: SEEN}", "no unit"),
        ("700 W", "without source"),
    ],
)
def test_catalogue_files_need_unit_and_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: str, says: str
) -> None:
    (tmp_path / "x1.yaml").write_text(f"name: X1\nkind: gpu\naliases: []\ntdp: {figure}\n")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    with pytest.raises(ScenarioError, match=says):
        find("X1")


def test_missing_figures_say_what_to_give() -> None:
    device = find_device("RTX-4090", "gpu")
    assert device.link_bandwidth == 0.0
    with pytest.raises(ScenarioError, match=r"no nvlink\.latency is known for RTX-4090"):
        device.need("nvlink.latency")
    with pytest.raises(ScenarioError, match="does not compute in fp8"):
        find_device("A100-SXM-80GB", "gpu").peak("fp8")
    assert find_device("Xeon-8480+", "cpu").hourly_price() is None
    with pytest.raises(ScenarioError, match="workstation has no gpu"):
        _ = find_node("workstation").gpu


def test_capacities_of_one_node() -> None:
    system = System.of({"node": "dgx-h100"})
    capacities = system.capacities()
    assert system.gpus == 8
    assert capacities["gpu0.tensor"] == 989e12
    assert capacities["gpu7.hbm"] == 3.35e12
    assert capacities["gpu3.nvlink"] == 450e9
    assert capacities["nic7.out"] == 50e9
    assert capacities["dram"] == 2 * 240e9 and capacities["dram1"] == 240e9
    assert capacities["ssd3"] == 1.0  # device-seconds
    assert system.capacities("fp8")["gpu0.tensor"] == 1979e12


def test_routes_take_the_fast_way() -> None:
    system = System.of({"node": "dgx-h100"})
    assert system.route("gpu0", "gpu3") == ["gpu0.hbm", "gpu0.nvlink", "gpu3.nvlink.in", "gpu3.hbm"]
    assert system.route("dram0", "gpu1") == [
        "dram", "dram0", "switch0.down", "gpu1.pcie.h2d", "gpu1.pcie", "gpu1.hbm",
    ]  # fmt: skip
    assert system.route("gpu1", "ssd0") == ["gpu1.hbm", "gpu1.pcie.d2h", "gpu1.pcie", "ssd0"]
    assert System.of({"node": {"like": "workstation", "gpu": {"like": "RTX-4090", "count": 2}}}).route(
        "gpu0", "gpu1"
    ) == ["gpu0.hbm", "gpu0.pcie.d2h", "gpu1.pcie.h2d", "gpu1.hbm"]
    with pytest.raises(ScenarioError, match="unknown place; got gpu9"):
        system.route("gpu9", "gpu0")


def test_groups_of_nodes() -> None:
    system = System.of(
        {
            "groups": {
                "fast": {"node": "dgx-h100"},
                "wide": {"node": {"like": "dgx-h100", "gpu": "H20"}, "nodes": 2},
            }
        }
    )
    assert system.gpus == 24
    assert system.capacities()["wide/1/gpu2.hbm"] == 4e12
    # the sender changes to the rail of the receiver over NVLink only if that is faster than its own way out
    names = system.route("fast/0/gpu2", "wide/1/gpu2")
    assert [name for name in names if "nic" in name] == ["fast/0/nic2.out", "wide/1/nic2.in"]
    assert names[0] == "fast/0/gpu2.hbm" and names[-1] == "wide/1/gpu2.hbm"
    assert system.route("fast/gpu2", "wide/1/gpu2") == names


def test_networkx_is_not_imported_before_a_route() -> None:
    code = "import sys, hwsim.hardware as h; h.find('dgx-h100'); sys.exit('networkx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_devices_are_values() -> None:
    first = find("H100-SXM")
    assert isinstance(first, Device) and first == find("h100-sxm5")
