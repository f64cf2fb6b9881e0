"""Shows the study of a baseline's run to people: as Optuna's table, and in Optuna's dashboard.

It needs Optuna on the host, which runs do not: only the commands `export` and `optuna-dashboard`
import this folder. Nothing here writes to a study.
"""
