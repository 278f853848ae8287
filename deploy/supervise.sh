# shellcheck shell=bash disable=SC2154,SC2034  # bin, config, log_dir are the caller's; exit_code is for it
# Sourced by deploy/run: keeps a list of services running until it is told to stop. See `supervise`.
# A service that dies is started again after 0.5 s, 1 s, 2 s … at most 30 s; after a minute of good running the wait is
# short again. A service that says that its configuration is wrong (exit code 2) ends everything.

declare -A pid_of started_at restart_at back_off
is_stopping=0
log_max_bytes=$((64 * 1024 * 1024))

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

# start_service NAME: in a session of its own, so that Ctrl-C reaches only the supervisor, which keeps the order; told to
# stop by the kernel should the supervisor itself be killed.
start_service() {
  local name="$1"
  setsid setpriv --pdeathsig SIGTERM "$bin/verbatim-$name" --config "$config" </dev/null >>"$log_dir/$name.log" 2>&1 &
  pid_of[$name]=$!
  started_at[$name]=$SECONDS
  restart_at[$name]=-1
}

# A log above its bound goes to NAME.log.1 in place of the one before; the file stays open, so it is copied, then emptied.
bound_log() {
  local file="$log_dir/$1.log"
  if (($(stat -c %s "$file" 2>/dev/null || echo 0) > log_max_bytes)); then
    cp "$file" "$file.1" && : >"$file"
  fi
}

# Looks after one service; called twice a second.
look_after() {
  local name="$1" code=0
  if ((${restart_at[$name]} >= 0)); then
    if ((SECONDS >= ${restart_at[$name]})); then
      start_service "$name"
      say "$name started again (pid ${pid_of[$name]})"
    fi
    return
  fi
  if kill -0 "${pid_of[$name]}" 2>/dev/null; then return; fi
  # Without bash's own notice of the killed job.
  { wait "${pid_of[$name]}" || code=$?; } 2>/dev/null
  if ((is_stopping)); then return; fi
  if ((code == 2)); then
    say "$name refuses its configuration:"
    tail -3 "$log_dir/$name.log"
    exit_code=2
    is_stopping=1
    return
  fi
  if ((SECONDS - ${started_at[$name]} > 60)); then back_off[$name]=0; fi
  restart_at[$name]=$((SECONDS + ${back_off[$name]}))
  say "$name ended (code $code), again in ${back_off[$name]} s; last line of var/log/$name.log: $(tail -1 "$log_dir/$name.log")"
  back_off[$name]=$((back_off[$name] == 0 ? 1 : back_off[$name] * 2))
  ((back_off[$name] <= 30)) || back_off[$name]=30
}

# stop_service NAME: SIGTERM, then SIGKILL after 30 s. Nothing is lost by the latter, only time at the next start.
stop_service() {
  local name="$1" pid="${pid_of[$1]:-}" waited=0
  [[ -n "$pid" ]] && kill -TERM "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null && ((waited < 300)); do
    sleep 0.1
    waited=$((waited + 1))
  done
  if kill -KILL "$pid" 2>/dev/null; then say "$name did not stop within 30 s and was killed"; fi
  wait "$pid" 2>/dev/null || true
  pid_of[$name]=""
}

# supervise NAME...: starts in this order, stops in the opposite one.
supervise() {
  local name ticks=0
  exit_code=0
  trap 'is_stopping=1' INT TERM HUP
  for name in "$@"; do
    back_off[$name]=0
    start_service "$name"
  done
  until ((is_stopping)); do
    sleep 0.5 &
    wait $! || true
    for name in "$@"; do
      ((is_stopping)) || look_after "$name"
    done
    ticks=$((ticks + 1))
    if ((ticks % 120 == 0)); then
      for name in "$@"; do bound_log "$name"; done
    fi
    tell_when_all_answer
  done
  say "stopping"
  local reversed=()
  for name in "$@"; do reversed=("$name" "${reversed[@]}"); done
  for name in "${reversed[@]}"; do stop_service "$name"; done
  say "stopped"
}

# Says once how things are, when all services answer; or, after a minute, that they do not.
is_told=0
tell_when_all_answer() {
  ((is_told || is_stopping)) && return 0
  local code=0
  "$bin/verbatimctl" --config "$config" --timeout 2 status >"$log_dir/status.txt" 2>&1 || code=$?
  if ((code == 1 && SECONDS < 15)) && grep -q 'detached' "$log_dir/status.txt"; then return 0; fi
  if ((code != 3 || SECONDS > 60)); then
    is_told=1
    cat "$log_dir/status.txt"
    say "running; stop with Ctrl-C"
  fi
}
