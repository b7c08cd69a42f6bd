"""Stimulus sets: images with labels, registered once and never changed."""
