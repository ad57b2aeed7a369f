"""The helper of `restar review`: an agent that makes proxies, and leaves when its standard input ends.

So it never outlives the room, however that ends: the kernel closes the pipe of a process that is killed.
It is started by `cli.review`, and is no command of its own: `restar agent --kinds proxy` is that.
"""

import os
import signal
import sys
import threading

__all__ = ["main"]

_GRACE_S = 5.0


def main() -> None:
    """Make proxies until standard input ends or a signal comes."""
    os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the room's; it closes the pipe
    threading.Thread(target=_leave_at_end_of_input, daemon=True).start()

    import psutil

    from catalog.base import JobKind
    from cli.console import open_house_here
    from flows.agent import AgentOptions, run_agent
    from tasks.device import Device

    options = AgentOptions(kinds=(JobKind.PROXY,), idle_s=float("inf"), grace_s=_GRACE_S)
    with open_house_here() as house:
        run_agent(house, options, Device("", psutil.virtual_memory().total, ()))


def _leave_at_end_of_input() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from restar.errors import RestarError

    try:
        main()
    except RestarError as error:
        print(f"restar: the room's helper for proxies left: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
