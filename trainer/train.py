"""Trains a small GPT for a fixed time and has it scored. This is the file to edit.

Usage: `trial` in a contestant's workspace; `python judge.py run --data FOLDER -- python train.py`
where torch and the data are. Anything here may change: the knobs, the model, the optimiser, the
schedule, the loop. What must stay is one call of `evaluate_bpb`, which gets the model's logits and
gives the score, and the closing block that `main` prints.

Letters in shapes: B sequences, T tokens, H heads, D channels of a head, C = H·D channels of the
model, V tokens of the vocabulary.
"""

from __future__ import annotations

import gc
import math
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from catalog import Task
from device import Device, find_device, synchronize
from fused import mean_loss, norm, squared_relu
from prepare import (
    batches,
    estimate_bpb,
    estimate_shares,
    evaluate_bpb,
    load_task,
    train_seconds,
)
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

# --- knobs ---------------------------------------------------------------------------------------

DEPTH = 8  # transformer layers
ASPECT_RATIO = 64  # model width C = DEPTH * ASPECT_RATIO, rounded up to a multiple of HEAD_DIM
HEAD_DIM = 128  # channels of an attention head
WINDOW_PATTERN = "SSSL"  # attention of layer after layer: L whole context, S half; the last is L
ROPE_BASE = 10_000.0  # longest wavelength of the rotary position encoding, about
TOTAL_BATCH_SIZE = 2**19  # tokens an optimiser step
DEVICE_BATCH_SIZE = 128  # sequences a forward pass; the rest is accumulated
EMBEDDING_LR = 0.6  # token and value embeddings (AdamW)
UNEMBEDDING_LR = 0.004  # the head (AdamW)
MATRIX_LR = 0.04  # matrices of the blocks (Muon)
SCALAR_LR = 0.5  # x0 lambdas (AdamW); residual lambdas get a hundredth of it
WEIGHT_DECAY = 0.2  # cautious, on matrices, falling to 0
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0  # share of the budget in which learning rates rise
WARMDOWN_RATIO = 0.5  # share of the budget in which they fall
FINAL_LR_FRAC = 0.0  # where they fall to, as a share of their height

# --- fixed by the recipe -------------------------------------------------------------------------

SOFTCAP = 15.0  # logits are held within ±SOFTCAP
GATE_CHANNELS = 32  # channels of x that open the gates of a layer's value embedding
ADAM_EPS = 1e-10
MOMENTUM = (0.85, 0.95, 300)  # Muon's Nesterov momentum: from, to, over so many steps
NORMUON_BETA = 0.95
# Polynomials that push all singular values to 1, one an iteration. Source: Amsel et al. 2025,
# "The Polar Express", as used in nanochat.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
QUERY_BLOCK = 128  # queries that attention on a CPU works on at a time
ESTIMATE_AT = (0.25, 0.5, 0.75)  # shares of the budget at which val_bpb is estimated
UNTIMED_STEPS = 11  # steps that compile and do not count, where the model is compiled

