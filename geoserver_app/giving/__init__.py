"""What agencies give back: datasets on their way from an upload through a check and two reviewers to an edition, and corrections (纠错) of what they see."""
