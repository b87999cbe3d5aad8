# Verbs for Windows itself: features, services, firewall, scheduled tasks, Defender, reboot.

# windows_feature NAME: installed. A reboot that it needs is asked for by reboot_when.
function windows_feature { _step "feature $($args[0])" '' 'windows_feature' $args }
function _windows_feature_look([string]$name) {
    $seen = [string](Get-WindowsOptionalFeature -Online -FeatureName $name).State
    if ('Enabled', 'EnablePending' -contains $seen) { return 0 }
    $Steps.Diff = "-$name $seen`n+$name Enabled`n"
    # An installation on top of a pending reboot fails, or hangs.
    $reasons = @(_reboot_reasons)
    if ($reasons.Count) {
        $Steps.Message = "reboot first: $($reasons[0])"
        return 2
    }
    return 1
}
function _windows_feature_act([string]$name) {
    $done = Install-WindowsFeature -Name $name
    if (-not $done.Success) { throw "Install-WindowsFeature ended with $($done.ExitCode)" }
}

function _service_read([string]$name) {
    return Get-CimInstance -ClassName Win32_Service -Filter "Name='$($name.Replace('\', '\\').Replace("'", "\'"))'"
}
function _service_depends([string]$name) {
    return (@((Get-Service -Name $name).ServicesDependedOn | ForEach-Object { $_.Name } | Sort-Object) -join ' ')
}

# service_defined NAME COMMAND [DEPENDENCY]...: a service with this command line, as LocalSystem.
function service_defined { _step "service $($args[0]) defined" '' 'service_defined' $args }
function _service_defined_look([string]$name, [string]$command) {
    $service = _service_read $name
    $wanted = @($args | Sort-Object) -join ' '
    if ($null -eq $service) {
        $Steps.Diff = "-$name (missing)`n+$name $command`n"
        return 1
    }
    if ($service.PathName -cne $command) { $Steps.Diff += "-$name $($service.PathName)`n+$name $command`n" }
    $depends = _service_depends $name
    if ($depends -ne $wanted) { $Steps.Diff += "-$name after $depends`n+$name after $wanted`n" }
    if ($service.StartName -ne 'LocalSystem') {
        $Steps.Diff += "-$name as $($service.StartName)`n+$name as LocalSystem`n"
    }
    return [int][bool]$Steps.Diff
}
function _service_defined_act([string]$name, [string]$command) {
    if ($null -eq (_service_read $name)) {
        $given = @{ Name = $name; BinaryPathName = $command; DisplayName = $name; StartupType = 'Automatic' }
        if ($args.Count) { $given.DependsOn = [string[]]$args }
        New-Service @given
        return
    }
    # Stopped first: a run that dies in between leaves a service that the next one defines anew and starts.
    _service_pause $name
    $depends = '/'
    if ($args.Count) { $depends = $args -join '/' }
    _run 'sc.exe' @('config', $name, 'binPath=', $command, 'depend=', $depends, 'obj=', 'LocalSystem')
}

# One that does not stop is ended: an open program could not be replaced.
function _service_stop([string]$name) {
    $service = _service_read $name
    if ($null -eq $service -or $service.State -eq 'Stopped') { return }
    try {
        Stop-Service -Name $name -Force -NoWait
        (Get-Service -Name $name).WaitForStatus('Stopped', [TimeSpan]::FromSeconds(60))
    } catch {
        $service = _service_read $name
        if ($service.ProcessId) { Stop-Process -Id $service.ProcessId -Force }
        (Get-Service -Name $name).WaitForStatus('Stopped', [TimeSpan]::FromSeconds(30))
    }
}

