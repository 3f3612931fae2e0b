"""Patches for the commonest leaks, made from the source line that acquired; none where the source leaves a doubt."""
