"""The durable state of a run: SQLite owns the states (`sql`), results.jsonl and the spool hold the data.

One thread writes (`writer`), in groups; `journal` is its face for the run and, in three parts, for the engine;
`recovery` makes a directory whole again. `sql` is plain functions on a connection, for that thread and for `offline`.
"""
