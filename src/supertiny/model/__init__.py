"""Floor 2 of 6: checkpoints, tokens, batches, the one training loop, generation."""
