"""Invented data that the starters and the demo learn from: every word and every figure in it is made up here.

Each generator takes a seed and gives the same frame for it. They need numpy and polars only.
"""
