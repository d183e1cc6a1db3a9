"""Arrival processes, one file each: a part that is a function ``gaps(parameters, stream, count, start)`` in ticks, or a
class ``(parameters, streams, scale)`` with ``times(count)`` (a :class:`hwsim.workload.process.Process`).
"""
