"""What exists: layers, their editions and sheets; coordinates; files on their way in."""
