"""A project of the user's own: their functions and queries, looked at first, beside a copy of the graph."""
