"""What Carnet's speed is, measured beside a peer in the same run, so that a slow machine is slow for both."""
