"""What of a conversation stands in the next prompt: one file per kind, its class as ``PART``.

``carried(history)`` answers for ``history`` tokens of earlier turns: how many of its leading tokens stand in the next
prompt as they were (a prefix cache can hold them), and how many tokens follow that are moved or written anew.
"""
