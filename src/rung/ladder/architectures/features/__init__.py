"""Small models that store features or facts."""
