# shellcheck shell=bash
# Verbs for downloads: one file, an archive's members, an image, files out of an image. Most are called with
# what there is for which architecture, as ARCHITECTURE SHA256 LOCATION: LOCATION is an address, or push:PLACE for
# what the operator's machine sends.
#
# A download lands under its SHA-256 in a folder of root's, and is looked at there before it is put in place. To
# hash large files at every run would take longer than all the rest, so it is noted what was put in place: of which
# artifact it is, its own SHA-256, and its size, inode, mtime and ctime. Nothing changes a file without changing its
# ctime, which no tool can set; where one of them differs, the file is hashed again.

ARTIFACTS_FOLDER=/var/lib/ovn-runbooks
ARTIFACTS_NOTES=$ARTIFACTS_FOLDER/artifacts
ARTIFACTS_STAGED=$ARTIFACTS_FOLDER/staged
ARTIFACTS_WANTED=''

# artifact PATH MODE [ARCHITECTURE SHA256 LOCATION]...: the file is there and has this SHA-256.
artifact() { _artifact_step "artifact $1" "$1" _artifact "$@"; }
_artifact_look() {
  _artifact_choose "${@:3}" || return 3
  _artifact_read "$1"
  _artifact_file "$1" "$2" "$ARTIFACT_SHA256" "$ARTIFACT_SHA256"
}
_artifact_act() {
  _artifact_choose "${@:3}"
  if ((ARTIFACT_DIFFERS)); then
    _artifact_fetch
    _artifact_place "$REPLY" "$1" "$2"
    _artifact_note "$ARTIFACT_SHA256" "$1" "$ARTIFACT_SHA256"
    rm -f -- "$REPLY"
  else
    _artifact_owned "$1" "$2"
  fi
}

