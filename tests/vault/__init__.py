"""Tests of the vault: real stores in a temporary directory."""
