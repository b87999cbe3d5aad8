# Ports of other hosts, which answer for a while by a small program of their own: templates/lib/probe.sh. No port of this
# host is listened on, as Windows' firewall lets nothing in before the cluster's rules are there.

# probe NAME PROTO:ADDRESS:PORT[:TOKEN[:BYTES]]...: as host NAME, ask all of them at once; 3 seconds for all together.
# Facts "probe PROTO:ADDRESS:PORT[:BYTES]": open, refused, unreachable, timeout, too-big, or wrong-answer (connected, but
# TOKEN did not come back). BYTES pads a UDP datagram to an IP packet of that size that must not be fragmented.
function probe([string]$name) {
    _begin "probe $($args.Count) ports"
    $watch = [Diagnostics.Stopwatch]::StartNew()
    $probes = @($args | ForEach-Object { _probe_start $name $_ })
    while ($watch.ElapsedMilliseconds -lt 3000) {
        $waiting = @($probes | Where-Object { -not $_.State })
        if (-not $waiting.Count) { break }
        foreach ($each in $waiting) { _probe_look $each $watch.ElapsedMilliseconds }
        Start-Sleep -Milliseconds 20
    }
    foreach ($each in $probes) {
        if (-not $each.State) {
            $each.State = 'timeout'
            if ($each.Proto -eq 'tcp' -and $each.Sent) { $each.State = 'wrong-answer' }
        }
        $each.Client.Close()
        _fact "probe $($each.Label)" $each.State
    }
    _report 'ok'
}

function _probe_start([string]$name, [string]$target) {
    $proto, $address, $port, $token, $bytes = $target.Split(':')
    $place = [Net.IPAddress]::Parse($address)
    $words = @('ovn-runbooks', $token, $name, $bytes | Where-Object { $_ })
    $question = ($words -join ' ') + "`n"
    # 28 are the headers of IPv4 and UDP.
    if ($bytes) { $question = $question.PadRight([int]$bytes - 28, '.') }
    $probe = @{
        Proto = $proto
        Token = $token
        Label = @($proto, $address, $port, $bytes | Where-Object { $_ }) -join ':'
        Question = [Text.Encoding]::ASCII.GetBytes($question)
        Answer = [byte[]]::new(4096)
        Sent = 0
        State = ''
    }
    if ($proto -eq 'tcp') {
        $probe.Client = [Net.Sockets.TcpClient]::new([Net.Sockets.AddressFamily]::InterNetwork)
        $probe.Wait = $probe.Client.ConnectAsync($place, [int]$port)
        return $probe
    }
    $probe.Client = [Net.Sockets.UdpClient]::new([Net.Sockets.AddressFamily]::InterNetwork)
    if ($bytes) { $probe.Client.DontFragment = $true }
    try {
        $probe.Client.Connect($place, [int]$port)
        _probe_ask $probe
        $probe.Wait = $probe.Client.ReceiveAsync()
    } catch {
        $probe.State = _probe_failure $_.Exception
    }
    return $probe
}

# A datagram may be lost: it is sent at once, and after 0.5 and 1.5 seconds.
function _probe_look($probe, [long]$passed) {
    if ($probe.Proto -eq 'udp' -and $passed -ge @(0, 500, 1500, 9000)[$probe.Sent]) { _probe_ask $probe }
    if ($probe.State -or -not $probe.Wait.IsCompleted) { return }
    if ($probe.Proto -eq 'tcp' -and -not $probe.Sent) { _probe_connected $probe } else { _probe_heard $probe }
}

function _probe_ask($probe) {
    $probe.Sent += 1
    try { [void]$probe.Client.Send($probe.Question, $probe.Question.Length) } catch {
        $probe.State = _probe_failure $_.Exception
    }
}

function _probe_connected($probe) {
    if ($probe.Wait.IsFaulted) {
        $probe.State = _probe_failure $probe.Wait.Exception
        return
    }
    if (-not $probe.Token) {
        $probe.State = 'open'
        return
    }
    $probe.Sent = 1
    try {
        $stream = $probe.Client.GetStream()
        $stream.Write($probe.Question, 0, $probe.Question.Length)
        $probe.Wait = $stream.ReadAsync($probe.Answer, 0, $probe.Answer.Length)
    } catch {
        $probe.State = 'wrong-answer'
    }
}

function _probe_heard($probe) {
    $probe.State = 'wrong-answer'
    if ($probe.Wait.IsFaulted) {
        if ($probe.Proto -eq 'udp') { $probe.State = _probe_failure $probe.Wait.Exception }
        return
    }
    $bytes, $count = $probe.Answer, $probe.Wait.Result
    if ($probe.Proto -eq 'udp') { $bytes, $count = $probe.Wait.Result.Buffer, $probe.Wait.Result.Buffer.Length }
    if ([Text.Encoding]::ASCII.GetString($bytes, 0, $count) -ceq "ovn-runbooks $($probe.Token)`n") { $probe.State = 'open' }
}

# Windows says by a reset that nobody listens on a UDP port.
function _probe_failure([Exception]$problem) {
    $cause = $problem.GetBaseException()
    if ($cause -isnot [Net.Sockets.SocketException]) { throw $cause }
    $states = @{ ConnectionRefused = 'refused'; ConnectionReset = 'refused'; MessageSize = 'too-big'; TimedOut = 'timeout' }
    $state = $states[[string]$cause.SocketErrorCode]
    if (-not $state) { $state = 'unreachable' }
    return $state
}
