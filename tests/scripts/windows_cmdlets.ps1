# Stand-ins for what only Windows has, for tests that run the step library in a PowerShell elsewhere. They remember what
# they are told in $Windows, for the length of one script.

$global:Windows = @{ Features = @{ Containers = 'Disabled' }; Rules = @{}; Services = @{}; Tasks = @{}; Exclusions = @() }
$Windows.Paused = @{}

function _elevated { return $true }
function _lock { }
function _protect([string]$path) { & chmod 'go=' $path }
function _inherit([string]$path) { & chmod 'go=u' $path }
function _is_protected([string]$path) { return [string](& stat -c '%a' $path) -match '00$' }
function _paused_read([string]$name) { return [string]$Windows.Paused[$name] }
function _paused_write([string]$name, [string]$noted) { $Windows.Paused[$name] = $noted }
function _reboot_reasons {
    if ($Windows.Features.Values -contains 'EnablePending') { 'Windows is being serviced (RebootPending)' }
}

function Get-CimInstance {
    [CmdletBinding()] param([string]$ClassName, [string]$Filter)
    switch ($ClassName) {
        'Win32_Process' { [pscustomobject]@{ CreationDate = [DateTime]::new(2026, 1, 2, 3, 4, 5, 'Utc') } }
        'Win32_Service' { $Windows.Services[($Filter -replace "^Name='|'$")] }
        default { throw "there is no stand-in for $ClassName" }
    }
}

function Get-WindowsOptionalFeature {
    [CmdletBinding()] param([switch]$Online, [string]$FeatureName)
    if (-not $Windows.Features.ContainsKey($FeatureName)) { throw "Feature name $FeatureName is unknown." }
    [pscustomobject]@{ State = $Windows.Features[$FeatureName] }
}
function Install-WindowsFeature {
    [CmdletBinding()] param([string]$Name)
    $Windows.Features[$Name] = 'EnablePending'
    [pscustomobject]@{ Success = $true; ExitCode = 'SuccessRestartRequired' }
}

# A host whose NIC the overlay's switch has: IP knows the switch's own alone.
function Get-NetIPInterface {
    [CmdletBinding()] param([string]$AddressFamily)
    [pscustomobject]@{ ifIndex = 12; NlMtu = 1450 }
}
function Get-NetAdapter {
    [pscustomobject]@{ ifIndex = 4; Status = 'Up'; Virtual = $false; Name = 'Ethernet 2'; MtuSize = 1500 }
    [pscustomobject]@{ ifIndex = 5; Status = 'Up'; Virtual = $true; Name = 'odd' }
    [pscustomobject]@{ ifIndex = 6; Status = 'Disconnected'; Virtual = $false; Name = 'spare'; MtuSize = 1500 }
    [pscustomobject]@{ ifIndex = 12; Status = 'Up'; Virtual = $true; Name = 'vEthernet (Ethernet 2)'; MtuSize = 1500 }
}

function Get-NetFirewallRule {
    [CmdletBinding()] param([string]$Name)
    if ($Windows.Rules.ContainsKey($Name)) { $Windows.Rules[$Name] }
}
function Get-NetFirewallPortFilter {
    [CmdletBinding()] param($AssociatedNetFirewallRule)
    $AssociatedNetFirewallRule
}
function Remove-NetFirewallRule {
    [CmdletBinding()] param([Parameter(ValueFromPipeline)]$Rule)
    process { $Windows.Rules.Remove($Rule.Name) }
}
function New-NetFirewallRule {
    [CmdletBinding()] param($Name, $DisplayName, $Group, $Direction, $Action, $Protocol, $LocalPort, $Profile, $Enabled)
    if ($Windows.Rules.ContainsKey($Name)) { throw 'Cannot create a file when that file already exists.' }
    $Windows.Rules[$Name] = [pscustomobject]$PSBoundParameters
    $Windows.Rules[$Name]
}

function Get-ScheduledTask {
    [CmdletBinding()] param([string]$TaskName)
    if ($Windows.Tasks.ContainsKey($TaskName)) { $Windows.Tasks[$TaskName] }
}
function New-ScheduledTaskAction([string]$Execute, [string]$Argument) {
    [pscustomobject]@{ Execute = $Execute; Arguments = $Argument }
}
function New-ScheduledTaskTrigger([switch]$AtStartup) {
    [pscustomobject]@{ CimClass = [pscustomobject]@{ CimClassName = 'MSFT_TaskBootTrigger' } }
}
function New-ScheduledTaskPrincipal([string]$UserId, [string]$LogonType, [string]$RunLevel) {
    [pscustomobject]@{ UserId = $UserId }
}
function New-ScheduledTaskSettingsSet([TimeSpan]$ExecutionTimeLimit, [switch]$StartWhenAvailable) { $ExecutionTimeLimit }
function Register-ScheduledTask {
    [CmdletBinding()] param([string]$TaskName, [switch]$Force, $Action, $Trigger, $Principal, $Settings)
    $Windows.Tasks[$TaskName] = [pscustomobject]@{
        Triggers = @($Trigger)
        Principal = $Principal
        Actions = @($Action)
        State = 'Ready'
    }
}

function New-Service {
    [CmdletBinding()] param([string]$Name, [string]$BinaryPathName, [string]$DisplayName, $StartupType, [string[]]$DependsOn)
    $Windows.Services[$Name] = [pscustomobject]@{
        Name = $Name
        PathName = $BinaryPathName
        StartName = 'LocalSystem'
        StartMode = 'Auto'
        State = 'Stopped'
        ProcessId = 0
        ServicesDependedOn = @($DependsOn | Where-Object { $_ } | ForEach-Object { [pscustomobject]@{ Name = $_ } })
    }
}
function Get-Service {
    [CmdletBinding()] param([string]$Name)
    $service = $Windows.Services[$Name]
    $service | Add-Member -Force -MemberType NoteProperty -Name Status -Value $service.State
    $above = @($Windows.Services.Values | Where-Object { $_.ServicesDependedOn.Name -contains $Name })
    $service | Add-Member -Force -MemberType NoteProperty -Name DependentServices -Value $above
    foreach ($each in $above) { $each | Add-Member -Force -MemberType NoteProperty -Name Status -Value $each.State }
    $service | Add-Member -Force -PassThru -MemberType ScriptMethod -Name WaitForStatus -Value {
        if ($this.State -ne $args[0]) { throw "The service is $($this.State)." }
    }
}
function Set-Service {
    [CmdletBinding()] param([string]$Name, [string]$StartupType)
    $Windows.Services[$Name].StartMode = @{ Automatic = 'Auto'; Manual = 'Manual'; Disabled = 'Disabled' }[$StartupType]
}
function Start-Service {
    [CmdletBinding()] param([string]$Name)
    foreach ($below in $Windows.Services[$Name].ServicesDependedOn) { Start-Service -Name $below.Name }
    $Windows.Services[$Name].State = 'Running'
    $Windows.Started = [DateTime]::Now
}
function Stop-Service {
    [CmdletBinding()] param([string]$Name, [switch]$Force, [switch]$NoWait)
    foreach ($above in (Get-Service -Name $Name).DependentServices) { Stop-Service -Name $above.Name }
    $Windows.Services[$Name].State = 'Stopped'
}
function Get-Process {
    [CmdletBinding()] param([int]$Id, [string]$Name)
    [pscustomobject]@{ StartTime = $Windows.Started }
}
