"""What this machine and this project have, and what they lack for the graph."""
