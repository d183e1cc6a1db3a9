"""Model families, one file each, named after ``model_type`` in ``config.json``."""
