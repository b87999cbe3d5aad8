# Verbs for downloads: a file with a SHA-256, and what is in an archive. Both tools are part of Windows.

function _sha256([string]$path) {
    return (Get-FileHash -LiteralPath $path -Algorithm SHA256).Hash.ToLowerInvariant()
}

# artifact PATH SHA256 URL...: the file is there and has this SHA-256; the addresses are tried one after the other. One
# that is a secret ("secret:NUMBER") is of the machine that runs this, and of it only machine and port are told.
function artifact { _step "artifact $($args[0])" $args[0] 'artifact' $args }
function _artifact_look([string]$path, [string]$sha256) {
    if (-not [IO.File]::Exists($path)) {
        $Steps.Diff = "-$path (missing)`n+$path sha256 $sha256`n"
        return 1
    }
    $seen = _sha256 $path
    if ($seen -eq $sha256) { return 0 }
    $Steps.Diff = "-$path sha256 $seen`n+$path sha256 $sha256`n"
    return 1
}
function _artifact_act([string]$path, [string]$sha256) {
    $part = "$path.part"
    [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
    $problems = foreach ($url in $args) {
        try {
            if ($url -like 'secret:*') {
                $address = [Uri](_secret $url)
                $url = $address.GetLeftPart([UriPartial]::Authority)
                _fetch $address $part
            } else {
                _curl $url $part
            }
            $seen = _sha256 $part
            if ($seen -eq $sha256) {
                _place $part $path
                return
            }
            "${url}: sha256 $seen, not $sha256"
        } catch {
            "${url}: $(_words $_)"
        }
    }
    if ([IO.File]::Exists($part)) { [IO.File]::Delete($part) }
    throw (@($problems) -join "`n")
}
# Windows' curl asks whether a certificate was revoked, and takes no answer for a yes: an authority of one's own often
# serves no list, and a proxy may let nothing through to the one that does. What is downloaded has its SHA-256 to prove it.
function _curl([string]$url, [string]$file) {
    $words = @('-fsSL', '--ssl-no-revoke', '--retry', '3', '--connect-timeout', '20', '-o', $file, $url)
    [void](_run 'curl.exe' $words -seconds 1800)
}
# No program's command line shows the address, and no proxy is asked: the machine that runs this is near.
function _fetch([Uri]$address, [string]$file) {
    $request = [Net.WebRequest]::Create($address)
    $request.Proxy = $null
    # Other hosts may be served first. A machine that is not reached at all is told of after some 20 s.
    $request.Timeout = 1800000
    $request.ReadWriteTimeout = 120000
    $answer = $request.GetResponse()
    try {
        $stream = [IO.File]::Create($file)
        try { $answer.GetResponseStream().CopyTo($stream) } finally { $stream.Dispose() }
    } finally {
        $answer.Dispose()
    }
}
# A program that runs cannot be overwritten, but it can be renamed. What is new is so by its time, too.
function _place([string]$part, [string]$path) {
    [IO.File]::SetLastWriteTimeUtc($part, [DateTime]::UtcNow)
    if ([IO.File]::Exists($path)) {
        Get-ChildItem -Path "$path.old-*" | Remove-Item -Force -ErrorAction SilentlyContinue
        [IO.File]::Move($path, "$path.old-$([Guid]::NewGuid().ToString('N'))")
    }
    [IO.File]::Move($part, $path)
}

# archive PATH SHA256 FOLDER MEMBER...: these members, paths in the archive, are in FOLDER under their last names. Which
# archive they came from, and what they were, is noted beside them.
function archive { _step "archive $([IO.Path]::GetFileName($args[0]))" $args[2] 'archive' $args }
function _archive_note([string]$path, [string]$folder) {
    return Join-Path $folder ".$([IO.Path]::GetFileName($path)).unpacked"
}
function _archive_lines([string]$sha256, [string]$folder, [string[]]$members) {
    $lines = foreach ($member in $members) {
        $file = Join-Path $folder ([IO.Path]::GetFileName($member))
        if ([IO.File]::Exists($file)) { "$member $(_sha256 $file)" } else { "$member (missing)" }
    }
    return (@($sha256) + @($lines)) -join "`n"
}
function _archive_look([string]$path, [string]$sha256, [string]$folder) {
    $note = _archive_note $path $folder
    $seen = '(nothing)'
    if ([IO.File]::Exists($note)) { $seen = [IO.File]::ReadAllText($note) }
    $now = _archive_lines $sha256 $folder $args
    if ($seen -ceq $now) { return 0 }
    $Steps.Diff = "+$folder from $([IO.Path]::GetFileName($path)): $($args -join ' ')`n"
    return 1
}
function _archive_act([string]$path, [string]$sha256, [string]$folder) {
    $seen = _sha256 $path
    if ($seen -ne $sha256) { throw "$path has sha256 $seen, not $sha256" }
    $part = Join-Path $folder '.unpacking'
    if ([IO.Directory]::Exists($part)) { Remove-Item -LiteralPath $part -Recurse -Force }
    [void][IO.Directory]::CreateDirectory($part)
    [void](_run 'tar.exe' (@('-xf', $path, '-C', $part) + $args))
    foreach ($member in $args) {
        _place (Join-Path $part $member) (Join-Path $folder ([IO.Path]::GetFileName($member)))
    }
    Remove-Item -LiteralPath $part -Recurse -Force
    _write (_archive_note $path $folder) (_bytes (_archive_lines $sha256 $folder $args)) $false
}
