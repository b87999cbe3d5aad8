# Verbs for any Windows host: files, folders, the registry, commands. ACCESS is inherited, or protected: it belongs to the
# administrators, and only they and SYSTEM may enter.

# file PATH CONTENT: UTF-8 without a byte order mark, replaced as a whole, never seen half-written.
function file { _step "file $($args[0])" $args[0] 'file' $args }
function _file_look([string]$path, [string]$content) {
    if ([IO.Directory]::Exists($path)) {
        $Steps.Message = "$path is a folder"
        return 3
    }
    $old, $label = '', 'nothing'
    if ([IO.File]::Exists($path)) {
        $bytes = [IO.File]::ReadAllBytes($path)
        if (_same_bytes $bytes (_bytes $content)) { return 0 }
        $old, $label = ([Text.UTF8Encoding]::new($false).GetString($bytes)), $path
    }
    $Steps.Diff = _difference $old $content $label $path
    if (-not $Steps.Diff) { $Steps.Message = 'the bytes differ, the text does not' }
    return 1
}
function _file_act([string]$path, [string]$content) { _write $path (_bytes $content) $false }

# secret_file PATH CONTENT: protected, and its content is never shown.
function secret_file { _step "file $($args[0])" $args[0] 'secret_file' $args }
function _secret_file_look([string]$path, [string]$secret) {
    if ([IO.Directory]::Exists($path)) {
        $Steps.Message = "$path is a folder"
        return 3
    }
    if (-not [IO.File]::Exists($path) -or -not (_same_bytes ([IO.File]::ReadAllBytes($path)) (_bytes (_secret $secret)))) {
        $Steps.Message = 'the content differs (not shown)'
        return 1
    }
    return _access_look $path 'protected'
}
function _secret_file_act([string]$path, [string]$secret) { _write $path (_bytes (_secret $secret)) $true }

function _bytes([string]$text) { return , [Text.UTF8Encoding]::new($false).GetBytes($text) }
function _same_bytes([byte[]]$one, [byte[]]$other) {
    if ($one.Length -ne $other.Length) { return $false }
    return [Convert]::ToBase64String($one) -ceq [Convert]::ToBase64String($other)
}
# The new file gets its access before it gets its content.
function _write([string]$path, [byte[]]$bytes, [bool]$protected) {
    $part = "$path.part"
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
    $stream = [IO.File]::Create($part)
    try {
        if ($protected) { _protect $part }
        $stream.Write($bytes, 0, $bytes.Length)
        $stream.Flush($true)
    } finally {
        $stream.Dispose()
    }
    if ([IO.File]::Exists($path)) {
        # A replaced file keeps its access.
        if ($protected) { _protect $path }
        # A plain $null would become an empty file name.
        [IO.File]::Replace($part, $path, [NullString]::Value)
        [IO.File]::SetLastWriteTimeUtc($path, [DateTime]::UtcNow)
    } else {
        [IO.File]::Move($part, $path)
    }
}

