# shellcheck shell=bash
# What all jobs have in common; each of them sources it.
#
#   LAUNCH        starts the ranks of the job                      srun --mpi=pmix
#   CONTAINER     the command that runs inside a container         (none: the clone's .venv, or PATH)
#   MAX_RESTARTS  how often a job may put itself back in line      20
#   NOTICE        seconds from USR1 to the job's end, see --signal 120
#   COMPILED      folder for compiled programs, see jobs/rank      (none)
#   LOGS          folder that the ranks may write in               (the job's)
#
# dassim's exit code 75 says "stopped in good order, continue me". srun kills the other ranks as soon
# as one ends with another code than 0, so ranks that agree on a code leave it in a file and end with 0.
# The file is there before they begin, and is opened to see what is in it: what another node has
# written to a file system over the network is sure to be seen in this way alone.
set -uo pipefail
LAUNCH=${LAUNCH:-srun --mpi=pmix --kill-on-bad-exit=1}
CONTAINER=${CONTAINER:-}
MAX_RESTARTS=${MAX_RESTARTS:-20}
NOTICE=${NOTICE:-120}
unset DASSIM_EXIT_CODE # of a job from which this one was submitted
LOGS=${LOGS:-$PWD}
CONTINUE_ME=75
PROJECT=$(dirname "$JOBS")
if [ -z "$CONTAINER" ] && [ -d "$PROJECT/.venv" ]; then PATH=$PROJECT/.venv/bin:$PATH; fi
export SRUN_CPUS_PER_TASK=${SRUN_CPUS_PER_TASK:-${SLURM_CPUS_PER_TASK:-1}} # srun does not take sbatch's

say() { echo "$(date '+%F %T') job ${SLURM_JOB_ID:-?}: $*"; }

# A signal to this script goes on to the ranks; one that comes before there are any is remembered.
child="" timer="" signals=0
told=${told:-}
forward() {
  told=$1 signals=$((signals + 1))
  say "got $1, the ranks stop in good order"
  if [ -n "$child" ]; then tell; fi
}

# Launchers drop a signal that comes while they start the ranks, so it is said every second.
# Ranks that take longer than three quarters of the notice are ended, as long as there is time for
# the job to come back: Slurm would end them, and the job with them.
tell() {
  kill -USR1 "$child" 2>/dev/null
  if [ -z "$timer" ]; then tell_until_the_end & timer=$!; fi
}

tell_until_the_end() {
  local seconds=$((NOTICE * 3 / 4)) end
  end=$((SECONDS + seconds))
  while [ "$SECONDS" -lt "$end" ]; do
    sleep 1 >/dev/null 2>&1
    kill -USR1 "$child" 2>/dev/null
  done
  say "after $seconds s the ranks have not stopped, and are ended; give more notice (--notice)"
  kill -KILL "$child"
}

# on_ranks COMMAND...   run it on all ranks; its exit code.
on_ranks() {
  local code before
  trap 'forward USR1' USR1
  trap 'forward TERM' TERM
  say "start ${SLURM_RESTART_COUNT:-0} on ${SLURM_JOB_NODELIST:-this machine}: $*"
  if [ -n "$told" ]; then
    say "got $told before the ranks began"
    return "$CONTINUE_ME"
  fi
  export DASSIM_EXIT_CODE=$LOGS/.exit-code-${SLURM_JOB_ID:-$$}
  if ! { : >"$DASSIM_EXIT_CODE"; } 2>/dev/null; then unset DASSIM_EXIT_CODE; fi
  # shellcheck disable=SC2086
  $LAUNCH "$JOBS/rank" $CONTAINER "$@" &
  child=$!
  if [ -n "$told" ]; then tell; fi # came while they were started
  while :; do # a signal ends the wait, not the child
    before=$signals
    wait "$child"
    code=$?
    [ "$signals" != "$before" ] || break
  done
  trap - USR1 TERM
  if [ -n "$timer" ]; then kill "$timer" 2>/dev/null; fi
  child="" timer=""
  if [ "$code" = 0 ]; then code=$(left); fi
  if [ -n "${DASSIM_EXIT_CODE:-}" ]; then rm -f "$DASSIM_EXIT_CODE"; fi
  unset DASSIM_EXIT_CODE
  say "ended with $code$(meaning "$code")"
  return "$code"
}

left() { # the code that the ranks have agreed on, 0 where they left none
  local left=""
  if [ -n "${DASSIM_EXIT_CODE:-}" ]; then left=$(<"$DASSIM_EXIT_CODE"); fi
  echo "${left:-0}"
}

meaning() { # of an exit code
  case $1 in
    0) ;;
    "$CONTINUE_ME") echo ": stopped in good order" ;;
    2) echo ": the namelist or an option cannot be used" ;;
    3) echo ": the run became unstable; its last states are in its folder diagnosis" ;;
    137) echo ": a rank was killed, often for want of memory" ;;
    129 | 1[3-9][0-9]) echo ": a rank was ended by the signal $(kill -l "$(($1 - 128))")" ;;
    *) echo ": the reason stands above" ;;
  esac
}

# until_done COMMAND...   on_ranks, and back in line as long as it says "continue me". Ranks that were
# told to stop before they could hear it are ended by the signal: they have lost nothing. After TERM,
# which is how scancel ends a job, it does not come back.
until_done() {
  local code=0
  on_ranks "$@" || code=$?
  if [ "$told" = TERM ]; then
    say "was cancelled or is out of time; submitted again, it goes on from its newest restart"
    exit "$code"
  fi
  if [ "$code" = "$CONTINUE_ME" ] || { [ -n "$told" ] && [ "$code" -gt 128 ]; }; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "$MAX_RESTARTS" ]; then
      say "has started ${SLURM_RESTART_COUNT:-0} times, as often as MAX_RESTARTS allows"
      exit 1
    fi
    say "goes back in line"
    if scontrol requeue "$SLURM_JOB_ID"; then sleep 60; fi # the requeue ends this script
    say "cannot go back in line; submitted again, it goes on from its newest restart"
    exit 1
  fi
  case $code in
    0 | 2 | 3) ;;
    *) say "failed; submitted again, it goes on from its newest restart" ;;
  esac
  exit "$code"
}
