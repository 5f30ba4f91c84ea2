"""Floor 1: what every chapter stands on. Nothing here imports torch."""
