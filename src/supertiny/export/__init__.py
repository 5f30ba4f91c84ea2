"""What is handed to whoever deploys a model (paper 4.2)."""
