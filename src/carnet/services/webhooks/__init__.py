"""Webhooks: an address of a member that is told what happened, by Standard Webhooks with Ed25519 signatures.

    what happened ── following ──► messages ── sending ──► the member's address
    (log, trail, files, keys)      (store of people)        (outbound)

`events` lists what can be told, `endpoints` whom, `messages` keeps what is to be told and when it is tried, `following`
makes messages from what happened, `sending` delivers them, `working` is the process that does both, and `watching`
starts it. Only ids and kinds are told, never a value: who wants one asks for it, through the one reading door.
Source: the specification of Standard Webhooks, 1.0.0; security 11, 18.
"""
