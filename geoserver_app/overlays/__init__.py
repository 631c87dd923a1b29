"""What agencies lay over the base maps: their own data, taken in, drawn by their own rules, shared by their own agreements."""
