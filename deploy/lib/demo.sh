# shellcheck shell=bash
# The demonstration applications of deploy/quickstart: their repositories and credentials, and
# publishing them. Source it after farm.sh; everything here runs as root.
#
# An application is a directory of deploy/demo, named like it, with a slipway.yaml. Its platforms are
# those named there.

demo_sources=$(cd "$(dirname "${BASH_SOURCE[0]}")/../demo" && pwd)
demo_everywhere_platforms=weixin,alipay,douyin

# demo_first SUBMIT, demo_everywhere SUBMIT: makes all that the one for WeChat, or for three platforms,
# needs; publishes it unless SUBMIT is empty.
demo_first() {
  demo_application pocket-shop "Pocket Shop"
  [[ -z $1 ]] || demo_submit pocket-shop weixin
}
demo_everywhere() {
  farm_images --builder-uni --publisher-alipay --publisher-douyin
  demo_application tea-timer "Tea Timer"
  [[ -z $1 ]] || demo_submit tea-timer "$demo_everywhere_platforms"
}

# demo_platforms APP: "PLATFORM APP_ID", a line each.
demo_platforms() {
  awk '/^platforms:/ { inside = 1; next }
    inside && /^  [a-z]/ { platform = $1; sub(":", "", platform) }
    inside && $1 == "app_id:" { gsub("\"", "", $2); print platform, $2 }' "$demo_sources/$1/slipway.yaml"
}

demo_git() {
  git -c safe.directory='*' -c user.name='Slipway quickstart' -c user.email=quickstart@slipway.invalid \
    -c commit.gpgsign=false -c core.hooksPath=/dev/null -c init.defaultBranch=main -c core.autocrlf=false "$@"
}

# demo_application APP DESCRIPTION: known to the farm, in a repository, with credentials sealed.
demo_application() {
  local app=$1 description=$2 bare=$SLIPWAY_STATE/repos/$1.git source=$demo_sources/$1 application changed
  farm_admin --json apps show "$app" >/dev/null 2>&1 ||
    farm_admin apps create "$app" --repository "file://$bare" --description "$description, a demonstration" >/dev/null
  application=$(farm_admin --json apps show "$app" | json_text id)
  if [[ ! -d $bare ]]; then
    mkdir -p "${bare%/*}"
    demo_git init -q --bare "$bare.part"
    mv "$bare.part" "$bare"
  fi

  # Holds a private key for a moment: memory, not a disk.
  demo_work=$(mktemp -d "$([[ -d /dev/shm ]] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/slipway-quickstart.XXXXXX")
  trap 'rm -rf "$demo_work"' EXIT
  local tree=$demo_work/tree
  demo_git clone -q "$bare" "$tree" 2>/dev/null
  find "$tree" -mindepth 1 -maxdepth 1 ! -name .git ! -name .slipway -exec rm -rf {} +
  # What somebody installed or built beside the sources is not theirs.
  tar -C "$source" --exclude=./node_modules --exclude=./dist -cf - . | tar -C "$tree" --no-same-owner -xf -
  demo_credentials "$app" "$application" "$tree"
  demo_git -C "$tree" add --all
  if ! demo_git -C "$tree" diff --cached --quiet; then
    demo_git -C "$tree" commit -q -m "$description"
    demo_git -C "$tree" push -q origin HEAD:main
    changed=1
  fi
  demo_git -C "$bare" symbolic-ref HEAD refs/heads/main
  step "$app: repository ${changed:+updated: }file://$bare, commit $(demo_git -C "$bare" rev-parse --short main)"
  rm -rf "$demo_work"
  trap - EXIT
}

