"""Outputs of measuring tools become devices that the catalogue reads back with the numbers that were measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hwsim.errors import ScenarioError
from hwsim.hardware.find import find_device
from hwsim.hardware.storage import Drive
from hwsim.part import Parts
from hwsim.study.calibrate.measured import device_yaml, read

MLC = """Intel(R) Memory Latency Checker - v3.10
Measuring idle latencies for sequential access (in ns)...
\t\tNuma node
Numa node\t     0\t     1\t
       0\t 113.4\t 168.2\t
       1\t 169.0\t 112.6\t

Measuring Peak Injection Memory Bandwidths for the system
ALL Reads        :\t225400.1\t

Measuring Memory Bandwidths between nodes within system
Numa node\t     0\t     1\t
       0\t112700.0\t63100.0\t
       1\t63000.0\t112800.0\t

Measuring Loaded Latencies for the system
Using only one thread from each core
Inject\tLatency\tBandwidth
Delay\t(ns)\tMB/sec
==========================
 00000\t329.00\t 159200.0
 00008\t293.80\t 158600.0
 00100\t110.60\t 102200.0
 00300\t 96.70\t  60400.0
 20000\t 82.30\t   2900.0
"""
NCCL = """# nThread 1 nGpus 8 minBytes 8 maxBytes 536870912 step: 16(factor) warmup iters: 5 iters: 20
# Collective test starting: all_reduce_perf
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
        8192          2048     float     sum      -1    16.10    0.51    0.89      0    15.90    0.52    0.90      0
     1048576        262144     float     sum      -1    25.30   41.45   72.53      0    25.10   41.78   73.11      0
   536870912     134217728     float     sum      -1   2112.0  254.20  444.85      0   2110.0  254.44  445.27      0
"""
FIO = {
    "fio version": "fio-3.36",
    "global options": {"ioengine": "io_uring", "direct": "1"},
    "jobs": [
        {
            "jobname": f"{rw}-{bs}-{depth}",
            "job options": {"rw": rw, "bs": bs, "iodepth": str(depth)},
            "read": {"bw_bytes": 0 if "write" in rw else rate, "iops": rate / 4096, "clat_ns": {"mean": 80000.0}},
            "write": {"bw_bytes": rate if "write" in rw else 0, "iops": rate / 4096, "clat_ns": {"mean": 15000.0}},
        }
        for rw, bs, depth, rate in (
            ("randread", "4k", 1, 50e6),
            ("randread", "4k", 64, 3.6e9),
            ("randread", "128k", 1, 900e6),
            ("read", "1m", 8, 6.9e9),
            ("write", "1m", 8, 4.1e9),
            ("randwrite", "4k", 1, 260e6),
            ("randrw", "4k", 1, 100e6),
        )
    ],
}
NVB = {
    "nvbandwidth": {
        "testcases": [
            {"name": "host_to_device_memcpy_ce", "bandwidth_matrix": [["55.63", "55.33"]], "status": "Passed"},
            {"name": "device_to_host_memcpy_ce", "bandwidth_matrix": [["55.06", "55.06"]], "status": "Passed"},
            {"name": "host_to_device_bidirectional_memcpy_ce", "bandwidth_matrix": [["42.0", "42.0"]]},
            {"name": "device_to_host_bidirectional_memcpy_ce", "bandwidth_matrix": [["41.4", "41.4"]]},
            {"name": "device_to_device_memcpy_read_ce", "bandwidth_matrix": [["N/A", "395.0"], ["397.0", "N/A"]]},
            {"name": "host_device_latency_sm", "bandwidth_matrix": [["812.0", "788.0"]]},
            {"name": "device_local_copy", "status": "Waived"},
        ]
    }
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "hardware" / "catalog").mkdir(parents=True)
    return tmp_path


def device(folder: Path, text: str, name: str, like: str | None = None) -> tuple[str, str]:
    """Calibrate from ``text`` into a folder of parts; the kind, and the name to find the device by."""
    source = folder / "measured.txt"
    source.write_text(text)
    found = read(source)
    (folder / "hardware" / "catalog" / f"{name}.yaml").write_text(device_yaml(found, name, "here", like))
    return found.kind, name


def test_fio(made: Path) -> None:
    kind, name = device(made, json.dumps(FIO), "my-ssd", like="D7-P5510-3.84TB")
    Parts.add_folder(made)
    try:
        found = find_device(name, kind)
    finally:
        Parts.remove_folder(made)
    drive = Drive(found)
    assert drive.speed(4096, 1).alone == pytest.approx(50e6)
    assert drive.speed(131072, 1).alone == pytest.approx(900e6)
    assert drive.speed(4096, 64).alone == pytest.approx(3.6e9)
    assert drive.read_bandwidth == pytest.approx(6.9e9) and drive.write_bandwidth == pytest.approx(4.1e9)
    assert found.need("latency") == pytest.approx(80e-6) and found.need("write_latency") == pytest.approx(15e-6)
    assert found.need("capacity") == 3.84e12 and found.figures["capacity"].status == "MEMORY"
    assert found.figures["latency"].status == "SEEN"


def test_mlc(made: Path) -> None:
    kind, name = device(made, MLC, "my-cpu")
    Parts.add_folder(made)
    try:
        found = find_device(name, kind)
    finally:
        Parts.remove_folder(made)
    assert found.need("dram.latency") == pytest.approx(113e-9)
    assert found.need("remote.latency") == pytest.approx(168.6e-9)
    assert found.need("dram.achieved") == pytest.approx(112.75e9)
    assert found.need("remote.bandwidth") == pytest.approx(63.05e9)
    assert found.curves["dram.loaded_latency"].at(102.2e9) == (pytest.approx(110.6e-9), True)


def test_nvbandwidth_and_nccl_tests(made: Path) -> None:
    kind, name = device(made, json.dumps(NVB), "my-gpu", like="H200-SXM")
    assert kind == "gpu"
    device(made, NCCL, "my-link")
    Parts.add_folder(made)
    try:
        gpu, link = find_device(name, "gpu"), find_device("my-link", "gpu")
    finally:
        Parts.remove_folder(made)
    assert gpu.need("pcie.h2d_bandwidth") == pytest.approx(55.48e9)
    assert gpu.need("pcie.both_bandwidth") == pytest.approx(83.4e9)
    assert gpu.need("nvlink.copy_bandwidth") == pytest.approx(396e9)
    assert gpu.need("pcie.latency") == pytest.approx(800e-9)
    assert gpu.need("peak.bf16") == 989e12 and gpu.architecture == "hopper"
    assert link.curves["nvlink.by_size"].at(1048576) == (pytest.approx(72.53e9), True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "no known tool wrote this"),
        ('{"fio version": "fio-3.36", "jobs": [{"job options": {}, "read": {"bw_bytes": -1}}]}', "damaged fio result"),
        ('{"fio version": "fio-3.36", "jobs": []}', "without anything measured"),
        ('{"fio version": "fio-3.36", "jo', "damaged fio result"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "result"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=says):
        read(path)


def test_without_a_matrix_of_bandwidths_the_peak_of_all_sockets_is_taken(tmp_path: Path) -> None:
    short = re.sub(r"Measuring Memory Bandwidths.*?(?=Measuring Loaded)", "", MLC, flags=re.DOTALL)
    file = tmp_path / "mlc.txt"
    file.write_text(short)
    assert read(file).figures["dram.achieved"] == pytest.approx(225400.1e6 / 2)
