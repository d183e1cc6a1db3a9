"""How engines put batches together: one scheduler per file, chosen by the engine's profile (``scheduler: vllm_v1``)."""
