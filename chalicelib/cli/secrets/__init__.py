"""The verbs that keep the tunnel's secrets."""
