"""Carnet, the connected vehicle passport: certified histories that anyone can verify offline."""

__version__ = "0.1.0"
