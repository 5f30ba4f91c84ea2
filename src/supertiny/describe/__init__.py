"""The description model: what API a query needs, in the words of an API document (paper App. D, Algorithm 1)."""
