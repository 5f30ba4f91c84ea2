"""Programs of other environments, started here, over SSH or by Slurm, and stopped again."""
