"""Judges: does a reply satisfy the query in its context (paper Eq. 2, 6)?"""
