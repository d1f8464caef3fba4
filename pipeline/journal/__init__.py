"""The durable state of a run: SQLite owns the states (`store`), results.jsonl and the spool hold the data.

One thread writes (`writer`), in groups; `journal` is what the engine sees; `recovery` makes a directory whole again.
"""
