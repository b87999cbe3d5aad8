# shellcheck shell=bash
# What a cluster looks like from one of its hosts. Changes nothing.
# needs inspect.sh
# needs kubernetes.sh

# inspect_node KUBECONFIG NODE SERVICE...: facts for the checks of a node: its services, what the API says of it, and
# what its kubelet says of itself.
NODE_PARTS='{.metadata.labels}{"\n"}{.spec.taints}{"\n"}{.status.addresses}{"\n"}{.status.conditions}{"\n"}{.status.nodeInfo.kubeletVersion}'
inspect_node() {
  local until=$((SECONDS + NODE_SECONDS))
  _begin 'inspect node'
  if ! _needs kubectl; then _fail; fi
  _inspect_services "${@:3}"
  # As it starts, ovnkube takes the plug-in's configuration away for a moment; the kubelet, which looks now and then, may
  # tell of that when it is long back.
  while ! _inspect_node_ask "$1" "$2" "$NODE_PARTS" && _started_within ovnkube 30 && ((SECONDS < until)); do sleep 0.5; done
  _inspect_node_tell ''
  _report ok
}
NODE_SECONDS=20
# _started_within SERVICE SECONDS: it has run for less than that.
_started_within() {
  local since up
  since=$(systemctl show -p ActiveEnterTimestampMonotonic --value -- "$1.service")
  read -r up _ </proc/uptime
  ((${since:-0} > 0 && ${up%.*} - since / 1000000 < $2))
}

# inspect_nodes KUBECONFIG NODE...: what the API says of nodes that cannot ask it themselves, with their annotations;
# facts are those of inspect_node, NODE/ before each.
inspect_nodes() {
  local name
  _begin 'inspect nodes'
  if ! _needs kubectl; then _fail; fi
  for name in "${@:2}"; do
    _inspect_node_ask "$1" "$name" "$NODE_PARTS"'{"\n"}{.metadata.annotations}'
    _inspect_node_tell "$name/"
  done
  _report ok
}

# _inspect_node_ask KUBECONFIG NODE PARTS: NODE_TEXT becomes what the API says, NODE_ERROR kubectl's last line where it says
# nothing. Status 0: it calls the node ready.
_inspect_node_ask() {
  local ready='\{[^{}]*"type": ?"Ready"[^{}]*\}'
  NODE_ERROR=''
  if ! NODE_TEXT=$(_kubectl "$1" --request-timeout=10s get node "$2" -o "jsonpath=$3" 2>&1); then
    NODE_ERROR=${NODE_TEXT##*$'\n'}
    return 1
  fi
  [[ $NODE_TEXT =~ $ready && ${BASH_REMATCH[0]} =~ \"status\":\ ?\"True\" ]]
}
# _inspect_node_tell PREFIX: as facts, PREFIX before each.
_inspect_node_tell() {
  local parts names=(labels taints addresses conditions version annotations) place
  if [[ -n $NODE_ERROR ]]; then
    _fact "$1node_error" "$NODE_ERROR"
    return
  fi
  # As many lines as there are parts; an empty part is an empty line, but the last may be missing.
  mapfile -t parts <<<"$NODE_TEXT"
  for place in "${!parts[@]}"; do
    if [[ -n ${names[place]-} ]]; then _fact "$1node_${names[place]}" "${parts[place]}"; fi
  done
}

# inspect_health NAME URL [AUTHORITY [CERTIFICATE KEY]]: fact health_NAME: well, or what was said instead.
inspect_health() {
  local words
  _begin "inspect $1"
  if ! _needs curl; then _fail; fi
  words=$(_ask_url 10 "${@:2}") && words=well
  _fact "health_$1" "$words"
  _report ok
}

# inspect_pairs [NAME CERTIFICATE KEY AUTHORITY]...: facts certificate_NAME, authority_NAME, key_mode_NAME.
inspect_pairs() {
  _begin "inspect certificates"
  while (($# > 0)); do
    _inspect_pair "_$1" "$3" "$2" "$4"
    shift 4
  done
  _report ok
}

# inspect_name SERVER NAME: fact name: the address that the DNS server has for a name, or what it said instead.
inspect_name() {
  _begin "inspect name $2"
  _fact name "$(_name_perl "$@")"
  _report ok
}
_name_perl() { perl -e "$NAME_PERL" "$@" 2>&1 </dev/null; }

# Without a library: dig is not on every host. Asked five times, two seconds apart: UDP may be lost, and a service that
# has just got its first pod is refused for a moment, or unknown to a slow host's switch. Each time from another port:
# a switch that has passed a packet on untranslated does the same with all that follow it. No single quote may stand in it.
# shellcheck disable=SC2016  # the variables are Perl's
NAME_PERL='
use strict; use warnings;
use Socket;

my ($server, $name) = @ARGV;
# RFC 1035, 4.1: one question for an A record, with recursion.
my $question = join("", map { chr(length) . $_ } split /\./, $name) . "\0" . pack("nn", 1, 1);
my $query = pack("n6", $$ & 0xffff, 0x100, 1, 0, 0, 0) . $question;
my $said = "no answer from $server";
for (1 .. 5) {
  socket(my $socket, PF_INET, SOCK_DGRAM, getprotobyname("udp") // 17) or die "socket: $!\n";
  connect($socket, pack_sockaddr_in(53, inet_aton($server))) or die "connect: $!\n";
  send($socket, $query, 0);
  my $bits = "";
  vec($bits, fileno $socket, 1) = 1;
  next if select($bits, undef, undef, 2) <= 0;
  if (defined recv($socket, my $answer, 4096, 0)) { print told($answer), "\n"; exit }
  $said = "$server says: $!";
  select(undef, undef, undef, 2);
}
print "$said\n";

sub told {
  my $answer = shift;
  my ($id, $flags, undef, $answers) = unpack "n6", $answer;
  return "an answer to another question" if length $answer < 12 || $id != ($$ & 0xffff);
  return "error " . ($flags & 15) . " from the DNS server" if $flags & 15;
  my $at = 12 + length $question;
  for (1 .. $answers) {
    $at += 1 + ord(substr $answer, $at, 1) while ord(substr $answer, $at, 1) && ord(substr $answer, $at, 1) < 192;
    $at += ord(substr $answer, $at, 1) ? 2 : 1;
    my ($type, undef, undef, $length) = unpack "nnNn", substr $answer, $at;
    return inet_ntoa(substr $answer, $at + 10, 4) if $type == 1 && $length == 4;
    $at += 10 + $length;
  }
  return "no address";
}
'

# inspect_deployment KUBECONFIG NAMESPACE NAME: fact deployment_NAME: how many pods are available, and how many wanted.
inspect_deployment() {
  local text
  _begin "inspect $3"
  if ! _needs kubectl; then _fail; fi
  text=$(_kubectl "$1" --request-timeout=10s get deployment -n "$2" "$3" \
    -o 'jsonpath={.status.availableReplicas}/{.spec.replicas}' 2>&1) || text=${text##*$'\n'}
  _fact "deployment_$3" "$text"
  _report ok
}
