"""Gravity models: one file per estimator or question after estimation."""
