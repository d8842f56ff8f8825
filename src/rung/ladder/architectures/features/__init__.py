"""Small models of stored features and facts."""
