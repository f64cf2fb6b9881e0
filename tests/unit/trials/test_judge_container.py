"""What every judge is told, whoever opens it."""

from __future__ import annotations

from runner.engine.containers import EngineInfo
from runner.tasks import load_task
from runner.trials.judge_container import judge_config
from runner.wire.start_config import JudgeConfig

MACHINE = EngineInfo("m", "29", cpus=8, memory_bytes=16 << 30, gpus=False)


def test_a_judge_scores_as_much_as_its_task_says() -> None:
    """Its threads are of the engine's machine; without a key it has no reference."""
    task = load_task("pystdlib")
    told = judge_config(task, MACHINE, 60.0)
    assert told == JudgeConfig(60.0, task.judged_tokens, task.estimate_tokens, told.threads, "")
    assert 1 <= told.threads <= MACHINE.cpus
    assert judge_config(task, MACHINE, 60.0, "cpu-0123").reference == "cpu-0123"
