"""What this node sends to addresses that others chose: it connects to what it has checked, and to nothing else.

`addresses` says which addresses may be reached, `posting` sends one request and judges its answer. It refuses to know
what is sent, and to whom it belongs. Design: security 18.
"""
