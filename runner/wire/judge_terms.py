"""The words and the place that the judge, the trials and the runner share. docs/judge.md has more.

Standard library only: this file is copied into every image.
"""

JUDGE_FOLDER = "/run/judge"  # of the volume with the judge's socket, in the judge and in trials
JUDGE_SOCKET = f"{JUDGE_FOLDER}/judge.sock"

# Reasons in `ScoreFinished`.
SCORER_DIED = "judge died"  # the part of the judge that scored this trial has ended
WENT_AWAY = "the trial went away"  # while it was scored
UNSCORED = "unscored"  # it never asked for a final score

# Names in the audit of `ScoreFinished`.
HANDED_OUT = "model handed out"  # the digest that the trial told before it was scored
WITHOUT_MEMORY = "without memory"  # fresh containers compared
OF_A_TRIAL = "of a trial"  # in mode reference: the `tokens` that a trial would be sent


def facts_file(key: str) -> str:
    """The name of the file with the facts of a calibration, beside the losses of its reference."""
    return f"calibration-{key}.json"
