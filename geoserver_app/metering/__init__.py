"""How much an agreement lets out, counted over all its keys and all workers of a machine.

windows.py   days and months of Asia/Shanghai
terms.py     a quota made ready for counting
counts.py    the counters of one agreement as a value: check and add, pure
ledger.py    where counters and logs are kept: one contract; files.py keeps them in a folder
ground.py    which ground was seen, exactly, in cells of 5 m; footprints.py says which cells a picture shows
exports.py   the union of all ground that was ever downloaded
meter.py     what the gate and the lane ask; headers.py what answers carry of it
"""
