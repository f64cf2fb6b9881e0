"""The scripted model as an optimiser's: it answers prompts that ask for settings, values or code.

Each answer is a pure function of the prompt, the seed and a place, so a request that is sent twice
is answered the same twice. It helps a little: it knows about where good values are, and errs. A
fixed share of its answers has what real answers have: fences, prose, values out of range, refusals.
"""
