"""How a member looks in pages that it shows to its customers: a name, two colours, a logo, and who may frame them.

It refuses to know what such a page shows: account, consent and data are the holder's. Design: ADR 17.
"""
