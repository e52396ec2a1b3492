"""How well response can be predicted at all."""
