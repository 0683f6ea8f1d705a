"""The numerical engine: arrays in, small frozen records out. It never sees a data frame."""
