"""Readers of weights files, which come from anywhere: nothing in them is trusted or run."""
