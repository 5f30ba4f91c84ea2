"""Floor 2: checkpoints, tokens, batches, the one training loop, generation."""