# directory PATH ACCESS
function directory { _step "directory $($args[0])" $args[0] 'directory' $args }
function _directory_look([string]$path, [string]$access) {
    if ([IO.File]::Exists($path)) {
        $Steps.Message = "$path is not a folder"
        return 3
    }
    if (-not [IO.Directory]::Exists($path)) {
        $Steps.Diff = "-${path}: (missing)`n+${path}: $access`n"
        return 1
    }
    if ($access -eq 'protected' -and (_is_link $path)) {
        $Steps.Message = "$path is a link to another place"
        return 3
    }
    return _access_look $path $access
}
function _directory_act([string]$path, [string]$access) {
    $old = [IO.Directory]::Exists($path)
    [void][IO.Directory]::CreateDirectory($path)
    if ($access -ne 'protected') { return }
    if ($old) { _take_over $path }
    _protect $path
}
# Anybody may have made the folder before: who owns a thing may always change who enters, and rights that were given to it
# by name stay. Until all of it is taken, a rule for its owner (S-1-3-4) that takes nothing from administrators stands
# beside the two, so that a run that dies in between leaves a folder that the next one does not call protected.
function _take_over([string]$path) {
    _protect $path 'S-1-3-4'
    _take_over_below $path
}
# Links are not followed: what they lead to is not ours to change.
function _take_over_below([string]$path) {
    foreach ($item in Get-ChildItem -LiteralPath $path -Force) {
        $name = $item.FullName
        if (_is_link $name) { throw "$name is a link to another place: take it away" }
        if (_is_protected $name) { continue }
        _inherit $name
        if ($item.PSIsContainer) { _take_over_below $name }
    }
}
function _inherit([string]$path) {
    # icacls cannot give away what shuts administrators out.
    [void](_run 'takeown.exe' @('/F', $path, '/A'))
    [void](_run 'icacls.exe' @($path, '/reset', '/Q'))
}
function _is_link([string]$path) {
    return [bool]([IO.File]::GetAttributes($path) -band [IO.FileAttributes]::ReparsePoint)
}
function _access_look([string]$path, [string]$access) {
    if ($access -ne 'protected' -or (_is_protected $path)) { return 0 }
    $Steps.Diff = "-${path}: inherited`n+${path}: protected`n"
    return 1
}
function _is_protected([string]$path) {
    $rules = Get-Acl -LiteralPath $path
    if (-not $rules.AreAccessRulesProtected) { return $false }
    $owner = $rules.GetOwner([Security.Principal.SecurityIdentifier]).Value
    if ('S-1-5-18', 'S-1-5-32-544' -notcontains $owner) { return $false }
    $seen = foreach ($rule in $rules.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        "$($rule.AccessControlType) $($rule.IdentityReference.Value) $($rule.FileSystemRights)"
    }
    return (@($seen | Sort-Object) -join ', ') -ceq 'Allow S-1-5-18 FullControl, Allow S-1-5-32-544 FullControl'
}
# _protect PATH [SID]: SID may read who enters, and nothing else.
function _protect([string]$path, [string]$reader) {
    $inherit = 'None'
    $rules = [Security.AccessControl.FileSecurity]::new()
    if ([IO.Directory]::Exists($path)) {
        $inherit = 'ContainerInherit, ObjectInherit'
        $rules = [Security.AccessControl.DirectorySecurity]::new()
    }
    $rules.SetAccessRuleProtection($true, $false)
    foreach ($who in 'S-1-5-18', 'S-1-5-32-544') {
        $sid = [Security.Principal.SecurityIdentifier]::new($who)
        $rules.AddAccessRule(
            [Security.AccessControl.FileSystemAccessRule]::new($sid, 'FullControl', $inherit, 'None', 'Allow'))
    }
    if ($reader) {
        $sid = [Security.Principal.SecurityIdentifier]::new($reader)
        $rules.AddAccessRule([Security.AccessControl.FileSystemAccessRule]::new($sid, 'ReadPermissions', 'Allow'))
    }
    $rules.SetOwner([Security.Principal.SecurityIdentifier]::new('S-1-5-32-544'))
    Set-Acl -LiteralPath $path -AclObject $rules
}

# absent PATH: no such file or folder.
function absent { _step "absent $($args[0])" $args[0] 'absent' $args }
function _absent_look([string]$path) {
    if (-not [IO.File]::Exists($path) -and -not [IO.Directory]::Exists($path)) { return 0 }
    $Steps.Diff = "-$path`n"
    return 1
}
function _absent_act([string]$path) { Remove-Item -LiteralPath $path -Recurse -Force }

