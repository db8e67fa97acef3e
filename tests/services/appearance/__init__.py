"""A member's look: its colours, its logo, and who sets it."""
