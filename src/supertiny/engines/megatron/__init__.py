"""Megatron-Core: a model that many GPUs share, by tensor, pipeline and data parallelism (paper App. F).

This process plans the run and starts the workers by the profile's launcher; `worker` is what each of them runs. Only
workers import Megatron-Core, so whoever plans needs none.
"""