# registry_value KEY NAME KIND VALUE: KEY is HKLM:\..., KIND is String, ExpandString or DWord.
function registry_value { _step "registry $($args[0]) $($args[1])" $args[0] 'registry_value' $args }
function _registry_value_look([string]$key, [string]$name, [string]$kind, [string]$value) {
    $seen = '(missing)'
    if ('String', 'ExpandString', 'DWord' -notcontains $kind) {
        $Steps.Message = "$kind is not a kind of registry value"
        return 3
    }
    if (Test-Path -LiteralPath $key) {
        $item = Get-Item -LiteralPath $key
        if (@($item.GetValueNames()) -contains $name) {
            $seen = "$($item.GetValueKind($name)) $($item.GetValue($name, $null, 'DoNotExpandEnvironmentNames'))"
        }
    }
    if ($seen -ceq "$kind $value") { return 0 }
    $Steps.Diff = "-$key $name $seen`n+$key $name $kind $value`n"
    return 1
}
function _registry_value_act([string]$key, [string]$name, [string]$kind, [string]$value) {
    # New-Item -Force would empty a key that is there.
    if (-not (Test-Path -LiteralPath $key)) { [void](New-Item -Path $key -Force) }
    [void](New-ItemProperty -LiteralPath $key -Name $name -PropertyType $kind -Value $value -Force)
}

# environment_variable NAME VALUE: of the machine; services see it when they start.
function environment_variable { _step "environment $($args[0])" '' 'environment_variable' $args }
function _environment_variable_look([string]$name, [string]$value) {
    $seen = [Environment]::GetEnvironmentVariable($name, 'Machine')
    if ($seen -ceq $value) { return 0 }
    if ($null -eq $seen) { $seen = '(missing)' }
    $Steps.Diff = "-$name $seen`n+$name $value`n"
    return 1
}
function _environment_variable_act([string]$name, [string]$value) {
    [Environment]::SetEnvironmentVariable($name, $value, 'Machine')
}

# ensure NAME GUARD ACT: the PowerShell text ACT is run unless the text GUARD gives back something that is true.
function ensure { _step $args[0] '' 'ensure' $args }
function _ensure_look([string]$name, [string]$guard, [string]$act) {
    try {
        if (@(& ([ScriptBlock]::Create($guard)))[-1]) { return 0 }
    } catch {
        $Steps.Message = "$(_words $_)"
    }
    return 1
}
function _ensure_act([string]$name, [string]$guard, [string]$act) { & ([ScriptBlock]::Create($act)) }

# show_file FACT PATH: the content of a file as a fact; empty where there is none.
function show_file([string]$fact, [string]$path) {
    _begin "read $path"
    _fact $fact (_text $path)
    _report 'ok'
}

# inspect_pairs [NAME CERTIFICATE KEY AUTHORITY]...: facts certificate_NAME and authority_NAME, and key_mode_NAME:
# protected, inherited or (missing). Certificates are told whole; of a key only who may read it.
function inspect_pairs {
    _begin 'inspect certificates'
    for ($place = 0; $place -lt $args.Count; $place += 4) {
        $name, $certificate, $key, $authority = $args[$place..($place + 3)]
        _fact "certificate_$name" (_text $certificate)
        _fact "authority_$name" (_text $authority)
        _fact "key_mode_$name" (_access_words $key)
    }
    _report 'ok'
}
# What is in a file, up to 64 K characters of it; empty where there is none.
function _text([string]$path) {
    if (-not [IO.File]::Exists($path)) { return '' }
    $text = [IO.File]::ReadAllText($path)
    return $text.Substring(0, [Math]::Min($text.Length, 65536))
}
function _access_words([string]$path) {
    if (-not [IO.File]::Exists($path)) { return '(missing)' }
    if (_is_protected $path) { return 'protected' }
    return 'inherited'
}

# _await SECONDS QUESTION: ask until the answer is an empty text, which is "as wanted"; the last answer comes back.
function _await([int]$seconds, [scriptblock]$question) {
    $watch = [Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        try { $answer = [string](@(& $question)[-1]) } catch { $answer = _words $_ }
        if (-not $answer -or $Steps.DryRun -or $watch.Elapsed.TotalSeconds -ge $seconds) { return $answer }
        Start-Sleep -Milliseconds 500
    }
}