# _service_pause NAME: stopped, to be started again. Windows stops all that depends on it, and starts none of that again:
# its names stay with the service until _service_start has done so, which holds after a run that was killed in between.
function _service_pause([string]$name) {
    $others = @(_service_dependents $name)
    $known = @(_service_paused $name | Where-Object { $others -notcontains $_ })
    if ($others.Count) { _paused_write $name (@(_boot) + $known + $others -join '/') }
    _service_stop $name
}
# What runs and depends on a service, directly or not, each after all that it depends on itself.
function _service_dependents([string]$name) {
    $found, $level = @(), @($name)
    while ($level.Count) {
        $next = @($level | ForEach-Object { (Get-Service -Name $_).DependentServices })
        $level = @($next | Where-Object { [string]$_.Status -notlike 'Stop*' } | ForEach-Object { $_.Name } | Sort-Object -Unique)
        $found = @($found | Where-Object { $level -notcontains $_ }) + $level
    }
    return $found
}
# What was stopped together with a service and does not run yet. A boot has started all that is to run.
function _service_paused([string]$name) {
    $noted = _paused_read $name
    if (-not $noted) { return }
    $boot, $others = $noted -split '/'
    if ($boot -ne (_boot)) { return }
    foreach ($other in $others) {
        $service = _service_read $other
        if ($null -ne $service -and $service.State -ne 'Running') { $other }
    }
}
function _paused_read([string]$name) {
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$name"
    if (Test-Path -LiteralPath $key) { return [string](Get-Item -LiteralPath $key).GetValue('PausedWith') }
}
function _paused_write([string]$name, [string]$noted) {
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$name"
    [void](New-ItemProperty -LiteralPath $key -Name 'PausedWith' -PropertyType String -Value $noted -Force)
}

# service_recovery NAME MILLISECONDS...: started again after each failure, with these delays; the last one goes on.
function service_recovery { _step "service $($args[0]) recovery" '' 'service_recovery' $args }
function _service_recovery_look([string]$name) {
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$name"
    if (-not (Test-Path -LiteralPath $key)) {
        $Steps.Message = "there is no service $name"
        return 2
    }
    $seen = _recovery_words ((Get-Item -LiteralPath $key).GetValue('FailureActions'))
    $wanted = @($args | ForEach-Object { "restart/$_" }) -join '/'
    if ($seen -ceq "86400 $wanted") { return 0 }
    $Steps.Diff = "-$name $seen`n+$name 86400 $wanted`n"
    return 1
}
# The registry's form (SERVICE_FAILURE_ACTIONS) is the same in every language; what sc.exe prints is not.
function _recovery_words([byte[]]$bytes) {
    if ($null -eq $bytes -or $bytes.Length -lt 20) { return '(none)' }
    $count, $place = [BitConverter]::ToInt32($bytes, 12), [BitConverter]::ToInt32($bytes, 16)
    $kinds = @{ 0 = 'none'; 1 = 'restart'; 2 = 'reboot'; 3 = 'run' }
    $actions = for ($number = 0; $number -lt $count; $number++) {
        $kind = $kinds[[BitConverter]::ToInt32($bytes, $place + 8 * $number)]
        "$kind/$([BitConverter]::ToUInt32($bytes, $place + 8 * $number + 4))"
    }
    return "$([BitConverter]::ToUInt32($bytes, 0)) $(@($actions) -join '/')"
}
function _service_recovery_act([string]$name) {
    $actions = @($args | ForEach-Object { "restart/$_" }) -join '/'
    _run 'sc.exe' @('failure', $name, 'reset=', '86400', 'actions=', $actions)
}

