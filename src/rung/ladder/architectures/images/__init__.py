"""Image classifiers from timm."""
