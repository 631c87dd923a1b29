"""The audit of the decision record: what lies there is what was written, shown without trusting whoever keeps the files.

Reading order: `merkle` (hashing), `roots` (what is sealed of a day), `verify` (what was altered since), `own` (an agency looks at its own
rows alone), `sql` (questions), `retire` (what is old goes to Parquet). `store` keeps anchors and roots in the database.
"""
