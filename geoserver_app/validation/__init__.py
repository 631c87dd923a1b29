"""The report on a delivery, in two languages."""
