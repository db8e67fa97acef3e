"""The node: the one owner of keys, store and locks, and the one writer. Everything below it is pure or passive.

It knows how entries are prepared, placed, sealed, read and re-verified; it refuses to know which feature asks.
"""
