"""The online path as a service: HTTP, its limits, its metrics, a page to talk to (paper 4.2, Figure 2c)."""
