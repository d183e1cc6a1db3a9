"""Arrival processes, one file each: a part with ``gaps(parameters, stream, count, start)`` in ticks."""
