"""Whether a request is let in: one file per rule, its class as ``PART`` (see ``hwsim.serving.gate.Gate``)."""
