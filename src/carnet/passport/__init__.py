"""Chains of entries about one vehicle: what an author says (statement) and where it stands (link). Pure rules.

It refuses to know how contents are stored, who is allowed to read them, and what time it is.
"""
