"""`/api/v1`: what people and their scripts do with people, agencies, keys and agreements, every operation through one door."""