# service NAME STATE...: STATE is automatic, manual, disabled, running, stopped, or log=FILE, which is shown on failure.
function service { _step "service $(($args -notlike 'log=*') -join ' ')" $args[0] 'service' $args }
function _service_look([string]$name) {
    $service = _service_read $name
    if ($null -eq $service) {
        $Steps.Message = "there is no service $name"
        return 2
    }
    $starts = @{ Auto = 'automatic'; Manual = 'manual'; Disabled = 'disabled' }
    foreach ($want in $args) {
        if ('automatic', 'manual', 'disabled' -contains $want) { $seen = $starts[[string]$service.StartMode] }
        elseif ('running', 'stopped' -contains $want) { $seen = ([string]$service.State).ToLowerInvariant() }
        elseif ($want -like 'log=*') { continue }
        else {
            $Steps.Message = "$want is not a state of a service"
            return 3
        }
        if ($seen -ne $want) { $Steps.Diff += "-$name $seen`n+$name $want`n" }
        if ($want -ne 'running') { continue }
        foreach ($other in @(_service_paused $name)) { $Steps.Diff += "-$other stopped`n+$other running`n" }
    }
    return [int][bool]$Steps.Diff
}
function _service_act([string]$name) {
    $log = [string](@($args -like 'log=*')[0]) -replace '^log=', ''
    foreach ($want in $args) {
        switch ($want) {
            'automatic' { Set-Service -Name $name -StartupType Automatic }
            'manual' { Set-Service -Name $name -StartupType Manual }
            'disabled' { Set-Service -Name $name -StartupType Disabled }
            'stopped' { _service_stop $name }
            'running' { _service_start $name $log }
        }
    }
}
function _service_start([string]$name, [string]$log) {
    try {
        Start-Service -Name $name
        (Get-Service -Name $name).WaitForStatus('Running', [TimeSpan]::FromSeconds(60))
    } catch {
        if ($log -and (Test-Path -LiteralPath $log)) { Get-Content -LiteralPath $log -Tail 20 -Encoding UTF8 }
        throw
    }
    if (_paused_read $name) { _service_resume $name }
}
# One that does not start is told of, and then left to its own stage: what that stage changes may be what it lacks.
function _service_resume([string]$name) {
    $problems = foreach ($other in @(_service_paused $name)) {
        try {
            Start-Service -Name $other
            (Get-Service -Name $other).WaitForStatus('Running', [TimeSpan]::FromSeconds(60))
        } catch {
            "$other does not start again: $(_words $_)"
        }
    }
    _paused_write $name ''
    if ($problems) { throw (@($problems) -join "`n") }
}

# restart_on NAME PATH...: the service was started after every PATH last changed. It asks the host, not the run's
# memory, so it holds after a run that was killed between a change and the restart.
function restart_on { _step "restart $($args[0]) on change" $args[0] 'restart_on' $args }
function _restart_on_look([string]$name) {
    foreach ($path in $args) {
        if ($Steps.DryRun -and (_was_changed $path)) { $Steps.Diff += "+restart ${name}: $path would change`n" }
    }
    if ($Steps.Diff) { return 1 }
    $service = _service_read $name
    if ($null -eq $service) {
        $Steps.Message = "there is no service $name"
        return 2
    }
    if ($service.State -ne 'Running') {
        $Steps.Diff = "-$name $(([string]$service.State).ToLowerInvariant())`n+$name running`n"
        return 1
    }
    $since = (Get-Process -Id $service.ProcessId).StartTime.ToUniversalTime()
    foreach ($path in $args) {
        if ((Test-Path -LiteralPath $path) -and (Get-Item -LiteralPath $path -Force).LastWriteTimeUtc -gt $since) {
            $Steps.Diff += "+restart ${name}: $path is newer than its start`n"
        }
    }
    return [int][bool]$Steps.Diff
}
function _restart_on_act([string]$name) {
    _service_pause $name
    _service_start $name ''
}

