"""Other forms of the KV cache, one file each; ``PART`` says what of one attention layer is kept and how it is used."""
