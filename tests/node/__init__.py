"""Tests of the node: real stores in a temporary directory."""
