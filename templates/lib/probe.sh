# shellcheck shell=bash
# Ports between hosts that run nothing yet: one listens for a while, the others probe it. All of it is one
# Perl program (perl-base is Essential on Debian and Ubuntu) and leaves nothing on the disk.
#
# The listener is found by an abstract unix socket, root's only, so there is at most one of it per network
# namespace: a second run on the same host adds its token to the first one's listener, which serves both. It ends
# by itself when the last token is over.

# listen TOKEN SECONDS PROTO:PORT...: for SECONDS, answer TOKEN on every port that nothing listens on yet.
# Facts "listen PROTO:PORT": listening, or "in-use" and what holds the port.
listen() {
  local token=$1 seconds=$2 port said line sockets='' words=() tunnels=()
  _begin "listen $seconds s"
  shift 2
  for port in "$@"; do
    # Open vSwitch's userspace datapath takes tunnel packets off the wire without binding their port.
    if [[ $port == udp:* && -e /sys/class/net/ovs-netdev ]]; then tunnels+=("$port"); else words+=("$port"); fi
  done
  for port in ${tunnels[@]+"${tunnels[@]}"}; do _fact "listen $port" 'in-use Open vSwitch (userspace datapath)'; done
  if ((${#words[@]} == 0)); then _report ok; return; fi
  if ! said=$(_probe_perl listen "$token" "$seconds" "${words[@]}"); then
    MESSAGE='the ports could not be listened on' OUTPUT=$said
    _fail
  fi
  if [[ $said == *in-use* ]]; then sockets=$(ss -Hlntup 2>/dev/null); fi
  while read -r port line; do
    # A warning of Perl's is not an answer.
    if [[ $port != @(tcp|udp):* ]]; then continue; fi
    if [[ $line == in-use ]]; then
      _probe_holder "$port" "$sockets"
      line="in-use $REPLY"
    fi
    _fact "listen $port" "$line"
  done <<<"$said"
  _report ok
}

# unlisten TOKEN [NAME:PROTO:PORT[:BYTES]]...: stop answering TOKEN, at once or, where NAMEs are given, soon after
# each of them has probed its port with it; nobody waits here for that. TOKEN all: every token, at once.
unlisten() {
  local sockets said
  if [[ $1 == all ]]; then _begin 'unlisten all'; else _begin 'unlisten'; fi
  mapfile -t sockets </proc/net/unix
  # shellcheck disable=SC2034  # OUTPUT and MESSAGE are read by _report
  if [[ "${sockets[*]}" == *' @ovn-runbooks-listener'* ]] && ! said=$(_probe_perl unlisten "$@"); then
    MESSAGE='the listener could not be told' OUTPUT=$said
    _fail
  fi
  _report ok
}

# probe NAME PROTO:ADDRESS:PORT[:TOKEN[:BYTES]]...: as host NAME, connect to all of them at once; 3 seconds for all
# together. Facts "probe PROTO:ADDRESS:PORT[:BYTES]": open, refused, unreachable, timeout, too-big, or wrong-answer
# (connected, but TOKEN did not come back). BYTES pads a UDP datagram to an IP packet of that size that must
# not be fragmented.
probe() {
  local said target state
  _begin "probe $(($# - 1)) ports"
  # shellcheck disable=SC2034
  if ! said=$(_probe_perl probe "$@"); then
    MESSAGE='the ports could not be probed' OUTPUT=$said
    _fail
  fi
  while read -r target state; do
    if [[ $target == @(tcp|udp):* ]]; then _fact "probe $target" "$state"; fi
  done <<<"$said"
  _report ok
}

# _probe_holder PROTO:PORT SOCKETS: REPLY becomes the name of what holds it, by what ss says.
_probe_holder() {
  local users='users:\(\("([^"]+)"'
  REPLY='the kernel'
  if [[ $2 =~ (^|$'\n')"${1%%:*} "[^$'\n']*":${1#*:} "[^$'\n']*$users ]]; then REPLY=${BASH_REMATCH[2]}; fi
}

# _probe_perl WORDS: run the program without the descriptors of the step lines and of the lock.
_probe_perl() {
  (
    exec {STEPS_FD}>&-
    if [[ -n ${STEPS_LOCK:-} ]]; then exec {STEPS_LOCK}>&-; fi
    exec perl -e "$PROBE_PERL" "$@"
  ) 2>&1 </dev/null
}

# No single quote may stand in it.
# shellcheck disable=SC2016  # the variables are Perl's
PROBE_PERL='
use strict;

# Loading Socket, POSIX, Fcntl and Errno would take longer than all that is done here. The numbers are those of Linux
# (asm-generic; x86, ARM, RISC-V and s390x alike).
my ($UNIX, $INET, $STREAM, $DGRAM) = (1, 2, 1, 2);
my ($SOL_SOCKET, $SO_REUSEADDR, $SO_ERROR, $SO_PEERCRED) = (1, 2, 4, 17);
my ($IPPROTO_IP, $IP_MTU_DISCOVER, $IP_PMTUDISC_PROBE) = (0, 10, 3);
my ($F_GETFL, $F_SETFL, $O_NONBLOCK) = (3, 4, 2048);
my ($EINTR, $EAGAIN, $EMSGSIZE, $ETIMEDOUT, $ECONNREFUSED, $EINPROGRESS) = (4, 11, 90, 110, 111, 115);
my $CONTROL = pack("S a*", $UNIX, "\0ovn-runbooks-listener");
my $GREETING = "ovn-runbooks";
my ($verb, @words) = @ARGV;
$| = 1;
$SIG{PIPE} = "IGNORE";
close_inherited();
exit({ listen => \&cmd_listen, unlisten => \&cmd_unlisten, probe => \&cmd_probe }->{$verb}->(@words));

# A listener that held a descriptor of its script would keep the connection or the lock.
sub close_inherited {
  opendir(my $folder, "/proc/self/fd") or return;
  my @open = grep { /^\d+$/ && $_ > 2 } readdir $folder;
  closedir $folder;
  for my $number (@open) { if (open(my $handle, "<&=", $number)) { close $handle } }
}

sub new_socket { my ($family, $kind) = @_; socket(my $s, $family, $kind, 0) or die "socket: $!\n"; $s }

sub nonblocking { my $s = shift; fcntl($s, $F_SETFL, fcntl($s, $F_GETFL, 0) | $O_NONBLOCK) or die "fcntl: $!\n"; $s }

sub inet { my ($port, @bytes) = @_; pack "S n C4 x8", $INET, $port, @bytes }

sub is_root { my $cred = getsockopt(shift, $SOL_SOCKET, $SO_PEERCRED) or return 0; (unpack "iii", $cred)[1] == 0 }

# Seconds since the host was booted: a clock that nobody sets.
sub now { open(my $uptime, "<", "/proc/uptime") or die "/proc/uptime: $!\n"; (split " ", <$uptime>)[0] }

# --- what the script on this host calls

# Ask the listener that runs already; undef when there is none.
sub ask {
  my $s = new_socket($UNIX, $STREAM);
  connect($s, $CONTROL) or return undef;
  is_root($s) or die "another user holds the name of the listener\n";
  local $SIG{ALRM} = sub { die "the listener does not answer\n" };
  alarm 10;
  syswrite $s, join(" ", @_) . "\n";
  my $answer = "";
  1 while sysread $s, $answer, 4096, length $answer;
  alarm 0;
  return $answer =~ /\.\n\z/ ? substr($answer, 0, -2) : undef;
}

sub cmd_unlisten { ask("unlisten", @_); 0 }

sub cmd_listen {
  for (1 .. 3) {
    if (defined(my $said = ask("listen", @_))) { print $said; return 0 }
    my $control = new_socket($UNIX, $STREAM);
    # Another script may have been faster; an ending listener may still have the name.
    if (!bind($control, $CONTROL)) { select undef, undef, undef, 0.1; next }
    listen($control, 8) or die "listen: $!\n";
    my $listener = { control => nonblocking($control), map { $_ => {} } qw(port until expected seen reader) };
    print add_token($listener, @_);
    defined(my $pid = fork) or die "fork: $!\n";
    return 0 if $pid;
    # Here nobody waits for it to load. A session of its own is out of reach for the terminal and its hangup.
    require POSIX;
    POSIX::setsid();
    chdir "/";
    open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";
    serve($listener);
    return 0;
  }
  die "the listener could not be started: $!\n";
}

# --- the listener

sub add_token {
  my ($l, $token, $seconds, @ports) = @_;
  $l->{until}{$token} = now() + $seconds;
  my $said = "";
  for my $port (@ports) {
    my $in_use = !$l->{port}{$port} && !($l->{port}{$port} = open_port($port));
    delete $l->{port}{$port} if $in_use;
    $said .= "$port " . ($in_use ? "in-use" : "listening") . "\n";
  }
  return $said;
}

sub open_port {
  my ($proto, $number) = split /:/, shift;
  my $tcp = $proto eq "tcp";
  my $s = new_socket($INET, $tcp ? $STREAM : $DGRAM);
  # Else a port that was just let go cannot be taken; two UDP sockets could then share one, so not there.
  setsockopt($s, $SOL_SOCKET, $SO_REUSEADDR, 1) if $tcp;
  bind($s, inet($number, 0, 0, 0, 0)) or return;
  if ($tcp) { listen($s, 1024) or return }
  return nonblocking($s);
}

sub serve {
  my $l = shift;
  while (my @tokens = keys %{ $l->{until} }) {
    my $left = 3600;
    for my $token (@tokens) {
      my $rest = $l->{until}{$token} - now();
      if ($rest <= 0) { drop($l, $token) } elsif ($rest < $left) { $left = $rest }
    }
    last unless %{ $l->{until} };
    my %by_fd = map { fileno($_) => $_ } $l->{control}, values %{ $l->{port} }, map { $_->{socket} } values %{ $l->{reader} };
    my $bits = "";
    vec($bits, $_, 1) = 1 for keys %by_fd;
    next if select(my $ready = $bits, undef, undef, $left + 0.02) <= 0;
    for my $fd (grep { vec($ready, $_, 1) } keys %by_fd) { serve_one($l, $fd, $by_fd{$fd}) }
  }
}

sub serve_one {
  my ($l, $fd, $socket) = @_;
  return accept_one($l, $socket, "control") if $socket == $l->{control};
  return read_one($l, $fd) if $l->{reader}{$fd};
  my ($port) = grep { $l->{port}{$_} == $socket } keys %{ $l->{port} } or return;
  return accept_one($l, $socket, $port) if $port =~ /^tcp/;
  my $from = recv($socket, my $line, 65535, 0);
  defined $from && defined(my $token = asked($l, $port, $line)) or return;
  # Never longer than the question: nobody can use it to flood a third one.
  send($socket, "$GREETING $token\n", 0, $from);
  drop_if_done($l, $token);
}

sub accept_one {
  my ($l, $listening, $port) = @_;
  accept(my $s, $listening) or return;
  return if $port eq "control" && !is_root($s);
  my $readers = $l->{reader};
  # Connections that say nothing: the oldest goes, before descriptors run out.
  if (keys %$readers >= 800) { my ($old) = sort { $readers->{$a}{since} <=> $readers->{$b}{since} } keys %$readers; delete $readers->{$old} }
  $readers->{ fileno $s } = { socket => nonblocking($s), text => "", port => $port, since => now() };
}

sub read_one {
  my ($l, $fd) = @_;
  my $r = $l->{reader}{$fd};
  my $got = sysread $r->{socket}, $r->{text}, 65536, length $r->{text};
  return if !defined $got && ($! == $EAGAIN || $! == $EINTR);
  my $limit = $r->{port} eq "control" ? 8_000_000 : 300;
  if ($got && length $r->{text} <= $limit) {
    return if $r->{text} !~ /\n/;
    if ($r->{port} eq "control") { syswrite $r->{socket}, control($l, $r->{text}) }
    elsif (defined(my $token = asked($l, $r->{port}, $r->{text}))) {
      syswrite $r->{socket}, "$GREETING $token\n";
      drop_if_done($l, $token);
    }
  }
  delete $l->{reader}{$fd};
}

# A question is: greeting, token, name of who asks, bytes if it is padded, newline; then padding.
sub asked {
  my ($l, $port, $line) = @_;
  my ($token, $name, $bytes) = $line =~ /^$GREETING ([0-9A-Za-z]+) (\S+)(?: (\d+))?\n/ or return;
  exists $l->{until}{$token} or return;
  $l->{seen}{$token}{ join ":", $name, $port, $bytes // () } = 1;
  return $token;
}

sub control {
  my ($l, $line) = @_;
  my ($what, $token, @rest) = split " ", $line;
  return add_token($l, $token, @rest) . ".\n" if $what eq "listen";
  if ($token eq "all") { drop($l, $_) for keys %{ $l->{until} } }
  elsif (exists $l->{until}{$token}) {
    $l->{expected}{$token} = \@rest;
    @rest ? drop_if_done($l, $token) : drop($l, $token);
  }
  return ".\n";
}

# The last answer may be lost on its way: who asks again has two seconds more.
sub drop_if_done {
  my ($l, $token) = @_;
  my $expected = $l->{expected}{$token} or return;
  return if grep { !$l->{seen}{$token}{$_} } @$expected;
  my $soon = now() + 2;
  $l->{until}{$token} = $soon if $soon < $l->{until}{$token};
}

# With the last token the ports are closed, before the answer to unlisten goes out.
sub drop {
  my ($l, $token) = @_;
  delete $l->{$_}{$token} for qw(until expected seen);
  if (!%{ $l->{until} }) { close $_ for values %{ $l->{port} }; $l->{port} = {} }
}

# --- the other side

sub cmd_probe {
  my ($name, @targets) = @_;
  my $began = now();
  my @probes = map { start_probe($name, $_) } @targets;
  while (my @waiting = grep { !$_->{state} } @probes) {
    my $passed = now() - $began;
    last if $passed >= 3;
    my ($readers, $writers) = ("", "");
    for my $p (@waiting) {
      if ($p->{proto} eq "udp" && $p->{sent} && $passed >= (0, 0.5, 1.5, 9)[ $p->{sent} ]) { ask_udp($p) }
      vec($p->{connecting} ? $writers : $readers, fileno($p->{socket}), 1) = 1;
    }
    my ($readable, $writable) = ($readers, $writers);
    next if select($readable, $writable, undef, 0.1) <= 0;
    for my $p (grep { !$_->{state} } @waiting) {
      connected($p) if $p->{connecting} && vec($writable, fileno($p->{socket}), 1);
      heard($p) if vec($readable, fileno($p->{socket}), 1);
    }
  }
  for my $p (@probes) {
    my $state = $p->{state} || ($p->{proto} eq "tcp" && !$p->{connecting} ? "wrong-answer" : "timeout");
    print "$p->{label} $state\n";
  }
  return 0;
}

sub start_probe {
  my ($name, $target) = @_;
  my ($proto, $address, $port, $token, $bytes) = split /:/, $target;
  my $p = { proto => $proto, token => $token, sent => 0, label => join(":", grep { defined } $proto, $address, $port, $bytes) };
  $p->{question} = join(" ", $GREETING, $token // "", $name, $bytes // ()) . "\n";
  my @bytes = $address =~ /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/;
  die "$address is no address\n" if !@bytes || grep { $_ > 255 } @bytes;
  $p->{socket} = nonblocking(new_socket($INET, $proto eq "tcp" ? $STREAM : $DGRAM));
  if ($bytes) {
    # 28 are the headers of IPv4 and UDP.
    $p->{question} .= "." x ($bytes - 28 - length $p->{question});
    setsockopt($p->{socket}, $IPPROTO_IP, $IP_MTU_DISCOVER, pack "i", $IP_PMTUDISC_PROBE) or die "setsockopt: $!\n";
  }
  if (connect($p->{socket}, inet($port, @bytes))) { $proto eq "tcp" ? connected($p) : ask_udp($p) }
  elsif ($! == $EINPROGRESS) { $p->{connecting} = 1 }
  else { $p->{state} = failure() }
  return $p;
}

sub failure { $! == $ECONNREFUSED ? "refused" : $! == $EMSGSIZE ? "too-big" : "unreachable" }

sub ask_udp {
  my $p = shift;
  $p->{sent}++;
  $p->{state} = failure() unless defined send($p->{socket}, $p->{question}, 0);
}

sub connected {
  my $p = shift;
  $p->{connecting} = 0;
  $! = unpack "i", getsockopt($p->{socket}, $SOL_SOCKET, $SO_ERROR);
  if ($! == $ETIMEDOUT) { $p->{state} = "timeout" }
  elsif ($! != 0) { $p->{state} = failure() }
  elsif (!defined $p->{token}) { $p->{state} = "open" }
  else { syswrite $p->{socket}, $p->{question} }
}

sub heard {
  my $p = shift;
  my $got = sysread $p->{socket}, my $text, 4096;
  return if !defined $got && ($! == $EAGAIN || $! == $EINTR);
  if (defined $got && defined $p->{token} && $text eq "$GREETING $p->{token}\n") { $p->{state} = "open" }
  elsif (defined $got || $p->{proto} eq "tcp") { $p->{state} = "wrong-answer" }
  else { $p->{state} = failure() }
}
'
