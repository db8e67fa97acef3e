"""The vault: where a node keeps its log, its chains and the contents of entries, each passport under its own key.

It stores and reads back; it refuses to know who may read or write, what time it is, and what the rules are.
"""
