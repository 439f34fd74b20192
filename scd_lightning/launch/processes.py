"""The processes of a job on this machine, one a device: started as torchrun would, told of signals, ended together.

Torchrun itself is left out. It costs a process and the seconds of its start, answers signals in its own way, and
buries a process's error under its own report.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from torch.distributed import TCPStore

from scd_lightning.errors import PREEMPTED
from scd_lightning.launch import network

# Seconds from the first process that failed until the others are told to end: the time to write their own errors.
_GRACE = 5.0
# Seconds from the first process that ended at a signal: the others are saving, or wait for one that is gone.
_GRACE_OF_SIGNALS = 60.0
# Seconds from being told to end until a process is killed.
_LAST = 10.0
# Seconds between two signals: a process that is just starting may have missed one.
_REPEAT = 1.0


class Processes:
    """Starts the processes of a job.

    Args:
        command: What each runs.
        count: How many.
        environment: Their environment; what tells them apart is added.
        signals: The signals that they will handle, besides SIGTERM; until then these don't end them.
        preempted: The exit code of a process that a signal has ended in good order.
        patience: Seconds for which the last ones may go on where others are done.

    Attributes:
        left: Those that did not end when the others did, and were ended here.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        environment: Mapping[str, str],
        signals: Sequence[int] = (),
        preempted: int = PREEMPTED,
        patience: float = float("inf"),
    ) -> None:
        # Where they find one another. It is this process's, so that no port has to be free a second time.
        meeting = network.listening_socket()
        host, port = meeting.getsockname()
        self._meeting = TCPStore(host, port, is_master=True, wait_for_workers=False, master_listen_fd=meeting.detach())
        self._preempted, self._patience = preempted, patience
        self._told: list[int] = []
        self._told_at = self._failed_at = self._ended_at = self._done_at = self._ending_at = float("inf")
        self.left: list[int] = []
        common = dict(environment) | {
            "MASTER_ADDR": host,
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "scd",
            "TORCHELASTIC_USE_AGENT_STORE": "True",
            "TORCHELASTIC_RESTART_COUNT": "0",
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "GROUP_RANK": "0",
        }

        def prepare() -> None:
            _end_with_parent()
            for number in signals:
                signal.signal(number, signal.SIG_DFL if number == signal.SIGHUP else signal.SIG_IGN)
            # SIGHUP that is ignored from the start stays so, as nohup has it: this one waits until it is handled.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP}.intersection(signals))

        self._all: list[subprocess.Popen[bytes]] = []
        try:
            for rank in map(str, range(count)):
                # A session of its own: Ctrl-C goes to the parent alone, which hands it on.
                own = common | {"RANK": rank, "LOCAL_RANK": rank}
                self._all.append(subprocess.Popen(command, env=own, preexec_fn=prepare, start_new_session=True))
        except BaseException:
            self.kill()
            raise

    def alive(self) -> bool:
        """Whether any is running. Those that stay behind others which failed or were ended are ended too."""
        now, codes = time.monotonic(), self.exit_codes()
        if any(code not in (None, 0, self._preempted) for code in codes):
            self._failed_at = min(now, self._failed_at)
        if self._preempted in codes:
            self._ended_at = min(now, self._ended_at)
        if 0 in codes:
            self._done_at = min(now, self._done_at)
        ends = (self._failed_at + _GRACE, self._ended_at + _GRACE_OF_SIGNALS, self._done_at + self._patience)
        if now > min(ends):
            self._end(now)
        return None in codes

    def exit_codes(self) -> list[int | None]:
        """The exit code of each, None of one that is running, and the negative number of a signal that killed it."""
        return [process.poll() for process in self._all]

    def tell(self, number: int) -> None:
        """Sends them a signal, and again each second if called that often; Ctrl-C only once."""
        now = time.monotonic()
        if number in self._told and (number == signal.SIGINT or now - self._told_at < _REPEAT):
            return
        self._told, self._told_at = [*self._told, number], now
        for process in self._all:
            process.send_signal(number)

    def kill(self) -> None:
        """Ends them and what they have started, without delay."""
        self._send_to_groups(signal.SIGKILL)
        for process in self._all:
            process.wait()

    def _end(self, now: float) -> None:
        if self._ending_at == float("inf"):
            self._ending_at = now
            self.left = [rank for rank, code in enumerate(self.exit_codes()) if code is None]
            self._send_to_groups(signal.SIGTERM)
        elif now > self._ending_at + _LAST:
            self.kill()

    def _send_to_groups(self, number: int) -> None:
        for process in self._all:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)


def _end_with_parent() -> None:
    """Has Linux end a process when its parent is killed: the locks of what it makes die with that."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
