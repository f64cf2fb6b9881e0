"""Runs inside a trial in train.py's place: a trainer's text, with a clock on what it does.

A peer is a single-file trainer for CUDA: it gets this task's batches and measure under the names
that it imports, and torch's own attention for its kernels; on a CPU its calls to CUDA do nothing
and its compiling is off.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GIVEN: dict[str, Any] = {}  # trial.py puts text, peer and seed here
SPENT = dict.fromkeys(("loading", "evaluation", "estimates", "cpu", "tokens", "untimed"), 0.0)
FIRST_BATCH: list[float] = []
UNTIMED_STEPS = 11  # while a GPU compiles, with both


def since_process_start() -> float:
    """Seconds since this process was made, imports included."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def timed_batches(batches: Any) -> Any:
    """`prepare.batches` with a clock on each batch; a peer's last batch comes and is not used."""

    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        FIRST_BATCH.append(since_process_start())
        SPENT["cpu"] -= time.process_time()
        loader, unused = batches(*args, **kwargs), GIVEN["peer"]
        while True:
            began = time.perf_counter()
            batch = next(loader)
            SPENT["loading"] += time.perf_counter() - began
            SPENT["tokens"] += 0 if unused else batch[0].numel()
            unused = False
            yield batch

    return wrapped


def timed_evaluation(evaluate: Any, purpose: str) -> Any:
    """`prepare.evaluate_bpb` or `prepare.estimate_bpb` with a clock."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        began, cpu_began = time.perf_counter(), time.process_time()
        result = evaluate(*args, **kwargs)
        SPENT[purpose] += time.perf_counter() - began
        SPENT["cpu"] -= time.process_time() - cpu_began
        return result

    return wrapped


def stand_in(prepare: Any, device: Any) -> None:
    """Puts this task under the names that a peer imports from its own prepare and kernels."""
    task = prepare.load_task()
    module = types.ModuleType("prepare")
    tokenizer = types.SimpleNamespace(get_vocab_size=lambda: task.vocabulary)
    module.__dict__.update(
        MAX_SEQ_LEN=task.sequence_tokens,
        TIME_BUDGET=prepare.train_seconds(task),
        Tokenizer=types.SimpleNamespace(from_directory=lambda: tokenizer),
        make_dataloader=lambda _tokenizer, rows, _tokens, _split: prepare.batches(
            task, rows, device
        ),
        evaluate_bpb=lambda model, _tokenizer, rows: prepare.evaluate_bpb(
            model, task, rows, device
        ),
    )
    kernels = types.ModuleType("kernels")
    flash = types.SimpleNamespace(flash_attn_func=attention)
    kernels.__dict__["get_kernel"] = lambda _name: types.SimpleNamespace(flash_attn_interface=flash)
    sys.modules.update(prepare=module, kernels=kernels)


def attention(q: Any, k: Any, v: Any, causal: bool, window_size: tuple[int, int]) -> Any:
    """The kernels' attention by torch's own; q, k and v [B, T, H, D], and always causal.

    On CUDA it is FlashAttention 2 with a window, where the peer was published with 3.
    """
    import torch

    tokens, back = q.size(1), window_size[0]
    if q.is_cuda:
        flash = torch.ops.aten._flash_attention_forward
        window = {"window_size_left": back, "window_size_right": 0} if back < tokens else {}
        mixed, *_ = flash(q, k, v, None, None, tokens, tokens, 0.0, causal, False, **window)
        return mixed
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    place = torch.arange(tokens, device=q.device)
    behind = place[:, None] - place[None, :]
    mask = (behind >= 0) & (behind <= back)
    attend = torch.nn.functional.scaled_dot_product_attention
    mixed = attend(q, k, v, is_causal=causal) if back >= tokens else attend(q, k, v, attn_mask=mask)
    return mixed.transpose(1, 2)


def without_cuda() -> None:
    """Makes a peer's calls to CUDA do nothing, and its compiling as well."""
    import torch

    def as_it_is(function: Any = None, **_options: Any) -> Any:
        return function or (lambda decorated: decorated)

    torch.compile = as_it_is
    for name, result in (
        ("manual_seed", None), ("synchronize", None), ("max_memory_allocated", 0),
        ("get_device_capability", (9, 0)),
    ):  # fmt: skip
        setattr(torch.cuda, name, lambda *_args, _result=result, **_kwargs: _result)


def norm_in_the_type_of_its_input() -> None:
    """Keeps autocast from running a peer's norm in float32, as newer versions of torch do on CUDA.

    The peer was published for a torch that left the norm in bf16; so does ours.
    """
    import torch

    functional = torch.nn.functional
    norm = functional.rms_norm

    def rms_norm(x: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.autocast(x.device.type, enabled=False):
            return norm(x, *args, **kwargs)

    functional.rms_norm = rms_norm


def main() -> None:
    """Runs the text and says where its time went."""
    if GIVEN["seed"] is not None:
        os.environ["BAKEOFF_SEED"] = str(GIVEN["seed"])
    import prepare  # type: ignore[import-not-found]
    from device import find_device  # type: ignore[import-not-found]

    prepare.batches = timed_batches(prepare.batches)
    prepare.evaluate_bpb = timed_evaluation(prepare.evaluate_bpb, "evaluation")
    prepare.estimate_bpb = timed_evaluation(prepare.estimate_bpb, "estimates")
    text, device = GIVEN["text"], find_device()
    SPENT["untimed"] = UNTIMED_STEPS if device.compiles else 0
    if GIVEN["peer"]:
        stand_in(prepare, device.torch)
        norm_in_the_type_of_its_input()
        if device.torch.type == "cpu":
            without_cuda()
            text = text.replace('"cuda"', '"cpu"')
            # Its first eleven steps compile and are not timed. Here nothing compiles: count them.
            text = text.replace("step > 10", "step >= 0")
    exec(compile(text, "train.py", "exec"), {"__name__": "__main__"})
    SPENT["cpu"] += time.process_time()  # what training alone took of all cores
    spent = " ".join(f"{name}={seconds:.3f}" for name, seconds in SPENT.items())
    print(f"bench: startup={FIRST_BATCH[0]:.3f} {spent} whole={since_process_start():.3f}")


if __name__ == "__main__":
    main()
