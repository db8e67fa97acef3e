"""Proofs that need nobody: bundles, trust policies, and the verifier.

Trusts no server and takes no key from a bundle; imports no framework, database or network module. Spec: docs/spec/4
and 5.
"""