# firewall_rule NAME PROTOCOL PORT: what comes in there is let in.
function firewall_rule { _step "firewall $($args[0])" '' 'firewall_rule' $args }
function _firewall_rule_look([string]$name, [string]$protocol, [string]$port) {
    $wanted = "Allow Inbound $protocol $port Any True"
    $seen = '(missing)'
    $rule = Get-NetFirewallRule -Name $name -ErrorAction SilentlyContinue
    if ($null -ne $rule) {
        $filter = Get-NetFirewallPortFilter -AssociatedNetFirewallRule $rule
        $seen = "$($rule.Action) $($rule.Direction) $($filter.Protocol) $($filter.LocalPort) $($rule.Profile) $($rule.Enabled)"
    }
    if ($seen -eq $wanted) { return 0 }
    $Steps.Diff = "-$name $seen`n+$name $wanted`n"
    return 1
}
function _firewall_rule_act([string]$name, [string]$protocol, [string]$port) {
    Get-NetFirewallRule -Name $name -ErrorAction SilentlyContinue | Remove-NetFirewallRule
    New-NetFirewallRule -Name $name -DisplayName $name -Group 'ovn-runbooks' -Direction Inbound -Action Allow `
        -Protocol $protocol -LocalPort $port -Profile Any -Enabled True
}

# scheduled_task NAME PROGRAM WORDS: at every boot, as SYSTEM, however long it takes.
function scheduled_task { _step "scheduled task $($args[0])" '' 'scheduled_task' $args }
function _scheduled_task_look([string]$name, [string]$program, [string]$words) {
    $wanted = "at boot as SYSTEM: $program $words"
    $seen = _scheduled_words $name
    if ($seen -ceq $wanted) { return 0 }
    $Steps.Diff = "-$name $seen`n+$name $wanted`n"
    return 1
}
function _scheduled_words([string]$name) {
    $seen = '(missing)'
    $task = Get-ScheduledTask -TaskName $name -ErrorAction SilentlyContinue
    if ($null -ne $task) {
        $when = @($task.Triggers | ForEach-Object { $_.CimClass.CimClassName }) -join ' '
        if ($when -eq 'MSFT_TaskBootTrigger') { $when = 'at boot' }
        $seen = "$when as $(_account ([string]$task.Principal.UserId)): $($task.Actions[0].Execute) $($task.Actions[0].Arguments)"
        if ([string]$task.State -eq 'Disabled') { $seen = "disabled, $seen" }
    }
    return $seen
}
# What Windows calls SYSTEM is in its own language; the number is the same in each.
function _account([string]$name) {
    try {
        $sid = [Security.Principal.NTAccount]::new($name).Translate([Security.Principal.SecurityIdentifier]).Value
    } catch {
        $sid = $name
    }
    if ($sid -eq 'S-1-5-18') { return 'SYSTEM' }
    return $name
}
function _scheduled_task_act([string]$name, [string]$program, [string]$words) {
    $what = @{
        Action = New-ScheduledTaskAction -Execute $program -Argument $words
        Trigger = New-ScheduledTaskTrigger -AtStartup
        Principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
        Settings = New-ScheduledTaskSettingsSet -ExecutionTimeLimit ([TimeSpan]::Zero) -StartWhenAvailable
    }
    Register-ScheduledTask -TaskName $name -Force @what
}

# defender_exclusion KIND WHAT: KIND is process or path. Where Defender does not run there is nothing to exclude from.
function defender_exclusion { _step "Defender leaves out $($args[1])" '' 'defender_exclusion' $args }
function _defender_exclusion_look([string]$kind, [string]$what) {
    if ('process', 'path' -notcontains $kind) {
        $Steps.Message = "$kind is not a kind of exclusion"
        return 3
    }
    if (-not (Get-Process -Name 'MsMpEng' -ErrorAction SilentlyContinue)) {
        $Steps.Message = 'Defender does not run'
        return 0
    }
    $known = Get-MpPreference
    $seen = $known.ExclusionPath
    if ($kind -eq 'process') { $seen = $known.ExclusionProcess }
    if (@($seen) -contains $what) { return 0 }
    $Steps.Diff = "+$kind $what`n"
    return 1
}
function _defender_exclusion_act([string]$kind, [string]$what) {
    if ($kind -eq 'process') { Add-MpPreference -ExclusionProcess $what } else { Add-MpPreference -ExclusionPath $what }
}

