"""Decoder-only transformers over bytes or tokens."""
