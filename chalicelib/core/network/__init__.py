"""The network: what is declared and seen of it, who is its router, what must change, and what may."""
