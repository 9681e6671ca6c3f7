"""Leaves what a process has loaded out of garbage collection.

Note [Settled]
A full garbage collection looks at every object: 190,000 after the platform is loaded, which takes 50 to 100 ms while
nothing else in the process runs. A large request makes so many objects that one or two full collections come with it.
What was loaded lives as long as the process does, so it is moved out of their sight once. In the web service this
happens before the processes fork; they then share this memory, because no collection writes to it.
"""

import gc


def settle() -> None:
    """Call this once everything is loaded."""
    gc.collect()
    gc.freeze()
