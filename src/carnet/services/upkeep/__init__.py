"""What is done for a node in the background while it is served: backups and restore drills.

jobs      what was asked for, by whom, and what came of it; a table that web workers write
running   the writer's process does them, one at a time, in a process of their own
"""
