"""Supervised fine-tuning on accepted answers (paper Eq. 1-2)."""
