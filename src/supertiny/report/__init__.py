"""The paper's tables and figures, from the result files of every model."""
