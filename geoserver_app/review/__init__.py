"""The review of agreements: what was used, refused and given back, from the audit, with the question behind every figure.

Reading order: `questions` (figures as SQL over the audit), `figures` (asking them), `charts` and `ground` (drawing), `pack` (the papers of a
meeting), `indicators` (the yearly evaluation), `access` (who may read which).
"""
