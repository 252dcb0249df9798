"""What goes to routers: an agent that Command documents run, and files that are installed."""
