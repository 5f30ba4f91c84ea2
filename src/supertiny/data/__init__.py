"""Queries, calls and the functions they name: the three sources of the `dataset` stage (paper 3.1, App. A)."""
