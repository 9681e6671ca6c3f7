"""Legal clocks of incidents, stored: they outlive the steps, runs and timeouts that started them.

`starting.py` writes them with the step that found the duty, `reckoning.py` computes one from its row, `changing.py`
stops, resumes, amends and files, `climbing.py` takes the rungs that are due. How a deadline comes about is
`workflows/core/clocks`.
"""
