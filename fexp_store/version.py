"""The version, which a checkout knows without being installed."""

__version__ = "0.1.0"