# The boot that the host is in: the first process's birth, which no change of the clock moves.
function _boot {
    $first = @(Get-CimInstance -ClassName Win32_Process -Filter "Name='wininit.exe'")[0]
    $born = $null
    if ($null -ne $first) { $born = $first.CreationDate }
    if ($null -eq $born) { $born = (Get-CimInstance -ClassName Win32_OperatingSystem).LastBootUpTime }
    return $born.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.ffffffZ', [Globalization.CultureInfo]::InvariantCulture)
}

# Why Windows wants a reboot, one reason each. Renames that wait for one are left out: virus scanners leave them always.
function _reboot_reasons {
    $servicing = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing'
    $update = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update'
    foreach ($name in 'RebootPending', 'RebootInProgress', 'PackagesPending') {
        if (Test-Path -LiteralPath "$servicing\$name") { "Windows is being serviced ($name)" }
    }
    foreach ($name in 'RebootRequired', 'PostRebootReporting') {
        if (Test-Path -LiteralPath "$update\$name") { "Windows Update asks for it ($name)" }
    }
    if (Test-Path -LiteralPath 'HKLM:\SOFTWARE\Microsoft\ServerManager\CurrentRebootAttempts') {
        'a feature asks for it (CurrentRebootAttempts)'
    }
    $names = 'HKLM:\SYSTEM\CurrentControlSet\Control\ComputerName'
    $now = (Get-ItemProperty -LiteralPath "$names\ActiveComputerName").ComputerName
    $then = (Get-ItemProperty -LiteralPath "$names\ComputerName").ComputerName
    if ($now -ne $then) { "the host is $now and will be $then" }
}

# reboot_when POLICY [NAME [FEATURE PHASE]]: POLICY is needed, always or never. With a FEATURE a reboot is needed in this
# PHASE of it alone: missing, as nothing is installed on top of a reboot that Windows waits for, or pending, as it is there
# after one. The script ends here, and its task reboots the host and runs it again.
function reboot_when([string]$policy, [string]$name = 'reboot when needed', [string]$feature, [string]$phase) {
    _begin $name
    $reason, $now = [string](@(_reboot_reasons)[0]), $phase
    if ($feature) { $now = _feature_phase $feature }
    if (-not $reason -and $phase -eq 'pending' -and $now -eq $phase) { $reason = "the feature $feature asks for it" }
    if (-not $reason -and $policy -eq 'always') { $reason = 'asked for on the command line' }
    if (-not $reason) { _report 'ok'; return }
    $Steps.Message = $reason
    if ($now -ne $phase -and $policy -ne 'always') {
        $Steps.Message += "; not rebooted, as the feature $feature is $now"
        _report 'ok'
    } elseif ($policy -eq 'never') {
        $Steps.Message += '; not rebooted, as asked for on the command line'
        _report 'ok'
    } elseif ($Steps.DryRun) {
        _report 'would-change'
    } else {
        _fact 'boot_id' (_boot)
        $Steps.Asks = 'reboot'
        _report 'changed'
        _end 0
    }
}

function _feature_phase([string]$name) {
    switch ([string](Get-WindowsOptionalFeature -Online -FeatureName $name).State) {
        'Enabled' { return 'there' }
        'EnablePending' { return 'pending' }
        default { return 'missing' }
    }
}

# reboot_now BOOT_ID: reboot, unless this is no longer the boot BOOT_ID.
function reboot_now([string]$boot) {
    _begin 'reboot'
    if ((_boot) -ne $boot) {
        $Steps.Message = 'already rebooted'
        _report 'ok'
        return
    }
    if ($Steps.DryRun) { _report 'would-change'; return }
    try {
        # Some seconds: the answer has to be out before the connection goes down with the host.
        [void](_run 'shutdown.exe' @('/r', '/f', '/t', '3', '/d', 'p:2:4'))
    } catch {
        $Steps.Output = _words $_
        _fail 'the reboot could not be asked for'
    }
    _report 'changed'
}
