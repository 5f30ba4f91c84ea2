"""Floor 1 of 6, the lowest: what every chapter stands on. Nothing here imports torch."""
