"""A literal, slow vLLM V1 scheduler (0.33 rules, switches for 0.11): the reference the fast engine must equal.

It walks every request, token and block in every call, in the order of the rules, and checks its own books after
each call. Nothing here is taken from, or shared with, the package. Times are integers (ticks). With the 0.33 rules
it was compared with the scheduler classes of vLLM 0.33.0 themselves, synchronous and asynchronous, outside this
repository: equal call by call on the worked schedules and on 4,300 workloads of ``random_case``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .oracle_case import OracleConfig, OracleRequest, OracleResult
from .oracle_scheduler import Scheduler

__all__ = ["OracleConfig", "OracleRequest", "OracleResult", "run_oracle"]

StepCost = int | Callable[[Mapping[str, tuple[int, int]]], int]


def run_oracle(
    requests: Sequence[OracleRequest], config: OracleConfig, step_ticks: StepCost, host_ticks: StepCost = 0
) -> OracleResult:
    """Run all requests to their end. Costs are ticks, or functions of {id: (tokens, computed before)}.

    Synchronous: the next call comes at the end of the step. Asynchronous: one step may be in flight at a call.
    """
    result = OracleResult()
    scheduler = Scheduler(config, result)
    pending = sorted(enumerate(requests), key=lambda pair: pair[1].arrival)
    in_flight: list[dict[str, Any]] = []
    now = device_free = min((r.arrival for r in requests), default=0)
    num_steps = 0

    def wait_for_oldest() -> int:
        oldest = in_flight.pop(0)
        scheduler.update(oldest)
        return max(now, oldest["end"])

    while True:
        while len(in_flight) > (1 if config.async_scheduling else 0):
            now = wait_for_oldest()
        while pending and pending[0][1].arrival <= now:
            order, spec = pending.pop(0)
            scheduler.add(spec, order)
        if not scheduler.requests:
            if in_flight:
                now = wait_for_oldest()
            elif pending:
                now = max(now, pending[0][1].arrival)
            else:
                return result
            continue
        call = scheduler.schedule()
        call |= {"call": len(result.calls), "step": None, "call_time": now, "start": now, "end": now}
        result.calls.append(call)
        for request_id, cached in call["cached"].items():
            record = result.requests[request_id]
            if record["cached"] is None:
                record |= {"cached": cached, "scheduled": now}
        if not call["scheduled"]:
            assert in_flight or call["preempted"] or call["rejected"], "nothing can ever move again"
            if in_flight:
                now = wait_for_oldest()
            continue
        host = host_ticks if isinstance(host_ticks, int) else host_ticks(call["rows"])
        device = step_ticks if isinstance(step_ticks, int) else step_ticks(call["rows"])
        call["start"] = max(now + host, device_free)
        call["end"] = device_free = call["start"] + device
        call["step"] = num_steps
        num_steps += 1
        in_flight.append(call)
        now += host
