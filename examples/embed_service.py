"""A service with a workflow runtime inside: its request handlers start runs, its nursery holds the workers.

    python examples/embed_service.py [--state FOLDER] [--port PORT] [--demo]

It listens on the loopback address and answers one line for every line a client sends:

    start ID TEXT   start a run that computes a digest of TEXT; asking again with that ID starts no second one
    state ID        say where the run stands
    wait ID         the same, once the run has ended

SIGINT or SIGTERM stops it when the running steps have ended. Runs that are still open go on when it is
started again with the same folder. With --demo it sends a few requests, and at last a SIGTERM, to itself.
"""

import argparse
import hashlib
import signal
from functools import partial
from pathlib import Path

import trio

from trio_workflow import (
    Config,
    Package,
    QueueConfig,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    WorkflowError,
    open_runtime,
)

LONGEST_LINE = 10_000
digests = Package("digests")


@digests.entrypoint
def start(run: RunBuilder, text: str) -> None:
    run.step("digest", text, kind="digests/sha256", queue="cpu")


# A plain `def` is executed in a thread: work that computes or blocks does not hold up the service.
@digests.executor("digests/sha256")
def digest(step: StepContext, text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def handle_client(rt: Runtime, client: trio.SocketStream) -> None:
    rest = b""
    try:
        async for chunk in client:
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                break
            for line in lines:
                reply = await answer(rt, line.decode(errors="replace"))
                await client.send_all(f"{reply}\n".encode())
    except trio.BrokenResourceError:
        pass  # the client has gone away; its runs have not


async def answer(rt: Runtime, line: str) -> str:
    try:
        match line.strip().split(maxsplit=2):
            case ["start", run_id, text]:
                # When this returns the run is stored: it survives whatever happens to this process.
                handle = await rt.start_run("digests", text, run_id=run_id, if_exists="return")
                return f"started {handle.id}"
            case ["state" | "wait" as request, run_id]:
                run = await (rt.wait(run_id) if request == "wait" else rt.workflow(run_id))
                result = await rt.result(run_id, "digest")
                return f"{run.status if run else 'unknown'} {result.data if result else ''}"
            case _:
                return "error: send 'start ID TEXT', 'state ID' or 'wait ID'"
    except (WorkflowError, ValueError) as error:  # a mistake of the client's, not of the service
        return f"error: {error}"


async def serve(folder: Path, port: int, demo: bool) -> None:
    config = Config(
        store=SQLiteStore(folder / "engine.db"), max_workers=4, queues={"cpu": QueueConfig(max_workers=4)}
    )
    async with open_runtime(config) as rt, trio.open_nursery() as nursery:
        rt.register_package(digests)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await nursery.start(rt.start_workers)
            serve_clients = partial(trio.serve_tcp, partial(handle_client, rt), port, host="127.0.0.1")
            [listener] = await nursery.start(serve_clients)
            port = listener.socket.getsockname()[1]
            print(f"listening on port {port}", flush=True)
            if demo:
                nursery.start_soon(send_requests, port)
            await anext(signals)
        print("draining", flush=True)  # from here on a second signal ends the process at once
        await rt.drain()
        nursery.cancel_scope.cancel()


async def send_requests(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as client:
        for request in ("start a hello", "start a hello", "start a other", "wait a", "state b", "stop"):
            await client.send_all(f"{request}\n".encode())
            reply = await client.receive_some()
            print(f"{request:14} -> {reply.decode().strip()}", flush=True)
    signal.raise_signal(signal.SIGTERM)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--state", type=Path, default=Path("var/service"), metavar="FOLDER")
    parser.add_argument("--port", type=int, default=0, help="0, the default: one that is free")
    parser.add_argument("--demo", action="store_true")
    args = parser.parse_args()
    trio.run(serve, args.state, args.port, args.demo)
