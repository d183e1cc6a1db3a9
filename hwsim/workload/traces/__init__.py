"""Request traces, one format a file: a part with ``matches(head)`` and ``rows(lines, where)``.

Every reader turns lines into :class:`hwsim.workload.trace.Row`; bad lines are reported, not skipped.
"""
