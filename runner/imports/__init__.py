"""Results that were made elsewhere, as imports that `bakeoff analyse` reads beside runs.

`foreign.read_foreign` reads a file: an agent's log in any sane layout, a study of Optuna, or an
export of Weights & Biases. `folder.write_import` keeps what was read. Every row of the source is a
trial or is left out with a reason, and what the source does not say is assumed in the open.
"""
