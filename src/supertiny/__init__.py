"""Turn a large model's skill at one function-calling task into a super-tiny model (arXiv 2504.13471)."""
