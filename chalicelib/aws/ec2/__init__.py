"""EC2: the network observed, and changes written."""
