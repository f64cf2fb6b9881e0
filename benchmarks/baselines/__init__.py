"""What the samplers cost and what they find, on a made-up objective (`make bench-baselines`)."""
