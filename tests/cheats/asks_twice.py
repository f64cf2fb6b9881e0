"""Has an untrained model scored first, then trains and asks again for a better score."""

true_train = train


def train(model: Any, optimizers: Any, task: Task, batch: Any, device: Device) -> Progress:
    true_evaluate(model, task, batch[0], device.torch)
    return true_train(model, optimizers, task, batch, device)
