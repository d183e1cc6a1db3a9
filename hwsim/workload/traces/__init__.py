"""Request traces, one format a file: a part with ``matches(head)`` and ``rows(lines, where)``.

``head`` is the first 64 KiB of the text.  Every reader turns lines into :class:`hwsim.workload.trace.Row`; bad lines
are reported, not skipped, and what is left out for a reason is counted as a :class:`~hwsim.workload.trace.Remark`.
"""
