"""People and programs that have an account: how they get in, and who they are to the rest of the service.

No password anywhere: people have passkeys and, for the day they lose them, codes on paper; programs have keys. Whatever
lets somebody in is kept as a keyed digest. No answer tells whether an account exists. It refuses to decide who may see
which passport (`services.access`).
"""
