"""The table of samplers: a new one is one function and one entry in `SAMPLERS`.

Invariant: what a sampler suggests depends on the run's seed, the trial's number and the study's
history, and on nothing else: the same seed gives the same trials, and a resumed run gives those of
an uninterrupted one. There are three ways to keep it (see entry.py):

- `make`: a sampler of Optuna's is made anew for every ask, so it holds no state that a restart
  would lose. What an algorithm carries from trial to trial (the covariance of CMA-ES, a generation
  of NSGA-II, the place in a Sobol sequence) is kept by Optuna itself, in the study's journal.
- `suggest`: a function of the history.
- `ask_tell`: an algorithm with a state of its own. The journal has the order of asks and tells, and
  a resumed run repeats them (replay.py).

A failed trial is FAIL in the journal, without a value. Optuna's samplers pass over such trials, and
a Gaussian process, which has learned nothing from the failure, then suggests much the same setting
for ever. So a sampler with `learns_from_trials` is shown each failure as no better than the worst
value that was measured: the mildest value that still says "not there". So is SMAC. CMA-ES and
CatCMA fill their generation with new draws instead: a made-up value would enter the covariance.

The same samplers see a knob that train.py had to round (a batch that does not divide) at the value
that was run, not at the one that they suggested.
"""

from __future__ import annotations

from samplers import ready_made
from samplers.catcma import CatCma
from samplers.entry import Entry
from samplers.forest import suggest_by_forest

SAMPLERS: dict[str, Entry] = {
    "random": Entry(ready_made.random),
    "qmc": Entry(ready_made.qmc),
    "grid": Entry(tries_all=True),
    "tpe": Entry(ready_made.tpe, learns_from_trials=True, ranks_pruned=True),
    "tpe-independent": Entry(
        ready_made.tpe_independent, learns_from_trials=True, ranks_pruned=True
    ),
    "gp": Entry(ready_made.gp, learns_from_trials=True),
    "smac": Entry(suggest=suggest_by_forest),
    "cmaes": Entry(ready_made.cmaes),
    "catcma": Entry(ask_tell=CatCma),
    "nsga2": Entry(ready_made.nsga2),
}
