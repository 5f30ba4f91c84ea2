"""The steps of the paper's first stage, a module each: each shows one result file."""
