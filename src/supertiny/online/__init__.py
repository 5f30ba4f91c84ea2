"""The online path of one query: knowledge, retrieval, the small model's call, the legacy frame (paper Figure 2c)."""
