#!/bin/sh
# Brings one node to the release of a tarball: upload, check, upgrade, outcome. Or brings several
# nodes to the release of a rollout.toml, with the relctl of this machine.
#
#     rollout.sh [--host HOST] [--relctl COMMAND] [--settle SECONDS] [--probe COMMAND]
#                [--timeout SECONDS] [--report FOLDER] TARBALL
#     rollout.sh --hosts FILE [--relctl COMMAND] [--report FOLDER] ROLLOUT.toml
#
#   --host      machine of the node, reached by ssh [this machine]
#   --hosts     list of machines, reached by ssh; becomes `relctl rollout start`
#   --relctl    relctl on that machine, such as 'sudo -u reld relctl' [relctl]
#   --settle    watch the release for that long before the commit; 0 does not [60]
#   --probe     then run this command on that machine; if it fails, the release is taken back
#   --timeout   longest wait for a busy node, and for one that was lost [600]
#   --report    folder for check.json and report.json, the answers of relctl [rollout]
#
# An option with an empty value counts as absent. Exit codes are those of relctl:
#   0  the release is permanent            4  rolled back or taken back; the old release runs
#   1  refused or cancelled; unchanged     5  the node restarts into the permanent release
#   2  usage                               6  of several nodes, a part runs the release
#   3  the outcome is not known            7  the release runs, but is not permanent
#                                          70 a bug of reld
#
# Repeat it at any time: it waits for an order under way, and does nothing if the release runs.
# SIGTERM, SIGINT or SIGHUP cancels it: the release is taken back, unless it is permanent already.
# A script that is killed leaves the decision to the node, which settles and probes by itself.
# With --hosts, a signal lets the nodes under way end their upgrade, and no other begins. A second
# signal does not wait for them.
set -u

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

note() { printf 'rollout: %s\n' "$*" >&2; }

host='' hosts='' relctl='' settle='' probe='' timeout='' report=''
while [ $# -gt 1 ]; do
    case $1 in
    --host) host=$2 ;;
    --hosts) hosts=$2 ;;
    --relctl) relctl=$2 ;;
    --settle) settle=$2 ;;
    --probe) probe=$2 ;;
    --timeout) timeout=$2 ;;
    --report) report=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[ $# -eq 1 ] || usage
document=$1 relctl=${relctl:-relctl} report=${report:-rollout}
if ! [ -f "$document" ] || ! mkdir -p "$report"; then
    note "cannot read $document or write $report"
    exit 2
fi

if [ -n "$hosts" ]; then
    # The policy has these; to ignore a probe would accept a bad release.
    [ -z "$host$settle$probe$timeout" ] || usage
    # A signal to the script is one to relctl.
    exec relctl --json rollout start --hosts "$hosts" --relctl "$relctl" -- "$document" \
        >"$report/report.json"
fi

tarball=$document settle=${settle:-60} timeout=${timeout:-600}
for seconds in "$settle" "$timeout"; do
    case $seconds in '' | *[!0-9]*) usage ;; esac
done
[ "$settle" -ne 0 ] || settle=''

# Ends with an exit code of relctl. ssh exits with 255 if it fails itself.
end() {
    case $1 in
    0) note "release $version is permanent" ;;
    1) note 'refused: the node is unchanged' ;;
    3 | 255) note "no answer from the node: see \`relctl status\` and \`relctl history\`, or repeat" ;;
    4) note 'failed: the node runs the previous release' ;;
    5) note 'failed: the node restarts into its permanent release' ;;
    7) note "release $version runs and is not permanent: \`relctl commit\` or \`relctl downgrade\`" ;;
    *) note "relctl failed with $1" ;;
    esac
    [ "$1" -ne 255 ] || exit 3
    exit "$1"
}

# Prints words for the shell on the node's machine.
quoted() {
    for word in "$@"; do
        printf " '%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
    done
}

# Becomes relctl on the node's machine; for subshells.
node() {
    line="exec $relctl --json$(quoted "$@")"
    if [ -z "$host" ]; then
        exec sh -c "$line"
    fi
    exec ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -- "$host" "$line"
}

# Runs relctl with these files as stdin and stdout until it ends or the rollout is cancelled.
run() {
    input=$1 output=$2
    shift 2
    (node "$@") <"$input" >"$output" &
    child=$!
    [ "$cancelled" != yes ] || kill "$child"
    wait "$child"
    code=$?
    child=''
}

# shellcheck disable=SC2317 # It is called by the trap.
cancel() {
    trap '' HUP INT TERM
    cancelled=yes
    note 'cancelled'
    # It may fail, as for sudo. The rollout goes on without this child.
    [ -z "$child" ] || kill "$child" 2>/dev/null
}

# Runs a step that leaves the running release alone.
prepare() {
    run "$@"
    [ -z "$cancelled" ] || end 1
    [ "$code" -eq 0 ] || end "$code"
}

# Follows the order to its end. A cancelled rollout aborts the order before.
follow() {
    if [ "$cancelled" = yes ]; then
        (node abort) </dev/null >"$report/abort.json"
        case $? in 3 | 255) code=255 && return ;; esac
        cancelled=aborted
    fi
    run /dev/null "$report/report.json" attach "$version"
    [ "$cancelled" != yes ] || follow
}

cancelled='' child='' version=''
trap cancel HUP INT TERM

prepare /dev/null "$report/status.json" wait --for quiet --timeout "$timeout"
prepare "$tarball" "$report/unpacked.json" unpack -
version=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' "$report/unpacked.json")
note "checking release $version"
prepare /dev/null "$report/check.json" upgrade "$version" --dry-run

# In the foreground, so that a signal waits until the order has begun or was refused.
note "upgrading to release $version"
(node upgrade "$version" --detach ${settle:+--settle "$settle"} ${probe:+--probe "$probe"}) \
    </dev/null >"$report/report.json"
code=$?
case $code in
0)
    if ! grep -q '"outcome": *"under_way"' "$report/report.json"; then
        note "release $version ran already"
        end 0
    fi
    ;;
3 | 255) ;; # The order was lost on its way, or the answer was.
*)
    # A signal of a terminal ends relctl too: then it is not known whether the order has begun.
    if [ "$code" -le 128 ] || [ -z "$cancelled" ]; then
        end "$code"
    fi
    ;;
esac

follow
deadline=$(($(date +%s) + timeout))
while [ "$code" -eq 3 ] || [ "$code" -eq 255 ]; do
    [ "$(date +%s)" -lt "$deadline" ] || end "$code"
    note 'the node is lost; trying again'
    sleep 2
    (node wait --for up --timeout 5) </dev/null >"$report/status.json" || continue
    follow
    # The node is up and does not know the outcome.
    [ "$code" -ne 3 ] || end 3
done
end "$code"
