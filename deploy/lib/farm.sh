# shellcheck shell=bash
# The demonstration farm of deploy/quickstart, one function per part, each of which finds what is
# there already and changes only what must change. Source it after common.sh, engine.sh and daemon.sh;
# everything here runs as root.
#
# $SLIPWAY_STATE:  bin/ programs · controller/ its data · agent-N/ their data · standin/ the stand-in
# cloud · repos/ the demonstration repositories · run/ pids and logs · engine/ a dockerd started here.

farm_repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
farm_deploy=$farm_repository/deploy

# farm_init: names and places. A state directory of one's own is a farm of one's own beside others.
farm_init() {
  DAEMON_DIR=$SLIPWAY_STATE/run
  farm_programs=$SLIPWAY_STATE/bin
  farm_marker="made by deploy/quickstart for $SLIPWAY_STATE"
  farm_user=${SUDO_USER:-root}
  farm_home=$(getent passwd "$farm_user" | cut -d: -f6)
  [[ -d $farm_home ]] || farm_home=$HOME
  farm_command=/usr/local/bin/slipway
}

free_mb() { # of the file system that holds (or will hold) a path
  local path=$1
  until [[ -d $path ]]; do path=$(dirname "$path"); done
  df --output=avail -BM "$path" | tail -n 1 | tr -dc 0-9
}
need_room() { # PATH MEGABYTES WHAT
  local free
  free=$(free_mb "$1")
  ((free >= $2)) || die "$free MB are free for $1, and $3 needs $2 MB" "Free some space there${4:+, or $4}."
}

# A directory that is not empty and not ours is left alone.
farm_check_ours() {
  if [[ ! -e $SLIPWAY_STATE/made-by ]]; then
    local other
    other=$(find "$SLIPWAY_STATE" -mindepth 1 -maxdepth 1 ! -name quickstart.lock ! -name engine -print -quit)
    [[ -z $other ]] || die "$SLIPWAY_STATE holds other things ($other)" "Choose an empty directory: --state DIR"
    echo "$farm_marker" >"$SLIPWAY_STATE/made-by"
  fi
  # The database server has an account of its own and must be able to pass.
  local folder=$SLIPWAY_STATE
  while [[ $folder != / ]]; do
    (($(stat -c '0%a' "$folder") & 1)) || die "$folder cannot be entered by other accounts; the database server could not reach its files" "chmod o+x $folder, or choose another --state."
    folder=$(dirname "$folder")
  done
}

# --- Programs -------------------------------------------------------------------------------------

