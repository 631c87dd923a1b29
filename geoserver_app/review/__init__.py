"""The review of agreements: what was used, refused and given back, from the audit, with the question behind every figure.

Reading order: `questions` (figures as SQL over the audit), `figures` (asking them), `ledgers` and `granted` (what is not in the audit), `charts`
and `ground` (drawing), `paper` and `chapters`, `pack` (the papers of a meeting), `indicators` (the yearly evaluation), `access` (who may read
which). `archive` is what all of it is made from.
"""
