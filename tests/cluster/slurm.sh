#!/usr/bin/env bash
# Shards on a real Slurm, on loopback and without systemd: `brownout submit` hands it an array of four shards and a job
# that merges them, and what is left must be, byte for byte, what one process leaves. Then the same with `--shard auto`
# and with GNU parallel. Needs root; on Debian it installs slurmctld, slurmd, slurm-client, munge and parallel if they
# are missing. Whatever it starts it stops again. Give the program to test, or it is built.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
since=$SECONDS

[[ $(id -u) == 0 ]] || { echo "slurm.sh: needs root, to install and start Slurm" >&2; exit 1; }
program=${1:-}
if [[ -z $program ]]; then
    cargo build --quiet --release
    program=$root/target/release/brownout
fi
program=$(realpath "$program")

missing=()
for need in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client parallel:parallel; do
    command -v "${need%%:*}" > /dev/null || PATH=$PATH:/usr/sbin command -v "${need%%:*}" > /dev/null || missing+=("${need##*:}")
done
if (( ${#missing[@]} )); then
    echo "installing ${missing[*]}"
    # Services of the packages stay off: this script starts its own.
    policy=/usr/sbin/policy-rc.d
    had_policy=no
    [[ -e $policy ]] && had_policy=yes
    [[ $had_policy == yes ]] || { printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; }
    installed=yes
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"; } \
        > /dev/null 2>&1 || installed=no
    [[ $had_policy == yes ]] || rm -f "$policy"
    [[ $installed == yes ]] || { echo "slurm.sh: cannot install ${missing[*]}" >&2; exit 1; }
fi
PATH=$PATH:/usr/sbin
echo "installed after $((SECONDS - since)) s"

home=$(mktemp -d)
chmod 755 "$home"
munge_pid=''
# Ends a process, and waits for it to be gone: five seconds, then by force.
end() {
    kill "$1" 2> /dev/null || return 0
    for _ in {1..50}; do kill -0 "$1" 2> /dev/null || return 0; sleep 0.1; done
    kill -9 "$1" 2> /dev/null || true
}
stop() {
    local code=$?
    trap - EXIT INT TERM
    if [[ $code != 0 ]]; then
        echo "slurm.sh: failed; the last lines of its logs:" >&2
        tail -n 15 "$home"/*.log "$home"/work/out/jobs/* >&2 2> /dev/null || true
    fi
    local file
    for file in slurmd.pid slurmctld.pid; do
        [[ -s $home/$file ]] || continue
        end "$(< "$home/$file")"
    done
    # munged writes its seed as it ends: into a directory that must not be going yet.
    [[ -z $munge_pid ]] || end "$munge_pid"
    rm -rf "$home"
    exit "$code"
}
trap stop EXIT
trap 'exit 130' INT TERM

# Ports that nobody listens on.
free() {
    local port=$1
    while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 2)); done
    echo "$port"
}
ctld_port=$(free 16817)
d_port=$(free $((ctld_port + 1)))
host=$(hostname -s)
mkdir -p "$home"/{state,spool,work} "$home/munge"
chmod 700 "$home/munge"
head -c 1024 /dev/urandom > "$home/munge/key"
chmod 400 "$home/munge/key"
cat > "$home/slurm.conf" << CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$home/munge/socket
CryptoType=crypto/munge
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmctldPort=$ctld_port
SlurmdPort=$d_port
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$home/slurm.conf

munged --foreground --force --key-file="$home/munge/key" --socket="$home/munge/socket" --pid-file="$home/munge/pid" \
    --log-file="$home/munge/log" --seed-file="$home/munge/seed" --num-threads=2 > "$home/munged.log" 2>&1 &
munge_pid=$!
for _ in {1..100}; do [[ -S $home/munge/socket ]] && break; sleep 0.1; done
[[ -S $home/munge/socket ]] || { echo "slurm.sh: munged does not start" >&2; exit 1; }
slurmctld -f "$SLURM_CONF"
slurmd -f "$SLURM_CONF" -N "$host"
for _ in {1..150}; do
    [[ $(sinfo --noheader --format=%T 2> /dev/null) == idle ]] && break
    sleep 0.2
done
[[ $(sinfo --noheader --format=%T) == idle ]] || { sinfo >&2; echo "slurm.sh: the node does not come up" >&2; exit 1; }
echo "cluster is idle after $((SECONDS - since)) s"

# A name with blanks, as people have them.
cd "$home/work"
cp -r "$root/models" "$root/experiments" .
file='experiments/a little of everything.ron'
mv experiments/smoke.ron "$file"
play=("$file" --runs 8)
"$program" run "${play[@]}" --jobs 1 --out whole > whole.txt

# Waits until no job is left.
settled() {
    local last=$((SECONDS + 300))
    while [[ -n $(squeue --noheader) ]]; do
        (( SECONDS < last )) || { squeue >&2; echo "slurm.sh: jobs do not end" >&2; exit 1; }
        sleep 0.2
    done
}
same() {
    rm -rf "$1/shards" "$1/jobs"
    diff -r whole "$1" || { echo "slurm.sh: $2 leaves other bytes" >&2; exit 1; }
    echo "$2: the same bytes, after $((SECONDS - since)) s"
}

begun=$SECONDS
"$program" submit "${play[@]}" --jobs 1 --engine slurm --shards 4 --out 'o u t'
settled
[[ $(ls 'o u t/shards' | wc -l) == 4 ]] || { ls -R 'o u t' >&2; echo "slurm.sh: not four shards" >&2; exit 1; }
echo "array of 4 and merge took $((SECONDS - begun)) s"
same 'o u t' "an array of Slurm"

# Slurm's own variables, with an array that begins at 0 and goes by twos.
sbatch --parsable --array=0-6:2 --output='auto-%a.log' > /dev/null << JOB
#!/bin/sh
exec '$program' run '$file' --runs 8 --jobs 1 --shard auto --out auto/shards
JOB
settled
"$program" merge auto/shards --out auto > /dev/null
same auto "--shard auto under Slurm"

# An array of which a job fails is not merged; submitted again, only what is missing is played.
mkdir -p broken/shards/a-little-of-everything.3-of-4.shard
"$program" submit "${play[@]}" --jobs 1 --engine slurm --shards 4 --out broken > /dev/null
settled
[[ ! -e broken/summary.json ]] || { echo "slurm.sh: merged although a shard had failed" >&2; exit 1; }
rmdir broken/shards/a-little-of-everything.3-of-4.shard
"$program" submit "${play[@]}" --jobs 1 --engine slurm --shards 4 --out broken > /dev/null
settled
grep -q "there already" broken/jobs/shard-1.log
same broken "an array that had to be submitted twice"

"$program" submit "${play[@]}" --engine parallel --shards 4 --at-once 2 --out para > para.txt
[[ $(tail -n +2 para/jobs/parallel.log | wc -l) == 4 ]] || { cat para/jobs/parallel.log >&2; exit 1; }
same para "GNU parallel"
echo "slurm.sh: all the same, $((SECONDS - since)) s"
