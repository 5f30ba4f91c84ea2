"""Recovery of a pruned model, step one: general instructions, before its domain (paper App. I)."""
