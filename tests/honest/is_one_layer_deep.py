"""One layer in place of more, and narrow."""

DEPTH, HEAD_DIM, ASPECT_RATIO = 1, 32, 32
