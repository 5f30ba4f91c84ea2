"""OpenRLHF: REINFORCE++-baseline on many GPUs (Ray, DeepSpeed, vLLM), in its own environment."""
