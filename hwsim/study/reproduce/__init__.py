"""Published results put beside simulated ones: papers as files of claims, scored by fixed rules."""