# Sealed for this farm and application, and the platform knows its half.
demo_credentials() { # APP APPLICATION_ID TREE
  local app=$1 application=$2 tree=$3 mark=$SLIPWAY_STATE/repos/$1.sealed-for registered=$SLIPWAY_STATE/standin/apps platform app_id sealed=()
  while read -r platform app_id <&3; do
    if [[ -s $tree/.slipway/$platform.credential && (-s $registered/$app_id.pub || -s $registered/$app_id.token) &&
      $(cat "$mark" 2>/dev/null) == "$application" ]]; then continue; fi
    demo_seal "$app" "$platform" "$app_id" "$tree"
    sealed+=("$platform")
  done 3< <(demo_platforms "$app")
  ((${#sealed[@]})) || return 0
  echo "$application" >"$mark"
  step "$app: credentials made for ${sealed[*]}, registered at the stand-in, sealed for this farm"
}

# As the platforms' consoles do it: a key pair or a token is made, the platform keeps what it checks
# with, the developer seals the other half and nobody keeps it in the clear.
demo_seal() { # APP PLATFORM APP_ID TREE
  local app=$1 platform=$2 app_id=$3 tree=$4 key=$demo_work/upload.key known=$demo_work/known
  case $platform in
    weixin)
      (umask 077 && openssl genrsa -traditional -out "$key" 2048 2>/dev/null)
      openssl pkey -in "$key" -pubout -out "$known.pub" 2>/dev/null
      ;;
    alipay)
      (umask 077 && openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null | tee "$demo_work/pem" |
        python3 -c 'import json, sys; print(json.dumps({"alipay": {"authentication": {"privateKey": sys.stdin.read(), "toolId": "tool-1"}}}))' >"$key")
      openssl pkey -in "$demo_work/pem" -pubout -out "$known.pub" 2>/dev/null
      ;;
    douyin)
      (umask 077 && openssl rand -hex 32 | tee "$known.token" >"$key")
      ;;
    *) die "the demonstration has no credential for the platform $platform" ;;
  esac
  mkdir -p "$tree/.slipway"
  farm_admin credentials seal --app "$app" --platform "$platform" --app-id "$app_id" --key "$key" \
    --out "$tree/.slipway/$platform.credential" --force >/dev/null 2>"$demo_work/seal" ||
    { cat "$demo_work/seal" >&2; die "the credential of $platform could not be sealed" "The lines above say why."; }
  if [[ -e $known.pub ]]; then install -m 0644 "$known.pub" "$SLIPWAY_STATE/standin/apps/$app_id.pub"; fi
  if [[ -e $known.token ]]; then install -m 0600 "$known.token" "$SLIPWAY_STATE/standin/apps/$app_id.token"; fi
  find "$demo_work" -maxdepth 1 -type f -exec shred -u {} + 2>/dev/null || find "$demo_work" -maxdepth 1 -type f -delete
}

# --- Publish --------------------------------------------------------------------------------------

demo_submit() { # APP PLATFORMS
  local number status=0
  number=$(($(cat "$SLIPWAY_STATE/submits" 2>/dev/null || echo 0) + 1))
  echo "$number" >"$SLIPWAY_STATE/submits"
  local command=(submit --app "$1" --platform "$2" --version "1.0.$number" --publish --follow)
  step "$(farm_call) ${command[*]}"
  echo >&2
  farm_admin "${command[@]}" || status=$?
  echo >&2
  if ((status != 0)); then
    step "the publish ended with exit status $status; the farm runs on"
    demo_say_next
    exit "$status"
  fi
  step "published: $1 1.0.$number, ${2//,/, }"
}

demo_say_next() {
  local call state='' number again=''
  call=$(farm_call)
  number=$(($(cat "$SLIPWAY_STATE/submits" 2>/dev/null || echo 0) + 1))
  [[ $SLIPWAY_STATE == /var/lib/slipway ]] || state=" --state $SLIPWAY_STATE"
  if [[ -d $SLIPWAY_STATE/repos/tea-timer.git ]]; then
    again="
  $call submit --app tea-timer --platform $demo_everywhere_platforms --version 1.0.$number --publish --follow"
  fi
  cat >&2 <<TEXT

Next:
  $call submit --app pocket-shop --platform weixin --publish --follow    once more$again
  $call tasks                             what ran
  $call archive list                      what was published
  $call archive get RELEASE --dir DIR     the exact bytes of a release
  $call qr RELEASE --png FILE             its QR code
  deploy/quickstart$state --down          stop everything; --clean removes it
The applications are in $SLIPWAY_STATE/repos; logs are in $DAEMON_DIR.
TEXT
}
