"""What runs in every worker, under torchrun. Nothing else imports these modules: they need Megatron-Core."""
