"""Services: one module for each feature, the only place where rules meet storage.

A service takes a home, a clock and a source of randomness, and gives back plain data; it never prints, never asks, and
refuses to know whether a terminal, a page or a program called it.
"""
