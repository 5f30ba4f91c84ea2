"""The steps of the paper's first stage, a module each: retrieval, judge, RFT data, ablation, adapter."""
