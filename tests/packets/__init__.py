"""A data plane that follows the embedded AWS: network namespaces, real OpenVPN, real iptables, real packets."""
