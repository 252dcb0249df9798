
# Loads the rules first and switches forwarding on last: a flow that is forwarded before it is translated stays
# untranslated for as long as it lives. Run again it changes nothing. Everything that is not Mooring's stays.
set -euo pipefail

RULES=/etc/mooring/rules.v4
METRIC=4278198272 # so large that any route of the tunnel is better
FORWARDING=/proc/sys/net/ipv4/ip_forward
WAIT=(-w 10)      # somebody else may hold iptables' lock

say() { echo "$*" >&2; }

# Our chains as they are in force, without counters.
ours() { for table in mangle nat filter; do iptables-save -t "$table" | sed -n '/MOORING-/s/\[[0-9:]*\]//p'; done; }

# The rules without the jumps that are there: a jump would be added once more at every load.
missing() {
  local line table rule
  while IFS= read -r line; do
    case $line in
      \**) table=${line#\*} ;;
      "-I "*)
        read -ra rule <<<"$line"
        ! iptables "${WAIT[@]}" -t "$table" -C "${rule[1]}" "${rule[@]:3}" 2>/dev/null || continue
        ;;
    esac
    printf '%s\n' "$line"
  done <"$RULES"
}

# Larger socket buffers halve OpenVPN's retransmissions; a kernel that does not let us costs speed only.
raise() {
  local now
  now=$(cat "$1" 2>/dev/null) && [ "$now" -ge "$2" ] && return
  echo "$2" 2>/dev/null >"$1" || say "$1 stays as it is"
}

before=$(ours)
forwarded=$(cat "$FORWARDING")

# All tables are judged before the first is loaded: each is a transaction of its own.
load=$(missing)
iptables-restore --noflush --test "${WAIT[@]}" <<<"$load"
iptables-restore --noflush "${WAIT[@]}" <<<"$load"

# While the tunnel is down, what is meant for the office goes nowhere, least of all to the internet.
for network in "${REMOTE[@]}"; do ip route replace unreachable "$network" metric "$METRIC"; done
ip -o route show type unreachable | while read -r _ network rest; do
  [[ " $rest " == *" metric $METRIC "* && " ${REMOTE[*]} " != *" $network "* ]] || continue
  ip route del unreachable "$network" metric "$METRIC"
done

raise /proc/sys/net/core/rmem_max 2097152
raise /proc/sys/net/core/wmem_max 2097152
# Private hosts cannot use a better way than the router; a redirect would only tell them of one.
for scope in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 >"$scope"; done
echo 1 >"$FORWARDING"

# A flow keeps the translation it began with. What began under other rules, or under none, begins anew.
if [ "$forwarded" != 1 ] || [ "$before" != "$(ours)" ]; then
  command -v conntrack >/dev/null || { say "conntrack is not installed: flows that run keep their old translation"; exit 0; }
  for network in "${PRIVATE[@]}"; do conntrack -D -s "$network" >/dev/null 2>&1 || true; done # 1: there were none
  say "the rules are loaded and forwarding is on"
fi
