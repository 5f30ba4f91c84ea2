"""Measuring: what a model can do and what it costs (paper 4.1, App. J)."""
