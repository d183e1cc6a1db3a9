"""Length distributions, one file each: a part with ``draw(parameters, stream, count, start, folder)`` in tokens."""
