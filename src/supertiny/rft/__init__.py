"""Rejection fine-tuning data: what the judge accepts of the prototype's answers (paper Eq. 1-2)."""
