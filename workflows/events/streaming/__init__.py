"""Streams of events (server-sent events): one hub in each process reads the log for all its listeners.

Note [Streams]
A stream is read from the log, never from notifications: so an id (a cursor of positions, `core/cursors`) is all that
any process needs to continue where a listener left off. The hub is a thread with two connections, however many listen;
a listener has neither. It is woken by NOTIFY, which consumers send only while somebody listens, and looks by itself now
and then. A listener that comes with a cursor reads what it missed, up to the hub's position, while its mailbox already
keeps what the hub reads from there on: so nothing is missed and nothing comes twice.

`mailbox` (what waits for one listener), `hub` (who reads), `listening` (what a listener is sent).
"""
