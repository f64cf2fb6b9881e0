"""Statistics on arrays of numbers; nothing here knows of runs, tables or figures.

Where values are compared, less is better: callers pass `Context.sign * value`. What cannot be told
is None, and the result's `why` says in a sentence why. Values that are not finite are left out.
"""
