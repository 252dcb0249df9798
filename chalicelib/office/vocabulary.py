"""Words of OpenVPN 2.6: what a server starts with, and what may be shown of a line that somebody else wrote."""

from __future__ import annotations

DIRECTIVES = frozenset((
    "allow-compression", "allow-pull-fqdn", "allow-recursive-routing", "askpass", "auth", "auth-gen-token",
    "auth-gen-token-secret", "auth-nocache", "auth-retry", "auth-token", "auth-token-user", "auth-user-pass",
    "auth-user-pass-optional", "auth-user-pass-verify", "bcast-buffers", "bind", "bind-dev", "block-ipv6", "ca",
    "capath", "ccd-exclusive", "cd", "cert", "chroot", "cipher", "client",
    "client-config-dir", "client-connect", "client-crresponse", "client-disconnect", "client-nat", "client-to-client",
    "comp-lzo", "comp-noadapt", "compat-mode", "compress", "config", "connect-freq",
    "connect-freq-initial", "connect-retry", "connect-retry-max", "connect-timeout", "connection", "crl-verify",
    "daemon", "data-ciphers", "data-ciphers-fallback", "dev", "dev-node", "dev-type", "dh", "dhcp-option", "disable",
    "disable-dco", "disable-occ", "dns", "down", "down-pre", "duplicate-cn", "ecdh-curve", "echo", "engine",
    "errors-to-stderr", "explicit-exit-notify", "extra-certs", "fast-io", "float", "force-tls-key-material-export",
    "fragment", "genkey", "group", "hand-window", "hash-size", "http-proxy", "http-proxy-option",
    "http-proxy-override", "http-proxy-retry", "http-proxy-timeout", "http-proxy-user-pass", "ifconfig",
    "ifconfig-ipv6", "ifconfig-ipv6-pool", "ifconfig-ipv6-push", "ifconfig-noexec", "ifconfig-nowarn", "ifconfig-pool",
    "ifconfig-pool-persist", "ifconfig-push", "ifconfig-push-constraint", "ignore-unknown-option", "inactive",
    "ip-remote-hint", "ipchange", "iroute", "iroute-ipv6", "keepalive", "key", "key-derivation", "key-direction",
    "keying-material-exporter", "learn-address", "link-mtu", "lladdr", "local", "log", "log-append", "lport",
    "machine-readable-output", "management", "management-client", "management-client-auth", "management-client-group",
    "management-client-user", "management-external-cert", "management-external-key", "management-forget-disconnect",
    "management-hold", "management-log-cache", "management-query-passwords", "management-query-proxy",
    "management-query-remote", "management-signal", "management-up-down", "mark", "max-clients", "max-packet-size",
    "max-routes", "max-routes-per-client", "memstats", "mlock", "mode", "msg-channel", "mssfix", "mtu-disc",
    "mtu-dynamic", "mtu-test", "multihome", "mute", "mute-replay-warnings", "ncp-ciphers", "nice",
    "no-replay", "nobind", "ns-cert-type", "opt-verify", "parameter", "passtos", "peer-fingerprint", "peer-id",
    "persist-key", "persist-local-ip", "persist-remote-ip", "persist-tun", "ping", "ping-exit", "ping-restart",
    "ping-timer-rem", "pkcs11-cert-private", "pkcs11-id", "pkcs11-id-management", "pkcs11-id-type", "pkcs11-pin-cache",
    "pkcs11-private-mode", "pkcs11-protected-authentication", "pkcs11-providers", "pkcs11-sign-mode", "pkcs11-slot",
    "pkcs11-slot-type", "pkcs12", "plugin", "port", "port-share", "preresolve", "prng", "proto", "proto-force",
    "protocol-flags", "providers", "pull", "pull-filter", "push", "push-continuation", "push-peer-info", "push-remove",
    "push-reset", "rcvbuf", "redirect-gateway", "redirect-private", "remap-usr1", "remote", "remote-cert-eku",
    "remote-cert-ku", "remote-cert-tls", "remote-random", "remote-random-hostname", "reneg-bytes", "reneg-pkts",
    "reneg-sec", "replay-persist", "replay-window", "resolv-retry", "route", "route-delay", "route-gateway",
    "route-ipv6", "route-ipv6-gateway", "route-method", "route-metric", "route-noexec", "route-nopull",
    "route-pre-down", "route-up", "rport", "script-security", "secret", "server", "server-bridge", "server-ipv6",
    "server-poll-timeout", "session-timeout", "setenv", "setenv-safe", "shaper", "single-session", "sndbuf",
    "socket-flags", "socks-proxy", "socks-proxy-retry", "stale-routes-check", "static-challenge", "status",
    "status-version", "suppress-timestamps", "syslog", "tcp-nodelay", "tcp-queue-limit", "test-crypto", "tls-auth",
    "tls-cert-profile", "tls-cipher", "tls-ciphersuites", "tls-client", "tls-crypt", "tls-crypt-v2",
    "tls-crypt-v2-verify", "tls-exit", "tls-export-cert", "tls-groups", "tls-server", "tls-timeout", "tls-verify",
    "tls-version-max", "tls-version-min", "tmp-dir", "topology", "tran-window", "tun-ipv6", "tun-mtu", "tun-mtu-extra",
    "tun-mtu-max", "txqueuelen", "udp-mtu", "up", "up-delay", "up-restart", "user", "username-as-common-name", "verb",
    "verify-client-cert", "verify-hash", "verify-x509-name", "vlan-accept", "vlan-pvid", "vlan-tagging", "writepid",
    "x509-track", "x509-username-field",
))  # fmt: skip
"""Its directives, as the program itself takes them; a server does not start with any other."""

CIPHERS = frozenset((
    "AES-128-CBC", "AES-128-GCM", "AES-192-CBC", "AES-192-GCM", "AES-256-CBC", "AES-256-GCM", "BF-CBC",
    "CHACHA20-POLY1305",
))  # fmt: skip

ARGUMENTS = frozenset((
    "[inline]", "adaptive", "asym", "block-outside-dns", "def1", "lz4", "lz4-v2", "lzo", "migrate", "net30",
    "net_gateway", "no", "none", "nopool", "optional", "p2p", "register-dns", "require", "stub", "stub-v2", "subnet",
    "tap", "tcp-server", "tcp4-server", "tcp6-server", "tun", "udp", "udp4", "udp6", "vpn_gateway", "yes",
))  # fmt: skip
"""Words behind directives."""
