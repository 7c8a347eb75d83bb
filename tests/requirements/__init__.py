"""What the shipped scenarios promise of each requirement is broken where the handler breaks it."""