farm_install_programs() {
  local name built changed=()
  mkdir -p "$farm_programs"
  for name in slipway slipway-bench slipway-controller slipway-agent slipway-init; do
    # The newest, where an older build had put it elsewhere.
    built=$(find "$farm_repository/build/release" -type f -name "$name" -perm -u+x -printf '%T@ %p\n' 2>/dev/null | sort -rn | sed -n '1s/^[^ ]* //p')
    [[ -n $built ]] || die "build/release holds no program $name" "Run it without --no-build, or: cmake --preset release && ninja -C build/release"
    cmp -s "$built" "$farm_programs/$name" && continue
    # A running program cannot be overwritten, but its name can be given to another.
    install -m 0755 "$built" "$farm_programs/$name.part"
    mv "$farm_programs/$name.part" "$farm_programs/$name"
    changed+=("$name")
  done
  if ((${#changed[@]})); then step "programs: ${changed[*]} → $farm_programs"; else step "programs: up to date"; fi
  # The plain command, unless the machine has another one of that name.
  if [[ ! -e $farm_command && ! -L $farm_command ]] || farm_owns_command; then
    ln -sfn "$farm_programs/slipway" "$farm_command"
  else
    note "$farm_command is not ours and stays; use $farm_programs/slipway"
    farm_command=$farm_programs/slipway
  fi
}

farm_owns_command() { [[ -L $farm_command && $(readlink "$farm_command") == "$farm_programs/slipway" ]]; }

# --- Docker ---------------------------------------------------------------------------------------

farm_check_engine() {
  local root
  root=$(engine_docker info --format '{{.DockerRootDir}}' 2>/dev/null || echo /var/lib/docker)
  engine_docker image inspect slipway-publisher-weixin:1 >/dev/null 2>&1 || need_room "$root" 3000 "making the images"
  farm_choose_network
}

farm_network_owner() { engine_docker network inspect --format '{{index .Labels "io.slipway.farm"}}' "$1" 2>/dev/null; }

# The agents make the network. Chosen once: "slipway", or a name of its own beside another's.
farm_choose_network() {
  local owner
  if [[ ! -s $SLIPWAY_STATE/network ]]; then
    farm_network=slipway
    if farm_network_owner slipway >/dev/null; then
      farm_network=slipway-$(printf %s "$SLIPWAY_STATE" | sha256sum | cut -c1-8)
      note "the Docker network slipway is somebody else's and stays; this farm's is $farm_network"
    fi
    echo "$farm_network" >"$SLIPWAY_STATE/network"
  fi
  farm_network=$(<"$SLIPWAY_STATE/network")
  if owner=$(farm_network_owner "$farm_network") && [[ $owner != "$(farm_id)" ]]; then
    die "the Docker network '$farm_network' belongs to somebody else" "If nobody needs it: docker network rm $farm_network. Otherwise: rm $SLIPWAY_STATE/network, and run this again."
  fi
}

farm_images() { "$farm_deploy/images/build" "$@"; }

# An address of this machine that containers reach: that of Docker's default bridge, which the engine
# routes to from its other bridges, too; else that of the machine itself.
farm_host_address() {
  local bridge address
  bridge=$(engine_docker network inspect --format '{{index .Options "com.docker.network.bridge.name"}}' bridge 2>/dev/null || true)
  address=$(ip -4 -o address show dev "${bridge:-docker0}" 2>/dev/null | sed -n 's/.* inet \([0-9.]*\)\/.*/\1/p' | head -n 1)
  [[ -n $address ]] || address=$(ip -4 -o address show scope global | sed -n 's/.* inet \([0-9.]*\)\/.*/\1/p' | head -n 1)
  [[ -n $address ]] || die "this machine has no address that a container could reach" "Give it one, or enable Docker's default bridge."
  echo "$address"
}

# --- The stand-in for the platform's cloud --------------------------------------------------------

farm_start_standin() {
  local answer
  answer=$("$farm_deploy/demo/standin/start" "$SLIPWAY_STATE/standin" --listen "$(farm_host_address)")
  farm_proxy=$(sed -n 's/^proxy //p' <<<"$answer")
  farm_proxy_ca=$(sed -n 's/^ca //p' <<<"$answer")
  step "stand-in for the platforms' upload clouds: $farm_proxy"
}

# --- Controller -----------------------------------------------------------------------------------

farm_port_free() { [[ -z $(ss -Hltn "sport = :$1") ]]; }

# Chosen once, because agents and clients remember them: farm_port is gRPC's, farm_http_port HTTP's.
farm_choose_ports() {
  farm_port=$(farm_choose_port port 7443 7479)
  farm_http_port=$(farm_choose_port http-port 7480 7580)
}

# farm_choose_port FILE FIRST END: the port in the state's FILE, else the first free one from FIRST on.
farm_choose_port() {
  local port
  if [[ -s $SLIPWAY_STATE/$1 ]]; then
    cat "$SLIPWAY_STATE/$1"
    return
  fi
  for ((port = $2; port < $3; port++)); do
    if farm_port_free "$port"; then
      echo "$port" | tee "$SLIPWAY_STATE/$1"
      ((port == $2)) || note "port $2 is taken by another program; this farm uses $port"
      return
    fi
  done
  die "no port from $2 to $(($3 - 1)) is free" "ss -ltnp shows who has them."
}

farm_start_controller() {
  local config=$SLIPWAY_STATE/controller.yaml print
  farm_choose_ports
  cat >"$config.part" <<CONFIG
# $farm_marker; written anew each time it runs
data_dir: $SLIPWAY_STATE/controller
listen: 127.0.0.1:$farm_port
http_listen: 127.0.0.1:$farm_http_port
allow_local_repositories: true
CONFIG
  mv "$config.part" "$config"
  print=$(daemon_print "$farm_programs/slipway-controller" "$config")
  if daemon_is_current controller "$print" && farm_controller_answers; then
    step "controller: runs (pid $(daemon_pid controller), 127.0.0.1:$farm_port)"
    return
  fi
  daemon_stop controller 40 || die "the controller does not end" "Look at $DAEMON_DIR/controller.log."
  farm_port_free "$farm_port" ||
    die "port $farm_port is taken by another program: $(ss -Hltnp "sport = :$farm_port" | grep -o 'users:.*' || echo unknown)" \
      "Stop it; or give this farm another port: echo PORT > $SLIPWAY_STATE/port, then remove $SLIPWAY_STATE/agent-* so that the agents join anew."
  daemon_start controller "$print" "$farm_programs/slipway-controller" --config "$config"
  # The first start makes a database cluster.
  daemon_wait_for controller 180 farm_controller_answers || daemon_die controller "the controller did not come up on 127.0.0.1:$farm_port"
  step "controller: started (pid $(daemon_pid controller), 127.0.0.1:$farm_port)"
}

# Where the demonstrations publish to: kept by the farm, the same however often this runs.
farm_apply_targets() { # PLATFORM...
  local catalog=$SLIPWAY_STATE/catalog.yaml platform
  echo "# $farm_marker; written anew each time it runs" >"$catalog.part"
  for platform in "$@"; do
    cat >>"$catalog.part" <<CATALOG
---
kind: target
platform: $platform
name: $platform
image: slipway-publisher-$platform:1
proxy: $farm_proxy
ca_file: $farm_proxy_ca
network: bridge
deadline: 5m
CATALOG
  done
  mv "$catalog.part" "$catalog"
  farm_admin apply -f "$catalog" >/dev/null
  step "publish targets: $* ($catalog)"
}

# Answers with TLS and our own token: that is "ready", and that it is ours.
farm_controller_answers() {
  [[ -s $SLIPWAY_STATE/controller/ca.pem && -s $SLIPWAY_STATE/controller/admin.token ]] || return 1
  farm_admin agents >/dev/null
}

# The command line as this script uses it: independent of anybody's own configuration.
farm_admin() {
  "$farm_programs/slipway" --server "127.0.0.1:$farm_port" --ca "$SLIPWAY_STATE/controller/ca.pem" \
    --token-file "$SLIPWAY_STATE/controller/admin.token" "$@"
}

# json_text KEY: the text behind the first "KEY" of a JSON document on stdin.
json_text() { python3 -c 'import json, sys; print(json.load(sys.stdin).get(sys.argv[1], ""))' "$1"; }

# --- The user's own configuration -----------------------------------------------------------------

farm_configure_client() {
  local folder=$farm_home/.config/slipway
  farm_client=$folder/client.yaml
  if [[ -e $farm_client ]] && ! head -n 1 "$farm_client" | grep -qF "$farm_marker"; then
    note "$farm_client is another farm's and stays; for this one: slipway --config $folder/quickstart.yaml …"
    farm_client=$folder/quickstart.yaml
  fi
  install -d -o "$farm_user" -g "$(id -g "$farm_user")" "$farm_home/.config" "$folder"
  local token=${farm_client%.yaml}.token
  install -m 0600 -o "$farm_user" -g "$(id -g "$farm_user")" "$SLIPWAY_STATE/controller/admin.token" "$token"
  cat >"$farm_client.part" <<CONFIG
# $farm_marker
server: 127.0.0.1:$farm_port
ca: $SLIPWAY_STATE/controller/ca.pem
token_file: $token
CONFIG
  chown "$farm_user:$(id -g "$farm_user")" "$farm_client.part"
  mv "$farm_client.part" "$farm_client"
}

# How the user calls the command so that it reaches this farm.
farm_call() {
  local call=slipway
  [[ $farm_command == /usr/local/bin/slipway ]] || call=$farm_command
  [[ ${farm_client##*/} == client.yaml ]] || call="$call --config $farm_client"
  echo "$call"
}

# --- Agents ---------------------------------------------------------------------------------------

farm_id() { sed -n 's/^farm: *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' "$SLIPWAY_STATE"/agent-*/agent.yaml 2>/dev/null | head -n 1; }

farm_start_agents() {
  local count=$1 number
  for ((number = 1; number <= count; number++)); do farm_start_agent "$number"; done
  for ((number = 1; number <= count; number++)); do
    daemon_wait_for "agent-$number" 30 farm_agent_online "agent-$number" ||
      daemon_die "agent-$number" "agent-$number did not connect to the controller"
  done
  step "agents: $count online"
}

farm_agent_online() {
  farm_admin --json agents | python3 -c '
import json, sys
agents = json.load(sys.stdin).get("agents", [])
sys.exit(not any(a.get("name") == sys.argv[1] and a.get("online") for a in agents))' "$1"
}

farm_start_agent() {
  local name=agent-$1 data=$SLIPWAY_STATE/agent-$1 config=$SLIPWAY_STATE/agent-$1.yaml print token
  if [[ ! -s $data/agent.yaml ]]; then
    # Half a join (no agent.yaml) is not one.
    rm -rf "$data"
    token=$(farm_admin --json agents token --lifetime 10m | json_text token)
    "$farm_programs/slipway-agent" join "127.0.0.1:$farm_port" --token "$token" --data-dir "$data" --name "$name" >>"$DAEMON_DIR/$name.log" 2>&1 ||
      daemon_die "$name" "$name could not join the farm"
    step "$name: joined"
  fi
  cat >"$config.part" <<CONFIG
# $farm_marker; written anew each time it runs
docker: {socket: $(engine_socket), network: $farm_network}
git: {allow_file: true}
CONFIG
  mv "$config.part" "$config"
  print=$(daemon_print "$farm_programs/slipway-agent" "$farm_programs/slipway-init" "$config" "$data/agent.yaml")
  if daemon_is_current "$name" "$print"; then return; fi
  # What it builds goes on without it, and the next one takes it over.
  daemon_stop "$name" 20 QUIT || die "$name does not end" "Look at $DAEMON_DIR/$name.log."
  daemon_start "$name" "$print" "$farm_programs/slipway-agent" run --data-dir "$data" --config "$config"
}

# --- The end --------------------------------------------------------------------------------------

farm_down() {
  local file name signal
  [[ -e $SLIPWAY_STATE/made-by ]] || { step "nothing of ours in $SLIPWAY_STATE"; return 0; }
  for file in "$DAEMON_DIR"/agent-*.pid "$DAEMON_DIR"/controller.pid; do
    [[ -e $file ]] || continue
    name=$(basename "$file" .pid)
    # An agent would first finish what it builds.
    signal=TERM
    [[ $name == agent-* ]] && signal=QUIT
    daemon_stop "$name" 40 "$signal" || die "$name does not end" "Look at $DAEMON_DIR/$name.log."
    step "$name: stopped"
  done
  engine_answers || return 0
  local farm containers
  farm=$(farm_id)
  if [[ -n $farm ]]; then
    containers=$(engine_docker ps --all --quiet --filter "label=io.slipway.farm=$farm")
    # shellcheck disable=SC2086
    if [[ -n $containers ]]; then
      engine_docker rm --force $containers >/dev/null
      step "containers of this farm: removed"
    fi
    farm_network=$(cat "$SLIPWAY_STATE/network" 2>/dev/null || true)
    if [[ -n $farm_network && $(farm_network_owner "$farm_network") == "$farm" ]]; then
      engine_docker network rm "$farm_network" >/dev/null
    fi
  fi
  if [[ -d $SLIPWAY_STATE/standin ]]; then "$farm_deploy/demo/standin/stop" "$SLIPWAY_STATE/standin"; fi
}

farm_remove_images() {
  local images
  engine_answers || return 0
  images=$(engine_docker image ls --quiet --filter label=io.slipway.image | sort -u)
  # shellcheck disable=SC2086
  [[ -z $images ]] || engine_docker image rm --force $images >/dev/null 2>&1 || true
  step "images of Slipway: removed"
}

farm_remove() {
  local keep_cache=$1 name
  if [[ -e $SLIPWAY_STATE/made-by ]]; then
    if farm_owns_command; then rm -f "$farm_command"; fi
    for name in client quickstart; do
      if [[ -e $farm_home/.config/slipway/$name.yaml ]] && head -n 1 "$farm_home/.config/slipway/$name.yaml" | grep -qF "$farm_marker"; then
        rm -f "$farm_home/.config/slipway/$name.yaml" "$farm_home/.config/slipway/$name.token"
      fi
    done
    rmdir "$farm_home/.config/slipway" 2>/dev/null || true
    find "$SLIPWAY_STATE" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    rmdir "$SLIPWAY_STATE" 2>/dev/null || true
  fi
  [[ -n $keep_cache ]] || rm -rf "$SLIPWAY_CACHE"
}
