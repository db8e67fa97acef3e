"""Acts that two operators decide: one asks, another one grants, and what was shown is what is carried out.

requests     ask, grant, refuse, withdraw; carried out once, also after a crash
wishes       which acts there are, as they are kept, checked and recognised
changes      what an act would change, for people
"""
