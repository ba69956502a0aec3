# shellcheck shell=bash
# What all jobs have in common; each of them sources it.
#
#   LAUNCH        starts the ranks of the job                    srun --mpi=pmix
#   CONTAINER     the command that runs inside a container       (none: the clone's .venv, or PATH)
#   MAX_RESTARTS  how often a job may put itself back in line    20
#
# dassim's exit code 75 says "stopped in good order, continue me".
set -uo pipefail
LAUNCH=${LAUNCH:-srun --mpi=pmix --kill-on-bad-exit=1}
CONTAINER=${CONTAINER:-}
MAX_RESTARTS=${MAX_RESTARTS:-20}
CONTINUE_ME=75
PROJECT=$(dirname "$JOBS")
if [ -z "$CONTAINER" ] && [ -d "$PROJECT/.venv" ]; then PATH=$PROJECT/.venv/bin:$PATH; fi

say() { echo "$(date '+%F %T') job ${SLURM_JOB_ID:-?}: $*"; }

# on_ranks COMMAND...   run it on all ranks; signals to this script reach it; its exit code.
on_ranks() {
  local child="" told="" code
  forward() {
    told=$1
    say "got $1, the ranks stop in good order"
    kill -USR1 "$child" 2>/dev/null
  }
  trap 'forward USR1' USR1
  trap 'forward TERM' TERM
  say "start ${SLURM_RESTART_COUNT:-0} on ${SLURM_JOB_NODELIST:-this machine}: $*"
  # shellcheck disable=SC2086
  $LAUNCH $CONTAINER "$@" &
  child=$!
  while :; do # a signal ends the wait, not the child
    told=""
    wait "$child"
    code=$?
    [ -n "$told" ] || break
  done
  trap - USR1 TERM
  say "ended with $code"
  return "$code"
}

# until_done COMMAND...   on_ranks, and back in line as long as it says "continue me".
until_done() {
  local code=0
  on_ranks "$@" || code=$?
  if [ "$code" = "$CONTINUE_ME" ]; then
    if [ "${SLURM_RESTART_COUNT:-0}" -ge "$MAX_RESTARTS" ]; then
      say "has started ${SLURM_RESTART_COUNT:-0} times, as often as MAX_RESTARTS allows"
      exit 1
    fi
    say "goes back in line"
    scontrol requeue "$SLURM_JOB_ID" && sleep 60 # the requeue ends this script
    exit 1
  fi
  exit "$code"
}
