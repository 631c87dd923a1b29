"""What was delivered, and how a file of it is opened: folders, zips, object stores; formats, text grids, tables of sheets."""
