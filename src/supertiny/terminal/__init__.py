"""One query answered in the terminal, every step shown."""
