# Verbs for the overlay's networks, which the host network service (HNS) keeps.

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
