"""Adapter: function calls to the domain-intent-slot frames of what stands downstream, and back (paper 3.1)."""
