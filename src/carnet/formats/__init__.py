"""Formats of the outside world: bytes or plain values in, entries and faults out. Pure, and streaming.

It refuses to know where bytes come from (files, archives and networks belong to the caller), which member will sign an
entry, and where it will stand.
"""
