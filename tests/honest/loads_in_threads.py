"""A thread prepares its batches; it ends before the score is asked for."""

import threading
from queue import Full, Queue

true_batches, true_train = batches, train
over = threading.Event()
loaders: list[threading.Thread] = []


def batches(task: Task, rows: int, device: torch.device) -> Any:
    ready: Queue[Any] = Queue(2)

    def load() -> None:
        for batch in true_batches(task, rows, device):
            while not over.is_set():
                try:
                    ready.put(batch, timeout=0.1)
                    break
                except Full:
                    continue
            if over.is_set():
                return

    loaders.append(threading.Thread(target=load))
    loaders[-1].start()
    while True:
        yield ready.get()


def train(*given: Any) -> Progress:
    try:
        return true_train(*given)
    finally:
        over.set()
        for loader in loaders:
            loader.join()
