"""Which functions may serve a query: the candidates of its prompt (paper 3.1, App. D)."""
