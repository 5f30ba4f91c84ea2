"""Quantization: fewer bits a weight (paper 3.3, App. E)."""
