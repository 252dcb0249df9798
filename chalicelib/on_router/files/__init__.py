"""What runs on the router itself: carried there as text, with nothing but the standard library; nothing imports it."""
