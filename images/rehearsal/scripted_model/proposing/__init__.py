"""The scripted model as an optimiser's: it answers prompts that ask for settings, values or code.

Each answer is a pure function of the prompt, the seed and a place: a hash of the prompt and of how
often it was asked. So a prompt that is sent ten times has ten answers, the same in each run of that
seed. The model helps a little: it knows about where good values are, and errs. A
fixed share of its answers has what real answers have: fences, prose, values out of range, refusals.
"""
