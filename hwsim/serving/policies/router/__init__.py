"""Which replica gets a request: one file per router, its class as ``PART`` (see ``hwsim.serving.routing.Router``)."""
