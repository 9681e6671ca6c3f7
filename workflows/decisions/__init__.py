"""Decision tables that are stored: versions that never change, what they say about facts, and their files.

`models` the tables, `stored` publishes and reads them, `compiled` keeps them ready to decide, `asking` decides and says
why, `files` reads and writes them as YAML, JSON, DMN and CSV. What a table is, and how it decides, is in
`workflows.core.tables`.
"""
