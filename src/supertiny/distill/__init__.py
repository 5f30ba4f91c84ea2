"""A student learns the next-token distributions of a calibrated teacher (paper 3.2, Eq. 3-5)."""
