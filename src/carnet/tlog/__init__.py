"""Transparency log: the bytes of trees, notes, checkpoints, cosignatures, trust policies and the census tree.

It follows public standards (RFC 9162, C2SP) and this project's census tree, over opaque leaves. It knows nothing of
vehicles, members or records, and it stores nothing.
"""
