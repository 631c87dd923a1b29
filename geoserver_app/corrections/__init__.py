"""Corrections (纠错): what agencies mark as wrong on the maps that they see, and what the bureau makes of it, within working days."""
