# Verbs for the overlay's networks and endpoints, which the host network service (HNS) keeps, and for what runs on them.

function _hns_network([string]$name) {
    return @(Get-HnsNetwork | Where-Object { $_.Name -eq $name })[0]
}

# overlay_network NAME SECONDS: awaits the network that hybrid-overlay-node makes; facts are its subnet and the host's
# address in it.
function overlay_network([string]$name, [string]$seconds) {
    _begin "overlay network $name"
    if (-not (_needs 'Get-HnsNetwork')) {
        if (-not $Steps.DryRun) { _fail }
        _report 'would-change'
        return
    }
    $why = _await ([int]$seconds) { if ($null -eq (_hns_network $name)) { 'HNS has no such network' } else { '' } }
    if ($why) {
        $Steps.Message = $why
        if (-not $Steps.DryRun) { _fail "awaited for $seconds s" }
        _report 'would-change'
        return
    }
    $network = _hns_network $name
    _fact 'overlay_subnet' ([string]$network.Subnets[0].AddressPrefix)
    _fact 'overlay_address' ([string]$network.ManagementIP)
    _report 'ok'
}

# host_endpoint NAME NETWORK ADDRESS: the host itself has ADDRESS in NETWORK. It goes with every boot.
function host_endpoint { _step "host endpoint $($args[0])" '' 'host_endpoint' $args }
function _host_endpoint_look([string]$name, [string]$network, [string]$address) {
    if (-not (_needs 'Get-HnsEndpoint')) { return 2 }
    if ($null -eq (_hns_network $network)) {
        $Steps.Message = "HNS has no network $network"
        return 2
    }
    $seen = _host_endpoint_words $name
    if ($seen -eq "$address in $network") { return 0 }
    if (-not $seen) { $seen = '(missing)' }
    $Steps.Diff = "-$name $seen`n+$name $address in $network`n"
    return 1
}
function _host_endpoint_act([string]$name, [string]$network, [string]$address) {
    Get-HnsEndpoint | Where-Object { $_.Name -eq $name } | Remove-HnsEndpoint
    $wanted = "`"VirtualNetwork`":$(_json (_hns_network $network).ID),`"Name`":$(_json $name),`"IPAddress`":$(_json $address)"
    $made = _hns_call 'POST' '/endpoints/' "{$wanted}"
    [void](_hns_call 'POST' "/endpoints/$($made.ID)/attach" '{"SystemType":"Host","CompartmentId":1}')
    $why = _await 30 { if (_has_address $address) { '' } else { "no NIC of the host has $address" } }
    if ($why) { throw $why }
}
# ADDRESS in NETWORK; empty where there is no such endpoint.
function _host_endpoint_words([string]$name) {
    $found = @(Get-HnsEndpoint | Where-Object { $_.Name -eq $name })[0]
    if ($null -eq $found) { return '' }
    $words = "$($found.IPAddress) in $($found.VirtualNetworkName)"
    if (-not (_has_address ([string]$found.IPAddress))) { $words += ', on no NIC of the host' }
    return $words
}
function _has_address([string]$address) {
    return @(Get-NetIPAddress -AddressFamily IPv4 | Where-Object { $_.IPAddress -eq $address }).Count -gt 0
}
# _hns_call METHOD PATH REQUEST: what HNS answers. Its own cmdlets make and attach no endpoints; this is what they call.
function _hns_call([string]$method, [string]$path, [string]$request) {
    $text = '[MarshalAs(UnmanagedType.LPWStr)]'
    $words = "$text string method, $text string path, $text string request, $text out string answer"
    $member = "[DllImport(`"vmcompute.dll`")] public static extern void HNSCall($words);"
    $native = Add-Type -MemberDefinition $member -Namespace 'OvnRunbooks' -Name 'Hns' -PassThru
    $answer = ''
    $native::HNSCall($method, $path, $request, [ref]$answer)
    if (-not $answer) { throw "HNS gave no answer to $method $path" }
    $said = ConvertFrom-Json -InputObject $answer
    if (-not $said.Success) { throw "HNS refused $method ${path}: $($said.Error)" }
    return $said.Output
}

# healthy NAME URL SECONDS LOG: awaits that a service says that it is well; the end of LOG is shown where it does not.
function healthy([string]$name, [string]$url, [string]$seconds, [string]$log) {
    _begin "$name healthy"
    $why = _await ([int]$seconds) { _unwell $url }
    if (-not $why) { _report 'ok'; return }
    $Steps.Message = "$url says: $why"
    if ($Steps.DryRun) { _report 'would-change'; return }
    if (Test-Path -LiteralPath $log) { $Steps.Output = (Get-Content -LiteralPath $log -Tail 20 -Encoding UTF8) -join "`n" }
    _fail "after $seconds s"
}
# What is said instead of "well"; empty where all is.
function _unwell([string]$url) {
    try {
        $request = [Net.WebRequest]::Create($url)
        $request.Timeout = 10000
        $request.Proxy = $null
        $request.GetResponse().Dispose()
        return ''
    } catch {
        return (_words $_) -replace '\s+', ' '
    }
}
