"""The journal of events: blocks, and the statements that write them. Below the engine and below the event bus."""
