"""A member's desk: what it sealed, what waits for it, what it may write, and writing it, also with its own key.

One module for each task. Nothing here knows HTTP, and nothing reads a passport but through `services.access`.
"""
