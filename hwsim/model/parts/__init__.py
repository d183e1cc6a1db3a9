"""The parts a layer is made of: mixers of tokens (attention, latent attention, scans) and feed-forward networks."""
