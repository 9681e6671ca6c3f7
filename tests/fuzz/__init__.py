"""A fuzz of everything that callers, files and brokers bring: `python -m tests.fuzz --seconds 600 --seed 2026`.

It starts a platform of its own (web, worker, leader, on the servers that the environment names), sends it what nobody
should send, and reports what must not happen: a status of 500 or more, a traceback in a log, a process or a thread that
ended. The same seed sends the same things in the same order, as far as the answers are the same.
"""
