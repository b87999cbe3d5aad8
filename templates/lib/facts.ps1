# What a look at a Windows host finds out.

# gather NAME[=WORD WORD...]...: a fact for each.
function gather {
    $title = "gather $($args -join ' ')"
    if ($args.Count -gt 2) { $title = 'gather facts' }
    _begin $title
    foreach ($want in $args) {
        $name, $words = ([string]$want) -split '=', 2
        if (-not (Get-Command -Name "_fact_$name" -CommandType Function -ErrorAction SilentlyContinue)) {
            _fail "there is no fact $name"
        }
        $each = @(([string]$words) -split ' ' -ne '')
        try { $value = @(& "_fact_$name" @each) -join "`n" } catch {
            _fail "${name}: $(_words $_)"
        }
        _fact $name $value
    }
    _report 'ok'
}

function _current_version { return Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion' }
function _fact_os_name { return (Get-CimInstance -ClassName Win32_OperatingSystem).Caption }
function _fact_os_build {
    $version = _current_version
    return "$($version.CurrentBuild).$($version.UBR)"
}
function _fact_os_kind { return (_current_version).InstallationType }
function _fact_architecture { return $env:PROCESSOR_ARCHITECTURE.ToLowerInvariant() }
function _fact_powershell { return "$($PSVersionTable.PSVersion) $($ExecutionContext.SessionState.LanguageMode)" }
function _fact_machine_id { return (Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Cryptography').MachineGuid }
function _fact_boot_id { return _boot }
function _fact_hostname { return [Net.Dns]::GetHostName() }
function _fact_cpus { return [Environment]::ProcessorCount }
function _fact_memory_mib {
    return [long][Math]::Floor((Get-CimInstance -ClassName Win32_ComputerSystem).TotalPhysicalMemory / 1048576)
}
function _fact_disk_free_mib {
    foreach ($disk in Get-CimInstance -ClassName Win32_LogicalDisk -Filter 'DriveType=3') {
        "$($disk.DeviceID) $([long][Math]::Floor($disk.FreeSpace / 1048576))"
    }
}
# Microseconds since 1970, as on Linux. What does not divide evenly becomes a floating-point number, which is written 1.8E+15.
function _fact_clock {
    $ticks = [DateTime]::UtcNow.Ticks - 621355968000000000
    return [long](($ticks - $ticks % 10) / 10)
}
# The leap indicator's number is the same in every language; 3 is "not synchronised".
function _fact_time_synchronised {
    $said = _run 'w32tm.exe' @('/query', '/status') @(0..255 + -2147023834)
    $leap = [regex]::Match($said, ':\s*([0-3])\(')
    if (-not $leap.Success -or $leap.Groups[1].Value -eq '3') { return 'no' }
    return 'yes'
}
function _fact_addresses {
    foreach ($each in Get-NetIPAddress -AddressFamily IPv4) { "$($each.ifIndex) $($each.IPAddress)/$($each.PrefixLength)" }
}
function _default_route {
    $routes = @(Get-NetRoute -DestinationPrefix '0.0.0.0/0' -ErrorAction SilentlyContinue | Sort-Object -Property RouteMetric)
    return $routes[0]
}
function _fact_default_nic { return [string](_default_route).ifIndex }
function _fact_default_gateway { return [string](_default_route).NextHop }
# INDEX MTU physical|virtual NAME, of those that are up. One that the overlay's switch has taken is none of IP's any more:
# what it says itself is told, and its "vEthernet" has the address and the default route.
function _fact_nics {
    $mtus = @{}
    foreach ($each in Get-NetIPInterface -AddressFamily IPv4) { $mtus[[string]$each.ifIndex] = $each.NlMtu }
    foreach ($nic in Get-NetAdapter | Where-Object { $_.Status -eq 'Up' }) {
        $kind = 'physical'
        if ($nic.Virtual) { $kind = 'virtual' }
        $mtu = $mtus[[string]$nic.ifIndex]
        if ($null -eq $mtu) { $mtu = $nic.MtuSize }
        if ($null -eq $mtu) { $mtu = 0 }
        "$($nic.ifIndex) $mtu $kind $($nic.Name)"
    }
}
function _fact_listening {
    $found = @(Get-NetTCPConnection -State Listen | ForEach-Object { "tcp $($_.LocalPort)" })
    $found += @(Get-NetUDPEndpoint | ForEach-Object { "udp $($_.LocalPort)" })
    return $found | Sort-Object -Unique
}
function _fact_pending_reboot { return _reboot_reasons }
function _fact_features {
    foreach ($name in $args) { "$name $((Get-WindowsOptionalFeature -Online -FeatureName $name).State)" }
}
# NAME SUBNET ADDRESS of each network that the host network service keeps; ADDRESS is the host's own.
function _fact_networks {
    if (-not (Get-Command -Name 'Get-HnsNetwork' -ErrorAction SilentlyContinue)) { return }
    foreach ($each in Get-HnsNetwork) {
        $subnet, $address = [string]@($each.Subnets)[0].AddressPrefix, [string]$each.ManagementIP
        if ($subnet -and $address) { "$($each.Name) $subnet $address" }
    }
}
# URL ANSWER: well, or what was said instead.
function _fact_answers {
    foreach ($url in $args) {
        $answer = _unwell $url
        if (-not $answer) { $answer = 'well' }
        "$url $answer"
    }
}
function _fact_scheduled([string]$name) { return _scheduled_words $name }
# ADDRESS in NETWORK; empty where there is no endpoint of that name.
function _fact_endpoint([string]$name) {
    if (-not (Get-Command -Name 'Get-HnsEndpoint' -ErrorAction SilentlyContinue)) { return '' }
    return _host_endpoint_words $name
}
# NAME STATE START COMMAND; a service that is not there has state "-".
function _fact_services {
    foreach ($name in $args) {
        $service = _service_read $name
        if ($null -eq $service) { "$name -" } else { "$name $($service.State) $($service.StartMode) $($service.PathName)" }
    }
}
