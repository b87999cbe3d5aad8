# The engine under every PowerShell script: it looks, acts only if it must, and reports one JSON line a step.
#
# Windows PowerShell 5.1, nothing newer. The first line of every script makes $Steps: Mark (the run's marker),
# DryRun, Wait (seconds to wait for another script on this host) and Owner (who runs this).
#
# A verb NAME is two functions: _NAME_look gives back 0 (as wanted), 1 (not), 2 (cannot be looked at) or
# 3 (cannot be mended) and may set $Steps.Diff and $Steps.Message; _NAME_act makes it so, and throws where it cannot.

# Global, as functions that live in modules see no other preference of ours.
$global:ErrorActionPreference = 'Stop'
$global:ProgressPreference = 'SilentlyContinue'
$global:ConfirmPreference = 'None'

$Steps += @{
    Folder = 'C:\ProgramData\ovn-runbooks'
    Mutex = 'Global\ovn-runbooks'
    Cap = 65536
    Told = 0
    Touched = @{}
    Name = ''
    Running = $false
    Diff = ''
    Message = ''
    Output = ''
    Asks = ''
    Captured = ''
    Status = 0
    Lock = $null
    Locked = $false
    Watch = $null
    Stream = $null
}

# _json TEXT: TEXT as a JSON string.
function _json([string]$text) {
    $text = $text.Replace('\', '\\').Replace('"', '\"')
    $text = $text.Replace("`n", '\n').Replace("`r", '\r').Replace("`t", '\t')
    if ($text -cmatch '[\x00-\x1f]') {
        $text = [regex]::Replace($text, '[\x00-\x1f]', { param($found) '\u{0:x4}' -f [int][char]$found.Value })
    }
    return '"' + $text + '"'
}

# A lost connection must not end the script.
function _say([string]$text) {
    try { $Steps.Stream.Write($Steps.Mark + $text + "`n") } catch { $Steps.Status = 0 }
}

function _cap([string]$text) {
    if ($text.Length -le $Steps.Cap) { return $text }
    return $text.Substring(0, $Steps.Cap) + "`n... (truncated, $($text.Length - $Steps.Cap) characters more)`n"
}

function _begin([string]$name) {
    $Steps.Name = $name
    $Steps.Running = $true
    $Steps.Diff = $Steps.Message = $Steps.Output = $Steps.Asks = ''
    $Steps.Watch = [Diagnostics.Stopwatch]::StartNew()
    _say "{`"begin`":$(_json $name)}"
}

# _report STATUS: the line that ends a step.
function _report([string]$status) {
    $seconds = $Steps.Watch.Elapsed.TotalSeconds.ToString('0.000000', [Globalization.CultureInfo]::InvariantCulture)
    $line = "{`"step`":$(_json $Steps.Name),`"status`":`"$status`",`"seconds`":$seconds"
    foreach ($part in 'Diff', 'Message', 'Output') {
        if ($Steps[$part]) { $line += ",`"$($part.ToLowerInvariant())`":$(_json (_cap $Steps[$part]))" }
    }
    if ($Steps.Asks) { $line += ",`"asks`":`"$($Steps.Asks)`"" }
    $Steps.Told += 1
    $Steps.Running = $false
    _say "$line}"
}

function _fact([string]$name, [string]$value) {
    _say "{`"fact`":$(_json $name),`"value`":$(_json $value)}"
}

# Not `exit`, which would wait for whatever the bootstrap has left running beside the script.
function _end([int]$status) {
    _say "{`"end`":$($Steps.Told)}"
    if ($Steps.Locked) { $Steps.Lock.ReleaseMutex() }
    [Environment]::Exit($status)
}

function _fail([string]$message) {
    if ($message) { $Steps.Message = _and $Steps.Message $message }
    _report 'failed'
    _end 1
}

function _and([string]$one, [string]$other) {
    if ($one -and $other) { return "$one; $other" }
    return "$one$other"
}

# What went wrong, in the words of what went wrong first.
function _words($problem) {
    return $problem.Exception.GetBaseException().Message.Trim()
}

# _changed NAME: remember that a step changed, or would change, what NAME stands for (a path, a service).
function _changed([string]$name) { $Steps.Touched[$name] = $true }
function _was_changed([string]$name) { return $Steps.Touched.ContainsKey($name) }

function _look([string]$verb, [object[]]$words) {
    try {
        $seen = @(& "_${verb}_look" @words 3>$null 4>$null 5>$null 6>$null)[-1]
    } catch {
        $Steps.Message = _and $Steps.Message (_words $_)
        return 3
    }
    if ($seen -is [int]) { return $seen }
    $Steps.Message = "the look of $verb gave no answer"
    return 3
}

# Nothing that a change prints reaches the step lines: all streams end up here, the last part of them is kept.
function _do([string]$verb, [object[]]$words) {
    $text = [Text.StringBuilder]::new()
    $well = $true
    try {
        & "_${verb}_act" @words *>&1 | ForEach-Object { [void]$text.AppendLine([string]$_) }
    } catch {
        [void]$text.AppendLine((_words $_))
        $well = $false
    }
    $Steps.Captured = _last $text.ToString()
    return $well
}

# _last TEXT: the end of TEXT.
function _last([string]$text) {
    $text = $text.TrimEnd()
    $over = $text.Length - $Steps.Cap
    if ($over -le 0) { return $text }
    return "... (the first $over characters are left out)`n" + $text.Substring($over)
}

# _step NAME TOUCHES VERB WORDS: one whole step. TOUCHES is what a later restart_on may name, or empty.
function _step([string]$name, [string]$touches, [string]$verb, [object[]]$words) {
    _begin $name
    $seen = _look $verb $words
    if ($seen -eq 0) { _report 'ok'; return }
    if ($seen -gt 2 -or ($seen -eq 2 -and -not $Steps.DryRun)) { _fail }
    if ($touches) { _changed $touches }
    if ($Steps.DryRun) { _report 'would-change'; return }
    $diff = $Steps.Diff
    if (-not (_do $verb $words)) {
        $Steps.Output = $Steps.Captured
        $Steps.Diff = ''
        _fail 'the change failed'
    }
    $Steps.Diff = $Steps.Message = ''
    if ((_look $verb $words) -ne 0) {
        $Steps.Output = $Steps.Captured
        _fail 'still not as wanted after the change'
    }
    $Steps.Diff = $diff
    _report 'changed'
}

# _needs TOOL: for a look; throws nothing, and says by its answer whether the tool is there (yet).
function _needs([string]$tool) {
    if (Get-Command -Name $tool -ErrorAction SilentlyContinue) { return $true }
    $Steps.Message = "$tool is not installed"
    return $false
}

# One word as a program's own argument parser reads it: PowerShell's quoting loses quotes inside words.
function _argument([string]$word) {
    if ($word -and $word -notmatch '[\s"]') { return $word }
    return '"' + (($word -replace '(\\*)"', '$1$1\"') -replace '(\\+)\z', '$1$1') + '"'
}

# _run FILE WORDS [GOOD] [SECONDS]: run a program to its end without any input; what it printed comes back.
# Throws where its exit status is none of GOOD, which is left in $Steps.Status.
function _run([string]$file, [string[]]$words, [int[]]$good = @(0), [int]$seconds = 600) {
    $line = ($words | ForEach-Object { _argument $_ }) -join ' '
    $info = [Diagnostics.ProcessStartInfo]::new($file, $line)
    $info.UseShellExecute = $false
    $info.CreateNoWindow = $true
    $info.RedirectStandardInput = $info.RedirectStandardOutput = $info.RedirectStandardError = $true
    $info.StandardOutputEncoding = $info.StandardErrorEncoding = [Text.UTF8Encoding]::new($false)
    $process = [Diagnostics.Process]::Start($info)
    $process.StandardInput.Close()
    $out = $process.StandardOutput.ReadToEndAsync()
    $errors = $process.StandardError.ReadToEndAsync()
    if (-not $process.WaitForExit($seconds * 1000)) {
        $process.Kill()
        throw "$file did not end within $seconds s"
    }
    # A service that was started by it may keep its output open.
    [void][Threading.Tasks.Task]::WaitAll([Threading.Tasks.Task[]]@($out, $errors), 5000)
    $text = ''
    foreach ($read in $out, $errors) { if ($read.IsCompleted) { $text += $read.Result } }
    $Steps.Status = $process.ExitCode
    if ($good -notcontains $process.ExitCode) {
        throw "$file ended with exit status $($process.ExitCode): $(_last $text)"
    }
    return $text
}

# _difference OLD NEW OLD_LABEL NEW_LABEL: a unified diff with one hunk: all from the first line that differs to the
# last. A newline is the only end of a line.
function _difference([string]$old, [string]$new, [string]$old_label, [string]$new_label) {
    if ($old -ceq $new) { return '' }
    $before, $after = (_lines $old), (_lines $new)
    $first = 0
    $least = [Math]::Min($before.Count, $after.Count)
    while ($first -lt $least -and $before[$first] -ceq $after[$first]) { $first += 1 }
    $same = 0
    while ($same -lt ($least - $first) -and $before[$before.Count - 1 - $same] -ceq $after[$after.Count - 1 - $same]) {
        $same += 1
    }
    $from = [Math]::Max(0, $first - 3)
    $context = [Math]::Min(3, $same)
    $text = [Text.StringBuilder]::new("--- $old_label`n+++ $new_label`n")
    $spans = foreach ($side in $before, $after) {
        $count = $side.Count - $same + $context - $from
        $start = $from + 1
        if ($count -eq 0) { $start = $from }
        "$start,$count"
    }
    [void]$text.Append("@@ -$($spans[0]) +$($spans[1]) @@`n")
    for ($place = $from; $place -lt $first; $place++) { _mark $text ' ' $before[$place] }
    for ($place = $first; $place -lt $before.Count - $same; $place++) { _mark $text '-' $before[$place] }
    for ($place = $first; $place -lt $after.Count - $same; $place++) { _mark $text '+' $after[$place] }
    for ($place = $before.Count - $same; $place -lt $before.Count - $same + $context; $place++) {
        _mark $text ' ' $before[$place]
    }
    return $text.ToString()
}
# Lines with their newlines, so that a missing last one is a difference.
function _lines([string]$text) {
    $lines = @([regex]::Matches($text, '[^\n]*\n|[^\n]+') | ForEach-Object { $_.Value })
    return , $lines
}
function _mark($text, [string]$sign, [string]$line) {
    if ($line.EndsWith("`n")) { [void]$text.Append("$sign$line") }
    else { [void]$text.Append("$sign$line`n\ No newline at end of file`n") }
}

# _secret WORD: what WORD ("secret:NUMBER") stands for. Secrets come beside the script and not in its code, which
# Windows may keep in its event log: whoever runs the script has put them, as base64, into $StepsSecrets.
function _secret([string]$word) {
    $number = [int]$word.Substring('secret:'.Length)
    return [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($StepsSecrets[$number]))
}

function _mutex {
    $rules = [Security.AccessControl.MutexSecurity]::new()
    foreach ($who in 'S-1-5-18', 'S-1-5-32-544') {
        $sid = [Security.Principal.SecurityIdentifier]::new($who)
        $rules.AddAccessRule([Security.AccessControl.MutexAccessRule]::new($sid, 'FullControl', 'Allow'))
    }
    $made = $false
    return [Threading.Mutex]::new($false, $Steps.Mutex, [ref]$made, $rules)
}

# _take SECONDS: whether the lock is ours now. One that its holder's death left behind is.
function _take([double]$seconds) {
    try {
        $Steps.Locked = $Steps.Lock.WaitOne([TimeSpan]::FromSeconds($seconds))
    } catch {
        if ($_.Exception.GetBaseException() -isnot [Threading.AbandonedMutexException]) { throw }
        $Steps.Locked = $true
    }
    return $Steps.Locked
}

function _lock {
    $file = Join-Path $Steps.Folder 'owner'
    $owner = 'another script'
    $Steps.Lock = _mutex
    if (-not (_take 0)) {
        if ([IO.File]::Exists($file)) { $owner = [IO.File]::ReadAllText($file).Trim() }
        _begin "wait for $owner"
        if (-not (_take $Steps.Wait)) { _fail "after $($Steps.Wait) s $owner still runs on this host" }
        _report 'ok'
    }
    [void][IO.Directory]::CreateDirectory($Steps.Folder)
    [IO.File]::WriteAllText($file, $Steps.Owner + "`n")
}

function _elevated {
    $who = [Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()
    return $who.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)
}

# The step lines have a writer of their own; whatever else writes to the console goes nowhere.
function _open {
    $Steps.Stream = [IO.StreamWriter]::new([Console]::OpenStandardOutput(), [Text.UTF8Encoding]::new($false), 65536)
    $Steps.Stream.AutoFlush = $true
    $Steps.Stream.Write("`n")
    [Console]::SetOut([IO.TextWriter]::Null)
}

# steps_run: the last line of every script. Whatever was cut off before it has run nothing.
function steps_run {
    _open
    if (-not (_elevated)) {
        _begin 'privileges'
        _fail "this needs an administrator, and runs as $([Environment]::UserName)"
    }
    try {
        # A dry run writes nothing, so it takes no lock; what it sees may be in the middle of another run.
        if (-not $Steps.DryRun) { _lock }
        steps_body | Out-Null
    } catch {
        if (-not $Steps.Running) { _begin 'script' }
        _fail (_words $_)
    }
    _end 0
}
