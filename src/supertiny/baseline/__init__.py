"""The traditional system the paper replaces: a domain classifier, then intent and slots (DC-ICSF; paper 3.1)."""
