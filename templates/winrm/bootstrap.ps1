# Receives one script and runs it. The command line that starts PowerShell is limited to 8,191 characters, so
# the script itself comes on standard input: "#go-WORD SECONDS", a line "#secret BASE64" for each of its secrets,
# lines of base64 of its UTF-8 text, "#end-WORD".
# Base64, because the encoding in which PowerShell reads its input hangs on the host's settings. Comments and
# indentation stay here; the rest goes to the host as -EncodedCommand.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$received = @($input)
$go = [regex]::Match([string]$received[0], '^#go-([0-9a-f]{32}) ([0-9]{1,6})$')
# A line that was cut while sending ends here: nothing has run.
if (-not $go.Success -or $received.Count -lt 3 -or $received[-1] -cne ('#end-' + $go.Groups[1].Value)) { exit 97 }
$encoding = New-Object System.Text.UTF8Encoding $false
[Console]::OutputEncoding = $encoding
$OutputEncoding = $encoding
$lines = @($received[1..($received.Count - 2)])
# Windows may write scripts to its event log, so secrets stay beside the script, which knows them by their numbers.
$StepsSecrets = @(($lines -like '#secret *') -replace '^#secret ')
try {
    $bytes = [Convert]::FromBase64String(-join ($lines -notlike '#secret *'))
    # All of it is parsed before any of it runs.
    $body = [ScriptBlock]::Create($encoding.GetString($bytes))
} catch {
    [Console]::Error.WriteLine('The script cannot be read: ' + $_)
    exit 2
}
# The deadline holds here too, for when nobody is connected any more.
$watch = [PowerShell]::Create().AddScript('param($s) Start-Sleep -Seconds $s; [Environment]::Exit(124)')
$null = $watch.AddArgument([int]$go.Groups[2].Value).BeginInvoke()
$received = $lines = $bytes = $null
try {
    & $body
} catch {
    [Console]::Error.WriteLine(($_ | Out-String))
    [Environment]::Exit(1)
}
# Not `exit`, which would wait for the thread that watches the deadline.
[Environment]::Exit(0)