# artifact_archive FOLDER MODE MEMBERS [ARCHITECTURE SHA256 LOCATION]...: these members of the archive, paths in it
# between spaces, are in FOLDER under their last names; without MEMBERS all of its files, under their whole paths.
artifact_archive() { _artifact_step "artifact $1" "$1" _artifact_archive "$@"; }
_artifact_archive_look() {
  local target bad=0
  _artifact_choose "${@:4}" || return 3
  _artifact_targets "$1" "$3"
  for target in "${TARGETS_OF[@]}"; do
    _artifact_file "$target" "$2" "$ARTIFACT_SHA256"
    case $? in
      0) ;;
      1)
        _changed "$target"
        bad=1
        ;;
      *) return 3 ;;
    esac
  done
  if ((${#TARGETS_OF[@]} == 0)); then
    ARTIFACT_DIFFERS=1 bad=1 DIFF="+$1: all files of the archive $ARTIFACT_SHA256"$'\n'
  fi
  return "$bad"
}
# _artifact_targets FOLDER MEMBERS: TARGETS_OF becomes where they are to be; all members are those that were noted.
_artifact_targets() {
  local path member
  TARGETS_OF=()
  _artifact_read
  for member in $2; do TARGETS_OF+=("$1/${member##*/}"); done
  if [[ -z $2 ]]; then
    for path in "${!NOTES[@]}"; do
      if [[ $path == "$1/"* && ${NOTES[$path]} == *" $ARTIFACT_SHA256 "* ]]; then TARGETS_OF+=("$path"); fi
    done
  fi
  _artifact_read "${TARGETS_OF[@]}"
}
_artifact_archive_act() {
  local folder=$1 mode=$2 unpacked member target found sha256 members=() notes=()
  _artifact_choose "${@:4}"
  if ((!ARTIFACT_DIFFERS)); then
    _artifact_targets "$1" "$3"
    for target in "${TARGETS_OF[@]}"; do _artifact_owned "$target" "$mode"; done
    return
  fi
  _artifact_fetch
  found=$REPLY unpacked=$REPLY.files
  rm -rf -- "$unpacked"
  mkdir -- "$unpacked"
  tar --extract --touch --no-same-owner --file "$found" --directory "$unpacked"
  read -r -a members <<<"$3"
  if [[ -z $3 ]]; then mapfile -t -d '' members < <(cd -- "$unpacked" && find . -type f -printf '%P\0'); fi
  for member in "${members[@]}"; do
    if [[ ! -f $unpacked/$member || -L $unpacked/$member ]]; then
      echo "The archive has no file $member."
      return 1
    fi
    target=$folder/$member
    if [[ -n $3 ]]; then target=$folder/${member##*/}; fi
    sha256=$(sha256sum -- "$unpacked/$member")
    notes+=("$target" "${sha256%% *}")
    _artifact_place "$unpacked/$member" "$target" "$mode"
  done
  # All at once, and last: until then the archive is not there.
  _artifact_note "$ARTIFACT_SHA256" "${notes[@]}"
  rm -rf -- "$unpacked" "$found"
}

# artifact_image REFERENCE [ARCHITECTURE SHA256 LOCATION]...: containerd has the image for Kubernetes, from an OCI
# archive; one that is there already, wherever it came from, stays. It is pinned: the kubelet would otherwise remove it
# when the disk fills up, and could not pull it again.
artifact_image() { _artifact_step "image $1" '' _artifact_image "$@"; }
_artifact_image_look() {
  ARTIFACT_DIFFERS=1
  _artifact_choose "${@:2}" || return 3
  _containerd || return
  _image_listed "name==$1,labels.\"$IMAGE_PIN\"==pinned" || return
  [[ $REPLY == "$1" ]] && return 0
  _image_listed "name==$1" || return
  if [[ $REPLY == "$1" ]]; then ARTIFACT_DIFFERS=0; fi
  DIFF="+image $1, pinned"$'\n'
  return 1
}
_artifact_image_act() {
  _artifact_choose "${@:2}"
  if ((ARTIFACT_DIFFERS)); then
    _artifact_fetch
    # Whatever name the archive has for it: its checksum says that it is the right one.
    ctr --namespace k8s.io images import --index-name "$1" "$REPLY"
    rm -f -- "$REPLY"
  fi
  ctr --namespace k8s.io images label "$1" "$IMAGE_PIN=pinned"
}
IMAGE_PIN=io.cri-containerd.pinned
# _image_listed FILTER: REPLY becomes the names of Kubernetes' images.
_image_listed() {
  REPLY=$(ctr --namespace k8s.io images list --quiet "$1" 2>&1) && return 0
  MESSAGE="containerd: $REPLY"
  return 2
}

# artifact_from_image IMAGE@DIGEST [INSIDE PATH MODE]...: files out of a container image, which is not kept.
artifact_from_image() { _step "files of ${1%@*}" '' _artifact_from_image "$@"; }
_artifact_from_image_look() {
  local digest=${1#*@} bad=0 paths=() i
  shift
  for ((i = 2; i <= $#; i += 3)); do paths+=("${!i}"); done
  _artifact_read "${paths[@]}"
  while (($# > 0)); do
    _artifact_file "$2" "$3" "$digest"
    case $? in
      0) ;;
      1)
        _changed "$2"
        bad=1
        ;;
      *) return 3 ;;
    esac
    shift 3
  done
  ((bad)) || return 0
  _containerd || return
  return 1
}
_artifact_from_image_act() {
  local digest=${1#*@} mounted=$ARTIFACTS_STAGED/image sha256 notes=()
  IMAGE=$1
  shift
  _artifact_folders
  # Of a run that was killed: containerd would give the image that it had mounted there once more.
  _image_unmount >/dev/null 2>&1 || :
  mkdir -p -- "$mounted"
  _artifact_architecture
  _image pull --platform "linux/$REPLY" "$IMAGE" >/dev/null
  # Whatever fails from here on ends this subshell, and the image goes all the same.
  trap _image_gone EXIT
  _image mount "$IMAGE" "$mounted" >/dev/null
  while (($# > 0)); do
    _artifact_place "$mounted$1" "$2" "$3"
    sha256=$(sha256sum -- "$mounted$1")
    notes+=("$2" "${sha256%% *}")
    shift 3
  done
  trap - EXIT
  _image_gone
  _artifact_note "$digest" "${notes[@]}"
}
# A namespace of its own: the kubelet knows nothing of it, and all of it goes again.
_image() { ctr --namespace ovn-runbooks images "$@"; }
_image_unmount() { _image unmount --rm "$ARTIFACTS_STAGED/image"; }
_image_gone() {
  _image_unmount >/dev/null
  rmdir -- "$ARTIFACTS_STAGED/image"
  _image remove --sync "$IMAGE" >/dev/null
}
# _containerd: it runs; ctr then unpacks images as the configuration says that containerd does.
_containerd() {
  _needs ctr || return
  if [[ $(cat /etc/containerd/config.toml 2>/dev/null) =~ $'\n'' '*'snapshotter = "'([^\"]+) ]]; then
    export CONTAINERD_SNAPSHOTTER=${BASH_REMATCH[1]}
  fi
  [[ -S /run/containerd/containerd.sock ]] && return 0
  # shellcheck disable=SC2034  # read by _report
  MESSAGE='containerd does not run'
  return 2
}

# artifacts_sent: the last of these verbs. What those before it were waiting for is asked for all at once; the script
# ends here, and its task sends it and runs it again. Where nothing is missing, nothing that was half-fetched stays.
artifacts_sent() {
  if [[ -n $ARTIFACTS_WANTED ]]; then
    _begin 'files of the mirror'
    _fact wanted "$ARTIFACTS_WANTED"
    # shellcheck disable=SC2034  # read by _report
    ASKS=push
    _report changed
    _end 0
  fi
  if ((!STEPS_DRY_RUN)) && [[ -d $ARTIFACTS_STAGED ]]; then rm -rf -- "$ARTIFACTS_STAGED"; fi
}

# receive SHA256 BYTES PLACE: the next BYTES of this script's input are a file of the mirror.
receive() {
  local part="$ARTIFACTS_STAGED/$1.part" ARTIFACT_SHA256=$1
  _begin "receive $3"
  if ((STEPS_DRY_RUN)); then _report would-change; return; fi
  if ! { _artifact_folders && head -c "$2" >"$part"; } 2>"$STEPS_FOLDER/output"; then
    rm -f -- "$part"
    _last "$STEPS_FOLDER/output"
    # shellcheck disable=SC2034  # read by _report
    OUTPUT=$REPLY MESSAGE='it could not be written'
    _fail
  fi
  if ! _artifact_matches "$part"; then
    rm -f -- "$part"
    # shellcheck disable=SC2034  # read by _report
    MESSAGE="its SHA-256 is $REPLY, and $1 is what is pinned: nothing was replaced; put the right file there, or pin this one if you trust it (artifacts lock)"
    _fail
  fi
  mv -fT -- "$part" "$ARTIFACTS_STAGED/$1"
  _report changed
}

# _artifact_step NAME TOUCHES VERB ARGS: a step, or nothing yet where it has to wait for a file that is to be sent.
_artifact_step() {
  if ((!STEPS_DRY_RUN)) && _artifact_waits "${@:3}"; then return; fi
  _step "$@"
}
_artifact_waits() {
  DIFF='' MESSAGE=''
  "${1}_look" "${@:2}"
  (($? == 1 && ARTIFACT_DIFFERS)) && [[ $ARTIFACT_FROM == push:* ]] || return
  [[ ! -e $ARTIFACTS_STAGED/$ARTIFACT_SHA256 ]] || return
  ARTIFACTS_WANTED+="$ARTIFACT_SHA256 ${ARTIFACT_FROM#push:}"$'\n'
}

# _artifact_choose [ARCHITECTURE SHA256 LOCATION]...: ARTIFACT_SHA256 and ARTIFACT_FROM become what is for this host.
_artifact_choose() {
  _artifact_architecture
  while (($# > 0)); do
    if [[ $1 == "$REPLY" ]]; then
      ARTIFACT_SHA256=$2 ARTIFACT_FROM=$3
      return
    fi
    shift 3
  done
  MESSAGE="nothing for linux/$REPLY is pinned"
  return 1
}
# _artifact_architecture: REPLY becomes the host's, as Go names it.
_artifact_architecture() {
  case $HOSTTYPE in
    x86_64) REPLY=amd64 ;;
    aarch64) REPLY=arm64 ;;
    *) REPLY=$HOSTTYPE ;;
  esac
}

# _artifact_read [PATH]...: NOTES of what was put in place, and KINDS, OWNERS and STAMPS of noted and other paths.
# A note is "SHA256 ORIGIN STAMP", a stamp "SIZE INODE MTIME CTIME".
_artifact_read() {
  local sha256 origin size inode mtime ctime kind owner stamp path paths=()
  ARTIFACT_DIFFERS=0
  if _once artifacts; then
    unset NOTES KINDS OWNERS STAMPS
    declare -gA NOTES=() KINDS=() OWNERS=() STAMPS=()
    if [[ -r $ARTIFACTS_NOTES ]]; then
      while read -r sha256 origin size inode mtime ctime path; do
        NOTES[$path]="$sha256 $origin $size $inode $mtime $ctime"
      done <"$ARTIFACTS_NOTES"
    fi
    # shellcheck disable=SC2206  # plain words
    paths=("${!NOTES[@]}" $STEPS_PATHS)
  fi
  for path in "$@"; do
    if [[ -z ${KINDS[$path]+read} ]]; then paths+=("$path"); fi
  done
  if ((${#paths[@]} == 0)); then return; fi
  for path in "${paths[@]}"; do KINDS[$path]='' STAMPS[$path]=''; done
  while IFS='|' read -r kind owner stamp path; do
    KINDS[$path]=$kind OWNERS[$path]=$owner STAMPS[$path]=$stamp
  done < <(stat -c '%F|%a %U:%G|%s %i %.9Y %.9Z|%n' -- "${paths[@]}" 2>/dev/null)
}

# _artifact_file PATH MODE ORIGIN [SHA256]: whether the file is of this artifact and root's; status as of a look.
# SHA256 is the file's own, where that is known beforehand.
_artifact_file() {
  local path=$1 owned="${2#0} root:root" origin=$3 sha256=${4:-} note=${NOTES[$1]:-} seen='(missing)'
  case ${KINDS[$path]} in
    directory)
      # shellcheck disable=SC2034  # read by _report
      MESSAGE="$path is a folder"
      return 3
      ;;
    regular*)
      if [[ -n $note && $note == "${note%% *} $origin ${STAMPS[$path]}" ]]; then
        seen=''
      else
        seen=$(sha256sum -- "$path") || return 3
        seen=${seen%% *}
        if [[ $seen == "$sha256" || $note == "$seen $origin "* ]]; then
          # The stamp is from before the file was read: whatever changed it since will be seen.
          NOTES[$path]="$seen $origin ${STAMPS[$path]}" seen=''
          if ((!STEPS_DRY_RUN)); then _artifact_keep || return 3; fi
        fi
      fi
      ;;
    ?*) seen="(a ${KINDS[$path]})" ;;
  esac
  if [[ -n $seen ]]; then
    ARTIFACT_DIFFERS=1
    DIFF+="-$path: $seen"$'\n'"+$path: ${sha256:-from $origin}"$'\n'
    return 1
  fi
  [[ ${OWNERS[$path]} == "$owned" ]] && return 0
  DIFF+="-$path: mode and owner ${OWNERS[$path]}"$'\n'"+$path: mode and owner $owned"$'\n'
  return 1
}

# _artifact_note ORIGIN [PATH SHA256]...: remember these files as they are now.
_artifact_note() {
  local origin=$1
  shift
  while (($# > 0)); do
    NOTES[$1]="$2 $origin $(stat -c '%s %i %.9Y %.9Z' -- "$1")"
    shift 2
  done
  _artifact_keep
}
# _artifact_keep: write all notes.
_artifact_keep() {
  local path
  _artifact_folders || return
  for path in "${!NOTES[@]}"; do printf '%s %s\n' "${NOTES[$path]}" "$path"; done >"$ARTIFACTS_NOTES.new" || return
  mv -fT -- "$ARTIFACTS_NOTES.new" "$ARTIFACTS_NOTES"
}
_artifact_folders() {
  local folder
  for folder in "$ARTIFACTS_FOLDER" "$ARTIFACTS_STAGED"; do
    if [[ ! -d $folder ]]; then mkdir -p -- "$folder" && chmod 0700 -- "$folder" || return; fi
  done
}

# _artifact_owned PATH MODE: root's, with this mode.
_artifact_owned() {
  chown -- root:root "$1"
  chmod -- "$2" "$1"
}

# _artifact_place FROM PATH MODE: a copy of FROM is at PATH, all of it or nothing; its mtime is now.
_artifact_place() {
  local new="${2%/*}/.${2##*/}.ovn-runbooks"
  mkdir -p -- "${2%/*}"
  rm -f -- "$new"
  cp -- "$1" "$new"
  _artifact_owned "$new" "$3"
  sync -- "$new"
  mv -fT -- "$new" "$2"
  sync -- "${2%/*}"
}

# _artifact_fetch: REPLY becomes the chosen download's path, whole and verified.
_artifact_fetch() {
  local staged=$ARTIFACTS_STAGED/$ARTIFACT_SHA256
  _artifact_folders
  if [[ ! -e $staged ]]; then
    if ! _artifact_matches "$staged.part"; then _artifact_download "$ARTIFACT_FROM" "$staged.part" || return; fi
    mv -fT -- "$staged.part" "$staged"
  fi
  REPLY=$staged
}
_artifact_matches() {
  [[ -e $1 ]] || return
  REPLY=$(sha256sum -- "$1")
  REPLY=${REPLY%% *}
  [[ $REPLY == "$ARTIFACT_SHA256" ]]
}
# _artifact_download URL FILE: go on where an earlier try was cut off; begin anew where that leads nowhere.
_artifact_download() {
  local try began status=0
  for try in 1 2 3 4; do
    began=0
    if [[ -s $2 ]]; then began=1; fi
    status=0
    curl --fail --location --proto '=http,https' --silent --show-error --connect-timeout 20 --speed-limit 1024 \
      --speed-time 60 --retry 2 --retry-connrefused --continue-at - --output "$2" -- "$1" || status=$?
    case $status in
      0)
        _artifact_matches "$2" && return 0
        rm -f -- "$2"
        ((began)) || break
        ;;
      # An answer that is none, or a server that cannot go on from the middle.
      22 | 33 | 36)
        ((began)) || return "$status"
        rm -f -- "$2"
        ;;
    esac
    sleep "$((try - 1))"
  done
  if ((status)); then return "$status"; fi
  echo "The SHA-256 of $1 is $REPLY, and $ARTIFACT_SHA256 is what is pinned: nothing was replaced."
  return 1
}
