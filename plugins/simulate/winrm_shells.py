"""The shells of one simulated Windows host, and the commands that run in them, within the quotas of a real one."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass, field
from uuid import UUID, uuid4
from xml.sax.saxutils import escape

from plugins.simulate.drive import Drive
from plugins.simulate.host import SimulatedHost
from plugins.simulate.winrm_session import Interpreter, session
from plugins.simulate.winrm_soap import CMD, SHELL, FaultError, Request, answer, attribute, schema

CLIXML = (
    '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
    '<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T><T>System.Object</T>'
    '</TN><MS><I64 N="SourceId">1</I64><PR N="Record"><AV>Preparing modules for first use.</AV><AI>0</AI><Nil />'
    "<PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR><SD> </SD></PR></MS></Obj>{errors}</Objs>"
)
_SPARE = 3000  # bytes of an envelope around its output
_DONE, _RUNNING = (f"{SHELL}/CommandState/{state}" for state in ("Done", "Running"))
_TERMINATE = f"{SHELL}/signal/terminate"


@dataclass(frozen=True)
class Quotas:
    """What a user may have, as `winrm get winrm/config` shows it on a new host."""

    envelope: int = 500 * 1024
    timeout: float = 60.0
    shells: int = 30
    processes: int = 25
    operations: int = 1500


class Command:
    """One command: a wire for its Drive, kept until it is signalled."""

    def __init__(self, host: SimulatedHost, *, as_xml: bool) -> None:
        self.id = str(uuid4()).upper()
        self.output, self.errors = bytearray(), bytearray()
        self.status: int | None = None
        self.ended = False
        self.drive: Drive | None = None
        self.changed = asyncio.Event()
        self._host, self._as_xml = host, as_xml

    def say(self, data: bytes) -> None:
        """Wire."""
        self.output += data
        self.changed.set()

    def complain(self, data: bytes) -> None:
        """Wire: PowerShell writes errors as XML to whoever did not ask for text."""
        self.errors += _as_xml(data) if self._as_xml else data
        self.changed.set()

    def finish(self, status: int) -> None:
        """Wire."""
        self.status = status
        self.changed.set()

    def drop(self) -> None:
        """Wire: a cut line is that of the whole host."""
        self._host.drop_connections()

    def end(self) -> None:
        """End it for good; whoever waits for its output hears of it."""
        if self.drive is not None:
            self.drive.kill()
        self.ended = True
        self.changed.set()


def _as_xml(data: bytes) -> bytes:
    text = data.decode(errors="replace").replace("_", "_x005F_").replace("\r\n", "\n").replace("\n", "_x000D__x000A_")
    return CLIXML.format(errors=f'<S S="Error">{escape(text)}</S>').encode()


@dataclass
class Shell:
    """One shell of a user; `operations` never counts down, as on a real host."""

    user: str
    id: str = field(default_factory=lambda: str(uuid4()).upper())
    commands: dict[str, Command] = field(default_factory=dict)
    operations: int = 0

    def end(self) -> None:
        """End all that runs in it."""
        for command in self.commands.values():
            command.end()


class Shells:
    """Answers the requests of one host."""

    def __init__(self, host: SimulatedHost, interpret: Interpreter, quotas: Quotas) -> None:
        self._host, self._interpret, self.quotas = host, interpret, quotas
        self._shells: dict[str, Shell] = {}
        self._boot = host.state.boot_id

    async def answer(self, user: str, request: Request) -> bytes:
        """Carry out one request; raises FaultError."""
        if self._boot != self._host.state.boot_id:  # nothing of before lives
            self._shells.clear()
            self._boot = self._host.state.boot_id
        match request.action:
            case "Create":
                return self._create(user, request)
            case "Delete":
                shell = self._shell(user, request)
                del self._shells[shell.id]
                shell.end()
                return answer(request, "")
            case "Command":
                return self._command(self._shell(user, request), request)
            case "Send":
                return self._send(self._shell(user, request), request)
            case "Receive":
                return await self._receive(self._shell(user, request), request)
            case _:
                return self._signal(self._shell(user, request), request)

    def _shell(self, user: str, request: Request) -> Shell:
        found = self._shells.get(request.shell_id)
        if found is None or found.user != user:
            reason = (
                f"The request for the Windows Remote Shell with ShellId {request.shell_id} failed because the shell "
                "was not found on the server. Possible causes are: the specified ShellId is incorrect or the shell no "
                "longer exists on the server."
            )
            raise FaultError("w:InvalidSelectors", 2150858843, reason)
        return found

    def _exhausted(self, which: str, most: int, used: int) -> bool:
        name = self._host.name
        faults = self._host.world.faults.of(name, ("quota",))
        return used >= most or any(each.text("of", "shells") == which and each.strikes(name) for each in faults)

    def _create(self, user: str, request: Request) -> bytes:
        streams = (request.find("InputStreams").text, request.find("OutputStreams").text)
        if streams != ("stdin", "stdout stderr"):
            raise schema(f"streams {streams}")
        if not request.options.get("WINRS_CODEPAGE", "437").isdigit():
            raise schema("WINRS_CODEPAGE")
        own = [shell for shell in self._shells.values() if shell.user == user]
        if self._exhausted("shells", self.quotas.shells, len(own)):
            raise _quota(2150859173, f"maximum number of {self.quotas.shells} concurrent shells", "shells")
        shell = Shell(user)
        self._shells[shell.id] = shell
        selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
        parameters = f"<a:ReferenceParameters><w:ResourceURI>{CMD}</w:ResourceURI>{selector}</a:ReferenceParameters>"
        return answer(request, f"<x:ResourceCreated><a:Address>{CMD}</a:Address>{parameters}</x:ResourceCreated>")

    def _command(self, shell: Shell, request: Request) -> bytes:
        if self._exhausted("operations", self.quotas.operations, shell.operations):
            raise _quota(2150859174, f"maximum number of {self.quotas.operations} concurrent operations", "operations")
        if self._exhausted("processes", self.quotas.processes, len(shell.commands)):
            reason = "The maximum number of concurrent commands per shell has been exceeded."
            raise FaultError(
                "w:InternalError", 2150859241, f"The WS-Management service cannot process the request. {reason}"
            )
        shell.operations += 1
        words = request.body.iterfind(f".//{{{SHELL}}}CommandLine/*")
        line = " ".join(each.text or "" for each in words)
        if not line.strip():
            raise schema("CommandLine is empty")
        command = Command(self._host, as_xml=self._host.strike(("clixml",)) is not None)
        shell.commands[command.id] = command
        command.drive = Drive(self._host, session(self._host, line, self._interpret), command)
        if request.options.get("WINRS_CONSOLEMODE_STDIN", "TRUE") != "FALSE":
            command.complain(b"simulated host: a console's input has no end: use WINRS_CONSOLEMODE_STDIN=FALSE\r\n")
            command.drive.input.end()
        return answer(
            request, f"<rsp:CommandResponse><rsp:CommandId>{command.id}</rsp:CommandId></rsp:CommandResponse>"
        )

    def _send(self, shell: Shell, request: Request) -> bytes:
        stream = request.find("Stream")
        command = self._known(shell, stream.get("CommandId", ""))
        if stream.get("Name") != "stdin":
            raise schema(f"Stream Name {stream.get('Name')}")
        try:
            data = base64.b64decode((stream.text or "").strip(), validate=True)
        except binascii.Error:
            raise schema("a Stream holds base64") from None
        drive = command.drive
        if drive is None or command.status is not None:
            raise FaultError("w:InternalError", 232, "The pipe is being closed.", code="s:Receiver")
        if self._host.strike(("cut-sending",)):
            drive.input.feed(data[: len(data) // 2])
            drive.input.end()
            self._host.drop_connections()
            raise FaultError("w:InternalError", 995, "The I/O operation has been aborted.", code="s:Receiver")
        drive.input.feed(data)
        if stream.get("End") == "true":
            drive.input.end()
        return answer(request, "<rsp:SendResponse/>")

    async def _receive(self, shell: Shell, request: Request) -> bytes:
        wanted = request.find("DesiredStream")
        command = self._known(shell, wanted.get("CommandId", ""))
        if set((wanted.text or "").split()) != {"stdout", "stderr"}:
            raise schema(f"DesiredStream {wanted.text}")
        try:
            async with asyncio.timeout(min(request.timeout, self.quotas.timeout)):
                while not (command.output or command.errors or command.ended) and command.status is None:
                    command.changed.clear()
                    await command.changed.wait()
        except TimeoutError:
            reason = (
                "The WS-Management service cannot complete the operation within the time specified in OperationTimeout."
            )
            raise FaultError("w:TimedOut", 2150858793, reason, code="s:Receiver") from None
        if command.ended:
            reason = "The I/O operation has been aborted because of either a thread exit or an application request."
            raise FaultError("w:InternalError", 995, reason, code="s:Receiver")
        return answer(request, f"<rsp:ReceiveResponse>{_taken(command, request.largest)}</rsp:ReceiveResponse>")

    def _signal(self, shell: Shell, request: Request) -> bytes:
        signal = request.find("Signal")
        command = self._known(shell, signal.get("CommandId", ""))
        if request.find("Code").text != _TERMINATE:
            raise schema(f"signal {request.find('Code').text}")
        del shell.commands[command.id]
        command.end()
        return answer(request, "<rsp:SignalResponse/>")

    @staticmethod
    def _known(shell: Shell, command_id: str) -> Command:
        try:
            UUID(command_id)
        except ValueError:
            raise schema(f"CommandId {command_id}") from None
        if command_id not in shell.commands:
            reason = f"The WS-Management service cannot process the request. The command {command_id} is not known."
            raise FaultError("w:InvalidSelectors", 2150858843, reason)
        return shell.commands[command_id]


def _quota(number: int, what: str, name: str) -> FaultError:
    reason = (
        f"The WS-Management service cannot process the request. This user is allowed a {what}, which has been "
        f"exceeded. Close existing {name} or raise the quota for this user."
    )
    return FaultError("w:QuotaLimit", number, reason)


def _taken(command: Command, largest: int) -> str:
    """Take what fits into one envelope out of the command's output, and say how it is doing."""
    room, parts = (largest - _SPARE) * 3 // 4, []
    where = f"CommandId={attribute(command.id)}"
    for name, data in (("stdout", command.output), ("stderr", command.errors)):
        if piece := bytes(data[:room]):
            del data[:room]
            room -= len(piece)
            parts.append(f'<rsp:Stream Name="{name}" {where}>{base64.b64encode(piece).decode()}</rsp:Stream>')
    if command.status is None or command.output or command.errors:
        return "".join([*parts, f'<rsp:CommandState {where} State="{_RUNNING}"/>'])
    ends = [f'<rsp:Stream Name="{name}" {where} End="true"></rsp:Stream>' for name in ("stdout", "stderr")]
    state = (
        f'<rsp:CommandState {where} State="{_DONE}"><rsp:ExitCode>{command.status}</rsp:ExitCode></rsp:CommandState>'
    )
    return "".join([*parts, *ends, state])
