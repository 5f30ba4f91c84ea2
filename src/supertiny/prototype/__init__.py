"""The prototype: a large language model answers queries by in-context examples and retrieved knowledge (paper 3.1)."""
