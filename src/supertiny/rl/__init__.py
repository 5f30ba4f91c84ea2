"""A policy learns from rewards of its own replies: REINFORCE++-baseline (paper 3.2, App. B, E, K)."""
