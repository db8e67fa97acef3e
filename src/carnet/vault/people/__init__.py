"""What is kept about people and machine clients: accounts, passkeys, sessions, keys, who holds which vehicle.

A store of its own, because none of it is a vehicle's history: `people.sqlite` beside the node's store, or the same
PostgreSQL database. It refuses to know what a caller may do (`services.accounts`).
"""
