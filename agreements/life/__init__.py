"""The life of an agreement: states and moves, working days, tasks, what is owed back."""
