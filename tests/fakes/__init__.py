"""Programs that take the place of ones that need GPUs: the same command lines, files and protocols, small work."""
