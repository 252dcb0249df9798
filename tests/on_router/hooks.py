"""Rule sets that other people's programs leave on a router, as those write them, and which of our traffic each stops."""

from __future__ import annotations

from dataclasses import dataclass

OUT, TO, FROM = (
    "10.0.1.0/24 to the internet",
    "10.0.1.0/24 to 10.100.100.0/24",
    "10.100.100.0/24 to 10.0.1.0/24",
)
"""What the router is there for: a private subnet out, to the office, and from it."""
ALL = (OUT, TO, FROM)


@dataclass(frozen=True)
class RuleSet:
    """How rules come to be (a script), what they stop, and the words that name who does."""

    script: str
    stops: tuple[str, ...] = ()
    named: str = ""


def _nft(rules: str) -> str:
    return f"nft -f - <<'RULES'\n{rules}RULES\n"


def _restore(rules: str, program: str = "iptables-nft-restore") -> str:
    return f"{program} --noflush <<'RULES'\n{rules}RULES\n"


# firewalld 1.3's nftables backend, zone public, as `nft list ruleset` shows it, IPv6 and empty chains left out.
_FIREWALLD = """\
table inet firewalld {{
	chain nat_PREROUTING {{
		type nat hook prerouting priority dstnat + 10; policy accept;
	}}
	chain nat_POSTROUTING {{
		type nat hook postrouting priority srcnat + 10; policy accept;
	}}
	chain filter_PREROUTING {{
		type filter hook prerouting priority filter + 10; policy accept;
	}}
	chain filter_INPUT {{
		type filter hook input priority filter + 10; policy accept;
		ct state {{ established, related }} accept
		ct status dnat accept
		iifname "lo" accept
		tcp dport 22 accept
		ct state invalid drop
		reject with icmpx admin-prohibited
	}}
	chain filter_FORWARD {{
		type filter hook forward priority filter + 10; policy accept;
		ct state {{ established, related }} accept
		ct status dnat accept
		iifname "lo" accept
		jump filter_FORWARD_ZONES
		ct state invalid drop
		reject with icmpx admin-prohibited
	}}
	chain filter_OUTPUT {{
		type filter hook output priority filter + 10; policy accept;
		ct state {{ established, related }} accept
		oifname "lo" accept
	}}
	chain filter_FORWARD_ZONES {{
{zones}
	}}
	chain filter_FWD_public {{
		jump filter_FWD_public_allow
		reject with icmpx admin-prohibited
	}}
	chain filter_FWD_public_allow {{
{allow}
	}}
	chain filter_FWD_trusted {{
		accept
	}}
}}
"""
_PUBLIC = '\t\tiifname "eth0" goto filter_FWD_public\n\t\tgoto filter_FWD_public'
_TRUSTED = '\t\tiifname "eth0" goto filter_FWD_trusted\n\t\tiifname "tun-mooring" goto filter_FWD_trusted'

