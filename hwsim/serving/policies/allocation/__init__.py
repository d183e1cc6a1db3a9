"""How KV memory is allocated: ``PART`` is the engine that does it."""
