"""Landmarks of images, in the warehouse and in files."""
