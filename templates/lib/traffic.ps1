# Verbs for packets between the host itself, by its endpoint in the overlay's network, and pods on other nodes. Nothing
# is made, and their steps are ok.

# _traffic_begin NAME: whether the step goes on; in a dry run it is over.
function _traffic_begin([string]$name) {
    _begin $name
    if (-not $Steps.DryRun) { return $true }
    $Steps.Message = 'dry run: no packets are sent'
    _report 'ok'
    return $false
}

# traffic_endpoint NAME: the host's own endpoint is there. Facts pod_address, and traffic_mtu of its NIC in bytes.
function traffic_endpoint([string]$name) {
    if (-not (_traffic_begin "traffic endpoint $name")) { return }
    if (-not (_needs 'Get-HnsEndpoint')) { _fail }
    $words = _host_endpoint_words $name
    if ($words -notmatch '^([0-9.]+) in \S+$') {
        if (-not $words) { $words = 'none' }
        _fail "the host has no endpoint of this name: $words"
    }
    $address = $matches[1]
    $nic = @(Get-NetIPAddress -AddressFamily IPv4 | Where-Object { $_.IPAddress -eq $address })[0]
    $link = @(Get-NetIPInterface -AddressFamily IPv4 | Where-Object { $_.ifIndex -eq $nic.InterfaceIndex })[0]
    _fact 'pod_address' $address
    _fact 'traffic_mtu' ([string]$link.NlMtu)
    _report 'ok'
}

# endpoint_ping SOURCE COUNT ADDRESS:BYTES...: pings from the host's address SOURCE, all of them at once; each is an IP
# packet of BYTES that must not be fragmented, and is sent COUNT times once the address has had a first packet: the way
# to a pod that is new takes a moment to be known everywhere. Facts "ping ADDRESS:BYTES": ANSWERS/COUNT.
function endpoint_ping([string]$source, [string]$count) {
    $targets = @($args)
    if (-not (_traffic_begin "endpoint pings $($targets.Count) times $count")) { return }
    if (-not (_has_address $source)) { _fail "no NIC of the host has $source" }
    $first = @($targets | ForEach-Object { "$($_.Split(':')[0]):84" } | Sort-Object -Unique)
    foreach ($ping in @($first | ForEach-Object { _ping_start $source '2' $_ })) { [void](_ping_answers $ping) }
    $pings = @($targets | ForEach-Object { _ping_start $source $count $_ })
    for ($place = 0; $place -lt $targets.Count; $place += 1) {
        _fact "ping $($targets[$place])" "$(_ping_answers $pings[$place])/$count"
    }
    _report 'ok'
}
function _ping_start([string]$source, [string]$count, [string]$target) {
    $address, $bytes = $target.Split(':')
    # What is sent is 20 bytes of IP, 8 of ICMP, and the rest.
    $words = "-4 -n $count -w 2000 -f -l $([int]$bytes - 28) -S $source $address"
    $info = [Diagnostics.ProcessStartInfo]::new("$env:SystemRoot\System32\ping.exe", $words)
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardOutput = $true
    return [Diagnostics.Process]::Start($info)
}
# Only answers have a time to live, in whatever language they are told.
function _ping_answers([Diagnostics.Process]$ping) {
    $text = $ping.StandardOutput.ReadToEnd()
    $ping.WaitForExit()
    return [regex]::Matches($text, 'TTL=').Count
}
