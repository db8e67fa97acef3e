"""Files as jobs: uploaded in parts, taken in by a process of their own, accounted for row by row.

`records` keeps them, `taking` seals what is in one, `watching` starts what waits.
"""
