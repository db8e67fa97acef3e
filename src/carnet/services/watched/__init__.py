"""A folder into which a workshop's software drops a file each night: each becomes a job, once, and moves on.

`folder` looks at it, `here` hands files to the node of this machine.
"""
