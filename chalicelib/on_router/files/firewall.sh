
# Rules first, forwarding last: a flow that is forwarded before it is translated stays so for as long as it lives.
# Run again it changes nothing, and it never touches what is not Mooring's.
set -euo pipefail

RULES=/etc/mooring/rules.v4
FORWARDING=/proc/sys/net/ipv4/ip_forward
METRIC=4278198272 # any route of the tunnel is better

# Our chains and jumps as they are in force, without counters.
ours() { for table in mangle nat filter; do iptables-save -t $table | sed -n 's/ \[[0-9:]*\]$//; /MOORING-/p'; done; }

# The rules without the jumps that are there: loading one adds it once more.
missing() {
  local line table rule
  while read -r line; do
    case $line in
      \**) table=${line#\*} ;;
      "-I "*)
        read -ra rule <<<"$line"
        ! iptables -w 10 -t "$table" -C "${rule[1]}" "${rule[@]:3}" 2>/dev/null || continue
        ;;
    esac
    echo "$line"
  done <"$RULES"
}

# Larger buffers halve OpenVPN's retransmissions; without them it is slower, no more.
raise() { [ "$(cat "$1" 2>/dev/null || echo 0)" -ge "$2" ] || echo "$2" 2>/dev/null >"$1" || echo "$1 stays as it is"; }

for tool in iptables-restore ip conntrack; do
  command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done

before=$(ours)
forwarded=$(<"$FORWARDING")
load=$(missing)
iptables-restore -w 10 --noflush --test <<<"$load" # each table is a transaction: judge all before the first
iptables-restore -w 10 --noflush <<<"$load"

# While the tunnel is down, what is meant for the office goes nowhere.
for network in "${REMOTE[@]}"; do ip route replace unreachable "$network" metric $METRIC; done
ip route show type unreachable metric $METRIC | while read -r _ network _; do
  [[ $network == */* ]] || network+=/32 # as ip shows a single address
  [[ " ${REMOTE[*]} " == *" $network "* ]] || ip route del unreachable "$network" metric $METRIC
done

raise /proc/sys/net/core/rmem_max 2097152
raise /proc/sys/net/core/wmem_max 2097152
for file in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >"$file"; done # there is no better way to tell of
echo 1 >"$FORWARDING"

# A flow keeps the translation it began with: what began under other rules, or none, begins anew.
if [ "$forwarded" != 1 ] || [ "$before" != "$(ours)" ]; then
  for network in "${PRIVATE[@]}"; do conntrack -D -s "$network" >/dev/null 2>&1 || [ $? = 1 ]; done # 1: there was none
  echo "the rules are loaded, forwarding is on"
fi
