"""Covariance matrices, tests, and the conventions behind both."""
