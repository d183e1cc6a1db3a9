"""A CUDA device through PyTorch: products, attention, memory copies, transfers by size, launches.  None without one."""

from __future__ import annotations

from typing import Any

SHAPES = ((1, 4096, 4096), (64, 4096, 4096), (1024, 4096, 4096), (8192, 8192, 8192))
TRANSFERS = (4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20)
REPEATS = 20


def measure_gpu() -> dict[str, Any] | None:
    """Figures of device 0 in seconds, bytes/s and FLOP/s; None where PyTorch or a device is missing."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(0)
    found: dict[str, Any] = {
        "name": properties.name,
        "sms": properties.multi_processor_count,
        "hbm": properties.total_memory,
        "products": {},
        "attention": {},
        "transfers": {},
    }
    for m, n, k in SHAPES:
        a = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
        b = torch.randn(k, n, device="cuda", dtype=torch.bfloat16)
        found["products"][f"{m}x{n}x{k}"] = _seconds(torch, lambda a=a, b=b: a @ b)
    attend = torch.nn.functional.scaled_dot_product_attention
    for tokens in (512, 4096):
        q = torch.randn(1, 32, tokens, 128, device="cuda", dtype=torch.bfloat16)
        found["attention"][tokens] = _seconds(torch, lambda q=q: attend(q, q, q, is_causal=True))
    whole = torch.empty(1 << 30, device="cuda", dtype=torch.uint8)
    other = torch.empty_like(whole)
    found["copy_bandwidth"] = 2.0 * (1 << 30) / _seconds(torch, lambda: other.copy_(whole))
    for size in TRANSFERS:
        host = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        device = whole[:size]
        found["transfers"][size] = {
            "h2d": _seconds(torch, lambda h=host, d=device: d.copy_(h, non_blocking=True)),
            "d2h": _seconds(torch, lambda h=host, d=device: h.copy_(d, non_blocking=True)),
        }
    one = torch.zeros(1, device="cuda")
    found["launch"] = _seconds(torch, lambda: one.add_(1))
    return found


def _seconds(torch: Any, action: Any) -> float:
    """Mean seconds of a call between two events on the stream, after a warm-up."""
    for _ in range(3):
        action()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(REPEATS):
        action()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / REPEATS