# Docker 27 with iptables, after `docker run -p 8080:80`.
_DOCKER = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-I FORWARD 1 -j DOCKER-USER
-I FORWARD 2 -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
# Docker 29 with "firewall-backend": "nftables".
_DOCKER_NFT = """\
table ip docker-bridges {
	chain filter-FORWARD {
		type filter hook forward priority filter; policy accept;
		oifname "docker0" jump filter-forward-in__docker0
		iifname "docker0" jump filter-forward-out__docker0
	}
	chain filter-forward-in__docker0 {
		ct state established,related counter accept
		iifname "docker0" counter accept comment "ICC"
		counter drop comment "UNPUBLISHED PORT DROP"
	}
	chain filter-forward-out__docker0 {
		ct state established,related counter accept
		counter accept comment "OUTGOING"
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat; policy accept;
		oifname != "docker0" ip saddr 172.17.0.0/16 counter masquerade
	}
}
"""
_TAILSCALE = """\
*filter
:ts-forward - [0:0]
:ts-input - [0:0]
-I INPUT 1 -j ts-input
-I FORWARD 1 -j ts-forward
-A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000
-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT
-A ts-forward -s 100.64.0.0/10 -o tailscale0 -j DROP
-A ts-forward -o tailscale0 -j ACCEPT
-A ts-input -s 100.115.92.0/23 ! -i tailscale0 -j RETURN
-A ts-input -s 100.64.0.0/10 ! -i tailscale0 -j DROP
-A ts-input -i tailscale0 -j ACCEPT
COMMIT
*nat
:ts-postrouting - [0:0]
-I POSTROUTING 1 -j ts-postrouting
-A ts-postrouting -m mark --mark 0x40000/0xff0000 -j MASQUERADE
COMMIT
"""
_FAIL2BAN = """\
*filter
:f2b-sshd - [0:0]
-I INPUT 1 -p tcp -m multiport --dports 22 -j f2b-sshd
-A f2b-sshd -s 203.0.113.66/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-sshd -j RETURN
COMMIT
"""
_FAIL2BAN_NFT = """\
table inet f2b-table {
	set addr-set-sshd {
		type ipv4_addr
		elements = { 203.0.113.66 }
	}
	chain f2b-chain {
		type filter hook input priority filter - 1; policy accept;
		tcp dport 22 ip saddr @addr-set-sshd reject with icmp port-unreachable
	}
}
"""
_UFW = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:ufw-before-forward - [0:0]
:ufw-after-forward - [0:0]
:ufw-reject-forward - [0:0]
:ufw-user-forward - [0:0]
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
COMMIT
"""
# The rules that CentOS and Red Hat ship in /etc/sysconfig/iptables.
_RED_HAT = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
_LIBVIRT = """\
table ip libvirt_network {
	chain forward {
		type filter hook forward priority filter; policy accept;
		counter jump guest_cross
		counter jump guest_input
	}
	chain guest_cross {
		iif "lo" oif "lo" counter accept
	}
	chain guest_input {
		oifname "virbr0" ip daddr 192.168.122.0/24 ct state established,related counter accept
		oifname "virbr0" counter reject
	}
}
"""
# Debian's /usr/share/doc/nftables/examples/workstation.nft, IPv4's part.
_WORKSTATION = """\
table inet filter {
	chain input {
		type filter hook input priority 0; policy drop;
		iif lo accept
		ct state established,related accept
		tcp dport 22 ct state new accept
	}
	chain forward {
		type filter hook forward priority 0; policy drop;
	}
}
"""


def _own(rules: str, hook: str = "forward priority 5; policy accept;") -> str:
    return _nft(f"table ip own {{\n chain mine {{\n  type filter hook {hook}\n  {rules}\n }}\n}}\n")


BEFORE = "priority -5; policy accept;"

RULE_SETS = {
    "firewalld, zone public": RuleSet(
        _nft(_FIREWALLD.format(zones=_PUBLIC, allow="")),
        ALL,
        "table inet firewalld, chain filter_FWD_public, `reject with icmpx admin-prohibited`",
    ),
    "firewalld, forwarding within the zone": RuleSet(
        _nft(_FIREWALLD.format(zones=_PUBLIC, allow='\t\toifname "eth0" accept')),
        (TO,),
        "table inet firewalld, chain filter_FWD_public, `reject with icmpx admin-prohibited`",
    ),
    "firewalld, zone trusted": RuleSet(_nft(_FIREWALLD.format(zones=_TRUSTED, allow=""))),
    "firewalld that owns its table": RuleSet(
        "mkfifo owner; sleep 1000 >owner & nft -i <owner >/dev/null & sleep 0.2\n"
        "echo 'add table inet firewalld { flags owner; }; "
        "add chain inet firewalld filter_FORWARD { type filter hook forward priority filter + 10; policy drop; }' >owner\n"
        "for _ in $(seq 50); do nft list tables | grep -q firewalld && break; sleep 0.1; done\n",
        ALL,
        "table inet firewalld, chain filter_FORWARD, `policy drop`",
    ),
    "docker": RuleSet(_restore(_DOCKER)),
    "docker of the other iptables": RuleSet(
        _restore(_DOCKER, "iptables-legacy-restore"),
        ALL,
        "iptables-legacy table filter, chain FORWARD, `policy DROP`",
    ),
    "docker of nftables": RuleSet(_nft(_DOCKER_NFT)),
    "tailscale": RuleSet(_restore(_TAILSCALE)),
    "tailscale of the other iptables": RuleSet(_restore(_TAILSCALE, "iptables-legacy-restore")),
    "fail2ban": RuleSet(_restore(_FAIL2BAN)),
    "fail2ban of nftables": RuleSet(_nft(_FAIL2BAN_NFT)),
    "ufw": RuleSet(_restore(_UFW)),
    "ufw of the other iptables": RuleSet(
        _restore(_UFW, "iptables-legacy-restore"),
        ALL,
        "iptables-legacy table filter, chain FORWARD, `policy DROP`",
    ),
    "Red Hat's rules of the other iptables": RuleSet(
        _restore(_RED_HAT, "iptables-legacy-restore"),
        ALL,
        "iptables-legacy table filter, chain FORWARD, `-A FORWARD -j REJECT --reject-with icmp-host-prohibited`",
    ),
    "libvirt": RuleSet(_nft(_LIBVIRT)),
    "a workstation's nftables.conf": RuleSet(
        _nft(_WORKSTATION), ALL, "table inet filter, chain forward, `policy drop`"
    ),
    "one network": RuleSet(
        _own("ip saddr 10.0.1.0/24 drop", "forward priority -5; policy accept;"),
        ALL,  # its answers to the office, too
        "table ip own, chain mine, `ip saddr 10.0.1.0/24 drop`",
    ),
    "what comes by the tunnel": RuleSet(
        _own('iifname "tun-mooring" ct state new drop'),
        (FROM,),
        'table ip own, chain mine, `iifname "tun-mooring" ct state new drop`',
    ),
    "answers alone": RuleSet(
        _own("ct direction reply drop"), ALL, "table ip own, chain mine, `ct direction reply drop`"
    ),
    "before the forward hook": RuleSet(
        "iptables-nft -t raw -I PREROUTING 1 -s 10.0.1.0/24 -d 10.100.0.0/16 -m comment --comment 'a key: x' -j DROP\n",
        (TO, FROM),
        "table ip raw, chain PREROUTING, `ip saddr 10.0.1.0/24 ip daddr 10.100.0.0/16 drop`",
    ),
    "a rule above our jump": RuleSet(
        "iptables-nft -I FORWARD 1 -o tun-mooring -j REJECT\n",
        (TO, FROM),
        'table ip filter, chain FORWARD, `oifname "tun-mooring" reject`',
    ),
    "mail is refused": RuleSet(_own("tcp dport 25 drop")),
    "only ssh and the web": RuleSet(
        _own(
            "ct state established,related accept; tcp dport { 22, 443 } accept",
            "forward priority 5; policy drop;",
        )
    ),
}
