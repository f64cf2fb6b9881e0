"""The host side of Bakeoff: everything that runs outside of containers."""

__version__ = "0.1.0"
