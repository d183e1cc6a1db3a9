"""How a GPU's SMs are split between prefill and decode: one file per rule, its class as ``PART``.

See ``hwsim.serving.side_by_side.Split`` for what a rule sees and answers.
"""
