"""Rounds that run side by side, and one that has the process for itself."""

import threading

from workflows.events.apart import Apart


def test_what_is_alone_has_nothing_beside_it_and_others_do() -> None:
    apart = Apart()
    lock = threading.Lock()
    running, wrong, together = set[str](), list[set[str]](), threading.Event()
    both = threading.Barrier(2)

    def beside(name: str) -> None:
        with apart.beside_others():
            both.wait(30)  # would break if one excluded the other
            together.set()
        for _ in range(200):
            with apart.beside_others():
                look(name)

    def alone(name: str) -> None:
        together.wait(30)
        for _ in range(200):
            with apart.alone():
                look(name)

    def look(name: str) -> None:
        with lock:
            running.add(name)
            if len(running) > 1 and any(one.startswith("alone") for one in running):
                wrong.append(set(running))
        threading.Event().wait(0.0001)
        with lock:
            running.remove(name)

    threads = [
        threading.Thread(target=target, args=[name], daemon=True)
        for target, name in [(beside, "one"), (beside, "two"), (alone, "alone"), (alone, "alone too")]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert together.is_set()
    assert not wrong


def test_an_error_lets_the_others_go_on() -> None:
    apart = Apart()
    for section in (apart.alone, apart.beside_others, apart.alone):
        try:
            with section():
                raise KeyError
        except KeyError:
            pass
    with apart.alone():
        pass
