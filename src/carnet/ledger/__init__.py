"""The ledger: one deterministic state machine that knows organisations, never persons or vehicles. Spec:
docs/spec/3-ledger.md."""