# --- model ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """The sizes of a model."""

    depth: int
    heads: int
    head_dim: int
    sequence_tokens: int
    vocabulary: int
    window_pattern: str = "L"

    @property
    def width(self) -> int:
        """Channels of the model, C."""
        return self.heads * self.head_dim

    def windows(self) -> list[int]:
        """How many tokens back each layer sees: L all, S half; the last layer always all."""
        reach = {"L": self.sequence_tokens, "S": self.sequence_tokens // 2}
        letters = [self.window_pattern[i % len(self.window_pattern)] for i in range(self.depth)]
        return [reach[letter.upper()] for letter in [*letters[:-1], "L"]]

    def has_value_embedding(self, layer: int) -> bool:
        """Every second layer, counted back from the last."""
        return (self.depth - 1 - layer) % 2 == 0


class Linear(nn.Linear):
    """A matrix without bias, kept in float32 and used in the precision of what it multiplies."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        return F.linear(x, self.weight.to(x.dtype))


class Position:
    """What attention knows about places: rotary angles and the masks of short windows."""

    def __init__(self, shape: Shape, device: Device) -> None:
        self.made_of = (shape, device)
        tokens, steps = shape.sequence_tokens, torch.arange(0, shape.head_dim, 2).float()
        angles = torch.outer(torch.arange(tokens).float(), ROPE_BASE ** -(steps / shape.head_dim))
        self.cos = angles.cos().to(device.torch, device.dtype)  # [T, D/2]
        self.sin = angles.sin().to(device.torch, device.dtype)
        self.masks = {window: window_mask(window, tokens, device) for window in shape.windows()}

    def __reduce__(self) -> Any:
        """Is made anew where a model is loaded: CUDA's masks hold code, which cannot be saved."""
        return Position, self.made_of

    def rotate(self, x: Tensor) -> Tensor:
        """Turns channel d against channel d + D/2 by the angle of its place; x [B, H, T, D]."""
        left, right = x.chunk(2, dim=-1)
        cos, sin = self.cos[: x.size(2)], self.sin[: x.size(2)]
        return torch.cat((left * cos + right * sin, right * cos - left * sin), dim=-1)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        """Softmax attention in which token i sees tokens i - window to i; all [B, H, T, D]."""
        if not q.is_cuda:
            return attend_in_blocks(q, k, v, window, self.masks[window])
        if window >= q.size(2):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return flex_attention(q, k, v, block_mask=self.masks[window])


def window_mask(window: int, tokens: int, device: Device) -> Any:
    """Who sees whom: blocks to skip for CUDA's kernels, else a table [T, T] of 0 and -inf."""

    def sees(_batch: Any, _head: Any, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query - key <= window)

    if device.torch.type == "cuda":
        return create_block_mask(sees, None, None, tokens, tokens, device=device.torch)
    place = torch.arange(tokens, device=device.torch)
    hidden = ~sees(0, 0, place[:, None], place[None, :])
    return torch.zeros_like(hidden, dtype=device.dtype).masked_fill_(hidden, -math.inf)


def attend_in_blocks(q: Tensor, k: Tensor, v: Tensor, window: int, mask: Tensor) -> Tensor:
    """The same, a block of queries at a time against only the keys that it can see.

    On a CPU twice as fast as torch's own kernel, which in bf16 and with a mask skips nothing.
    """
    q = q * q.size(-1) ** -0.5
    mixed = []
    for begin in range(0, q.size(2), QUERY_BLOCK):
        end, first = begin + QUERY_BLOCK, max(0, begin - window)
        scores = q[:, :, begin:end] @ k[:, :, first:end].mT + mask[begin:end, first:end]
        mixed.append(scores.softmax(-1) @ v[:, :, first:end])
    return torch.cat(mixed, dim=2)


class Attention(nn.Module):
    """Causal attention with normed queries and keys and, on every second layer, gated values."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.shape, self.window = shape, shape.windows()[layer]
        self.query = Linear(shape.width, shape.width)
        self.key = Linear(shape.width, shape.width)
        self.value = Linear(shape.width, shape.width)
        self.output = Linear(shape.width, shape.width)
        gated = shape.has_value_embedding(layer)
        self.gate = Linear(min(GATE_CHANNELS, shape.width), shape.heads) if gated else None

    def forward(self, x: Tensor, embedded: Tensor | None, position: Position) -> Tensor:
        """Mixes tokens; x and the value embedding of its tokens are [B, T, C]."""
        weights = [part.weight for part in (self.query, self.key, self.value)]
        three = F.linear(x, torch.cat(weights).to(x.dtype)).chunk(3, dim=-1)
        q, k, v = (self.by_head(part) for part in three)
        if self.gate is not None and embedded is not None:
            opened = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))  # [B, T, H]
            v = v + opened.mT.unsqueeze(-1) * self.by_head(embedded)
        q, k = norm(position.rotate(q)), norm(position.rotate(k))
        mixed = position.attend(q, k, v, self.window)  # [B, H, T, D]
        return self.output(mixed.transpose(1, 2).flatten(2))

    def by_head(self, x: Tensor) -> Tensor:
        """[B, T, C] as [B, H, T, D]."""
        return x.unflatten(2, (self.shape.heads, self.shape.head_dim)).transpose(1, 2)


class Block(nn.Module):
    """Attention, then a relu² MLP four times as wide; each adds to the stream."""

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__()
        self.attention = Attention(shape, layer)
        self.rise = Linear(shape.width, 4 * shape.width)
        self.fall = Linear(4 * shape.width, shape.width)

    def forward(self, x: Tensor, embedded: Tensor | None, position: Position) -> Tensor:
        """Both inputs [B, T, C]."""
        x = x + self.attention(norm(x), embedded, position)
        return x + self.fall(squared_relu(self.rise(norm(x))))


class GPT(nn.Module):
    """A pre-norm transformer whose layers see the embedding again, and an untied head."""

    def __init__(self, shape: Shape, device: Device) -> None:
        super().__init__()
        self.shape, self.dtype = shape, device.dtype
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.value_embeddings = nn.ModuleDict(
            {
                str(layer): nn.Embedding(shape.vocabulary, shape.width)
                for layer in range(shape.depth)
                if shape.has_value_embedding(layer)
            }
        )
        self.blocks = nn.ModuleList(Block(shape, layer) for layer in range(shape.depth))
        self.head = Linear(shape.width, shape.vocabulary)
        self.residual_lambdas = nn.Parameter(torch.ones(shape.depth))
        self.x0_lambdas = nn.Parameter(torch.full((shape.depth,), 0.1))
        self.initialise()
        self.to(device.torch)
        self.position = Position(shape, device)

    @torch.no_grad()
    def initialise(self) -> None:
        """Unit embeddings, a head near zero, uniform matrices, and blocks that add nothing yet."""
        bound = math.sqrt(3 / self.shape.width)
        self.embedding.weight.normal_(0, 1)
        self.head.weight.normal_(0, 0.001)
        for table in self.value_embeddings.values():
            table.weight.uniform_(-bound, bound)
        for block in self.blocks:
            attention = block.attention
            for part in (attention.query, attention.key, attention.value, block.rise):
                part.weight.uniform_(-bound, bound)
            for part in (attention.output, block.fall, attention.gate):
                if part is not None:
                    part.weight.zero_()

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """The mean loss in nats; without targets the logits [B, T, V]. Both inputs are [B, T].

        The logits at a place predict the next token, and depend on the tokens up to there alone.
        """
        x = x0 = norm(self.embedding(tokens).to(self.dtype))  # [B, T, C]
        for layer, block in enumerate(self.blocks):
            x = self.residual_lambdas[layer] * x + self.x0_lambdas[layer] * x0
            embedded = None
            if self.shape.has_value_embedding(layer):
                embedded = self.value_embeddings[str(layer)](tokens).to(self.dtype)
            x = block(x, embedded, self.position)
        x = norm(x)
        if targets is not None:
            return mean_loss(x.flatten(0, 1), self.head.weight, targets.flatten(), SOFTCAP)
        return SOFTCAP * torch.tanh(self.head(x).float() / SOFTCAP)

    def flops_per_token(self) -> int:
        """Floating-point operations of a token, forward and backward, lookups left out."""
        tables = [self.embedding, *self.value_embeddings.values()]
        lookups = sum(table.weight.numel() for table in tables)
        scalars = self.residual_lambdas.numel() + self.x0_lambdas.numel()
        matrices = sum(p.numel() for p in self.parameters()) - lookups - scalars
        return 6 * matrices + sum(12 * self.shape.width * w for w in self.shape.windows())


# --- optimiser -----------------------------------------------------------------------------------


def orthogonalize(x: Tensor) -> Tensor:
    """The nearest matrices with all singular values about 1; x [N, rows, columns]."""
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def compiled(function: Any, device: Device) -> Any:
    """The function or module in fewer and larger kernels, where the device compiles."""
    return torch.compile(function, dynamic=False) if device.compiles else function


class Muon:
    """Momentum, orthogonalised, with a variance a row (NorMuon) and cautious weight decay.

    Matrices of one shape are worked on as one stack [N, rows, columns]. Like `AdamW` it is no
    torch.optim.Optimizer: making one of those imports torch's compiler, a second of every trial.

    Source: Jordan et al. 2024 (Muon), Li et al. 2025 (NorMuon), Liang et al. 2024 (cautious).
    """

    def __init__(self, matrices: list[nn.Parameter], lr: float, device: Device) -> None:
        self.peak_lr, self.device = lr, device
        shapes = sorted({tuple(p.shape) for p in matrices})
        self.stacks = [[p for p in matrices if tuple(p.shape) == shape] for shape in shapes]
        self.momenta = [torch.zeros_like(torch.stack(stack)) for stack in self.stacks]
        self.variances = [m.mean(shorter(m), keepdim=True) for m in self.momenta]
        self.move = compiled(muon_step, device)

    @torch.no_grad()
    def step(self, lr_share: float, momentum: float, weight_decay: float) -> None:
        """One step of all matrices, at a share of the learning rate's height."""
        for matrices, *state in zip(self.stacks, self.momenta, self.variances, strict=True):
            weights = torch.stack(list(matrices))
            gradients = torch.stack([p.grad for p in matrices])
            rows, columns = matrices[0].shape
            lr = lr_share * self.peak_lr * max(1.0, rows / columns) ** 0.5
            numbers: Any = (lr, momentum, weight_decay)
            if self.device.compiles:  # a plain number that changes would be compiled every time
                numbers = map(torch.tensor, numbers)
            self.move(weights, gradients, *state, *numbers, self.device.dtype)
            torch._foreach_copy_(matrices, list(weights.unbind(0)))


def shorter(stack: Tensor) -> int:
    """The axis that NorMuon's variance is a mean over: rows' channels, or columns' of wide ones."""
    return -1 if stack.size(-2) >= stack.size(-1) else -2


def muon_step(
    weights: Tensor, gradients: Tensor, momenta: Tensor, variances: Tensor,
    lr: Any, momentum: Any, weight_decay: Any, dtype: torch.dtype,
) -> None:  # fmt: skip
    """One step of a stack [N, rows, columns], in place; the three numbers may be tensors []."""
    momenta.lerp_(gradients, 1 - momentum)
    update = orthogonalize(gradients.lerp(momenta, momentum).to(dtype)).float()
    squares = update.square().mean(shorter(update), keepdim=True)
    variances.lerp_(squares, 1 - NORMUON_BETA)
    scale = variances.clamp_min(1e-10).rsqrt()
    before = squares.sum((-2, -1), keepdim=True).sqrt()
    after = (squares * scale.square()).sum((-2, -1), keepdim=True).sqrt().clamp_min(1e-10)
    update = update * scale * (before / after)
    shrinks = (update * weights) >= 0  # decay only where the step goes the same way
    weights -= lr * update + lr * weight_decay * weights * shrinks


class AdamW:
    """Adam with decoupled weight decay for a few tensors that share a learning rate."""

    def __init__(
        self, tensors: list[nn.Parameter], lr: float, betas: tuple[float, float] = ADAM_BETAS
    ) -> None:
        self.tensors, self.peak_lr, self.betas, self.steps = tensors, lr, betas, 0
        self.means = [torch.zeros_like(p) for p in tensors]
        self.squares = [torch.zeros_like(p) for p in tensors]

    @torch.no_grad()
    def step(self, lr_share: float, weight_decay: float = 0.0) -> None:
        """One step, at a share of the learning rate's height."""
        self.steps += 1
        lr, (beta1, beta2) = lr_share * self.peak_lr, self.betas
        for tensor, mean, square in zip(self.tensors, self.means, self.squares, strict=True):
            mean.lerp_(tensor.grad, 1 - beta1)
            square.mul_(beta2).addcmul_(tensor.grad, tensor.grad, value=1 - beta2)
            scale = (square / (1 - beta2**self.steps)).sqrt_().add_(ADAM_EPS)
            tensor.mul_(1 - lr * weight_decay)
            tensor.addcdiv_(mean, scale, value=-lr / (1 - beta1**self.steps))


class Optimizers:
    """AdamW for tables, head and scalars, Muon for the blocks, and the schedules of both."""

    def __init__(self, model: GPT, device: Device) -> None:
        self.model = model
        self.muon = Muon(list(model.blocks.parameters()), MATRIX_LR, device)
        scale = (model.shape.width / 768) ** -0.5
        tables = [model.embedding.weight, *(t.weight for t in model.value_embeddings.values())]
        self.adamw = [
            AdamW([model.head.weight], UNEMBEDDING_LR * scale),
            AdamW(tables, EMBEDDING_LR * scale),
            AdamW([model.residual_lambdas], SCALAR_LR * 0.01),
            AdamW([model.x0_lambdas], SCALAR_LR, betas=(0.96, 0.95)),
        ]

    def step(self, step: int, progress: float) -> None:
        """One optimiser step, `progress` of the budget being spent; gradients are cleared."""
        share = lr_factor(progress)
        self.muon.step(share, momentum_at(step), WEIGHT_DECAY * (1 - progress))
        for optimizer in self.adamw:
            optimizer.step(share)
        for parameter in self.model.parameters():
            parameter.grad = None


def momentum_at(step: int) -> float:
    """Muon's momentum, rising over the first steps."""
    start, end, steps = MOMENTUM
    return start + (end - start) * min(step / steps, 1)


def lr_factor(progress: float) -> float:
    """Up, along, and down: the share of its height a learning rate has at `progress`, 0 to 1."""
    if progress < WARMUP_RATIO:
        return progress / WARMUP_RATIO
    if progress <= 1 - WARMDOWN_RATIO:
        return 1.0
    left = (1 - progress) / WARMDOWN_RATIO
    return left + (1 - left) * FINAL_LR_FRAC


# --- training ------------------------------------------------------------------------------------


def legal(name: str, asked: float, value: int) -> int:
    """`value`, said aloud where it is not what was asked for."""
    if value != asked:
        print(f"rounded: {name} {asked} -> {value}", flush=True)
    return value


def plan_shape(task: Task) -> Shape:
    """The model that the knobs ask for, sizes rounded to the nearest that work."""
    depth = legal("DEPTH", DEPTH, max(1, DEPTH))
    head_dim = legal("HEAD_DIM", HEAD_DIM, max(16, 16 * round(HEAD_DIM / 16)))
    heads = max(1, math.ceil(depth * ASPECT_RATIO / head_dim))
    return Shape(depth, heads, head_dim, task.sequence_tokens, task.vocabulary, WINDOW_PATTERN)


def plan_batch(task: Task) -> tuple[int, int]:
    """Sequences a forward pass and passes a step, so that their tokens are near to the knob.

    As few passes as `DEVICE_BATCH_SIZE` allows, then the sequences that fill them best.
    """
    wanted = max(1.0, TOTAL_BATCH_SIZE / task.sequence_tokens)  # sequences a step
    passes = math.ceil(round(wanted) / max(1, DEVICE_BATCH_SIZE))
    rows = max(1, min(round(wanted / passes), DEVICE_BATCH_SIZE))
    legal("DEVICE_BATCH_SIZE", DEVICE_BATCH_SIZE, rows)
    legal("TOTAL_BATCH_SIZE", TOTAL_BATCH_SIZE, passes * rows * task.sequence_tokens)
    return rows, passes


@dataclass
class Progress:
    """How far a training is. The budget is seconds, or `BAKEOFF_MAX_STEPS` steps to repeat one."""

    budget_seconds: float
    max_steps: int
    untimed_steps: int
    steps: int = 0
    timed_steps: int = 0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """The share of the budget that is spent, 0 to 1."""
        if self.max_steps:
            return self.steps / self.max_steps
        return min(self.seconds / self.budget_seconds, 1.0)

    def count(self, seconds: float) -> None:
        """Counts a step; the first ones of a compiled model are compiling and not timed."""
        if self.steps >= self.untimed_steps:
            self.seconds += seconds
            self.timed_steps += 1
        self.steps += 1


class Report:
    """What a training says on its way, in lines that programs read too."""

    def __init__(self) -> None:
        self.smooth, self.next_share = 0.0, 0.0
        self.estimates = list(estimate_shares(ESTIMATE_AT))

    def loss(self, loss: float, done: Progress) -> None:
        """A line for every fiftieth of the budget, its loss smoothed; ends a lost training."""
        if not loss <= 100:  # false for NaN as well
            print("FAIL", flush=True)
            sys.exit(1)
        self.smooth = 0.9 * self.smooth + 0.1 * loss
        if done.share >= self.next_share:
            self.next_share = 1.0 if done.share > 0.98 else done.share + 0.02
            shown = self.smooth / (1 - 0.9**done.steps)
            when = f"step={done.steps} train_seconds={done.seconds:.2f}"
            print(f"progress: {when} loss={shown:.4f}", flush=True)

    def estimate(self, model: Any, task: Task, rows: int, device: Device, done: Progress) -> None:
        """Has a few rows scored at some fixed shares of the budget, for whoever prunes by it."""
        passed = [share for share in self.estimates if share <= done.share < 1]
        if passed:
            self.estimates = self.estimates[len(passed) :]
            estimate_bpb(model, task, rows, device.torch, passed[-1])


def train(
    model: Any, optimizers: Optimizers, task: Task, batch: tuple[int, int], device: Device
) -> Progress:
    """Trains until the budget is spent. Steps are timed, not what is said between them."""
    rows, passes = batch
    loader = batches(task, rows, device.torch)
    max_steps = int(os.environ.get("BAKEOFF_MAX_STEPS", "0"))
    done = Progress(train_seconds(task), max_steps, UNTIMED_STEPS if device.compiles else 0)
    report = Report()
    while done.share < 1:
        synchronize(device.torch)
        began = time.perf_counter()
        for _ in range(passes):
            tokens, targets, _epoch = next(loader)
            loss = model(tokens, targets)
            (loss / passes).backward()
        optimizers.step(done.steps, done.share)
        last_loss = loss.item()
        synchronize(device.torch)
        done.count(time.perf_counter() - began)
        report.loss(last_loss, done)
        report.estimate(model, task, rows, device, done)
        if done.steps == 1:  # a collection in mid-training costs half a second
            gc.collect()
            gc.freeze()
            gc.disable()
    return done


def main() -> None:
    """Trains and prints the closing block."""
    began = time.perf_counter()
    task, device = load_task(), find_device()
    torch.manual_seed(task.seed)
    torch.set_float32_matmul_precision("high")
    shape = plan_shape(task)
    model = GPT(shape, device)
    optimizers = Optimizers(model, device)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"model: {shape}, {parameters:,} parameters, {device}", flush=True)
    runnable = compiled(model, device)
    rows, passes = plan_batch(task)
    done = train(runnable, optimizers, task, (rows, passes), device)
    val_bpb = evaluate_bpb(runnable, task, rows, device.torch)
    tokens_a_step = rows * passes * task.sequence_tokens
    print("---")
    print(f"val_bpb:          {val_bpb:.6f}")
    print(f"training_seconds: {done.seconds:.1f}")
    print(f"total_seconds:    {time.perf_counter() - began:.1f}")
    print(f"peak_vram_mb:     {peak_vram_mb(device)}")
    print(f"mfu_percent:      {mfu_percent(model, done, tokens_a_step, device)}")
    print(f"total_tokens_M:   {done.steps * tokens_a_step / 1e6:.3f}")
    print(f"num_steps:        {done.steps}")
    print(f"num_params_M:     {parameters / 1e6:.3f}")
    print(f"depth:            {shape.depth}", flush=True)


def peak_vram_mb(device: Device) -> str:
    """The most device memory in use at once; n/a without a GPU's own."""
    if device.torch.type != "cuda":
        return "n/a"
    return f"{torch.cuda.max_memory_allocated() / 2**20:.1f}"


def mfu_percent(model: GPT, done: Progress, tokens_a_step: int, device: Device) -> str:
    """Useful FLOP/s as a share of the device's peak; n/a where the peak is unknown."""
    if device.peak_flops is None or done.seconds == 0:
        return "n/a"
    flops = model.flops_per_token() * tokens_a_step * done.timed_steps
    return f"{100 * flops / done.seconds / device.peak_flops:.2f}"


if __name__ == "__main__":
    main()
