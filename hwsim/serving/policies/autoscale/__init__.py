"""How many replicas run: one file per rule, its class as ``PART`` (see ``hwsim.serving.scaling.Autoscaler``)."""
