"""People who sign in: accounts, sessions, guesses."""
