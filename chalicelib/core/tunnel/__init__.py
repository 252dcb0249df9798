"""The router's bundle: its files, the form they travel in, and the documents that carry it."""
