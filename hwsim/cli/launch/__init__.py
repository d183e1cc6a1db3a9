"""Launch commands of serving engines: read from (``new scenario --from-vllm``) and written (``export --to vllm``).

One file per engine.  ``PART`` is a function from a loaded scenario to the text of its commands.
"""
