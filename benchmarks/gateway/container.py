"""How long the gateway's container takes to start."""

from __future__ import annotations

import statistics
import time
import uuid

from runner.configs import as_config
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec, Mount
from runner.wire.messages import MESSAGES, Ready, Start, Started
from runner.wire.protocol import decode, encode
from runner.wire.start_config import GatewayConfig

STARTS = 7
IMAGE = "bakeoff/gateway:0.1.0"
CONFIG = GatewayConfig(
    provider="anthropic",
    base_url="http://127.0.0.1:9",
    api_key="sk-benchmark",
    token="token-of-the-benchmark",
    models=("claude-opus-4-6",),
    deadline_seconds=60,
)


def start_seconds() -> dict[str, float]:
    """Median seconds from the engine's start to `ready` and to `started`; {} without the image."""
    engine = Engine.connect()
    try:
        if engine.image_labels(IMAGE) is None:
            return {}
        runs = [_one(engine) for _ in range(STARTS)]
    finally:
        engine.close()
    ready, started = zip(*runs, strict=True)
    return {
        "starts": STARTS,
        "ready": statistics.median(ready),
        "started": statistics.median(started),
    }


def _one(engine: Engine) -> tuple[float, float]:
    run_id = f"bench-{uuid.uuid4().hex[:8]}"
    volumes = {f"bakeoff-{run_id}-gateway": "/run/gateway", f"bakeoff-{run_id}-state": "/state"}
    for volume in volumes:
        engine.create_volume(volume, run_id=run_id)
    container = engine.create(
        ContainerSpec(
            name=f"bakeoff-{run_id}-gateway",
            image=IMAGE,
            run_id=run_id,
            role="gateway",
            mounts=tuple(Mount(volume, target) for volume, target in volumes.items()),
            tmpfs={"/tmp": 16 << 20},
            memory_bytes=256 << 20,
            cpus=2.0,
        )
    )
    try:
        return _timed(engine, container)
    finally:
        engine.remove(container)
        for volume in volumes:
            engine.remove_volume(volume)


def _timed(engine: Engine, container: str) -> tuple[float, float]:
    channel = engine.attach(container)
    began = time.perf_counter()
    engine.start(container)
    ready = 0.0
    try:
        for is_stdout, line in channel.lines():
            message = decode(line, MESSAGES) if is_stdout else None
            if isinstance(message, Ready):
                ready = time.perf_counter() - began
                channel.send(encode(Start(as_config(CONFIG))))
            elif isinstance(message, Started):
                return ready, time.perf_counter() - began
    finally:
        channel.close()
    raise SystemExit(
        "error: starting the gateway's container: it ended before `started`; see its log"
    )
