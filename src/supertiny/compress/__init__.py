"""Make a trained model smaller (paper 3.3, App. I)."""
