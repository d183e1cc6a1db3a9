"""How KV goes from prefill to decode: one file per connector, its class as ``PART``; figures in ``figures.yaml``."""
