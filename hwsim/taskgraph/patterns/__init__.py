"""How one pass of a model runs on a memory hierarchy, one file each: the kinds of ``execute:``.

A pattern's ``PART`` is a class made of a ``Job``.  ``rows`` is how many sequences it takes at once, ``hold(site)`` puts
into memory what stays there, ``segments(site, step, repeats)`` is the graph of ``repeats`` equal passes in a row.
"""
