"""The queue for this machine's devices: who holds one, and who waits for which, in their order.

No process ever waits for another one's step here, so none that is killed or stopped in the middle
of one holds up the others.
"""
