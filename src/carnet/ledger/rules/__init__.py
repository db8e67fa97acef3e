"""What the consortium has decided: rules as data, members with their keys, and the checks that read them."""
